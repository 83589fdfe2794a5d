"""The data report for people: one self-contained HTML page."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from siamese_core.data.data_checks import Check, failures, identity_table
from siamese_core.data.manifest import Manifest
from siamese_core.data.store import ImageStore
from siamese_core.pictures import grid
from siamese_core.report.render import data_uri, html_page
from siamese_core.report.wording import Badge

_MOST_EXAMPLES, _MOST_FILES = 20, 200
# Names and starts of ranges of an identity's number of images.
_SIZES = {"1": 1, "2": 2, "3 to 4": 3, "5 to 9": 5, "10 to 19": 10, "20 to 49": 20, "50 to 99": 50, "100 or more": 100}


def data_page(checks: list[Check], manifest: Manifest, store: ImageStore) -> str:
    """Write the outcome of the checks, the sizes of the identities and a sample of the images."""
    summary = manifest.summary()
    view = {
        "verdict": _verdict(checks),
        "counts": f"{summary['images']:,} images of {summary['identities']:,} identities; "
        f"{summary['quarantined']:,} files quarantined, {summary['ignored']:,} ignored.",
        "checks": [(check, _outcome(check)) for check in checks],
        "most_examples": _MOST_EXAMPLES,
        "sizes": _sizes(manifest),
        "sample": data_uri(_sample(manifest, store), "png"),
        "ignored": _ignored(manifest),
    }
    return html_page("data.html.j2", "Data report", view | quarantine(manifest))


def quarantine(manifest: Manifest) -> dict[str, Any]:
    """The files that could not be used, with reasons, and how many more there are."""
    bad = manifest.quarantined
    more = f"{len(bad) - _MOST_FILES:,}" if len(bad) > _MOST_FILES else ""
    return {"files": bad[["path", "reason"]].head(_MOST_FILES).to_numpy().tolist(), "more": more}


def _ignored(manifest: Manifest) -> list[list[str]]:
    """Rules with their numbers of files and an example, most frequent first."""
    rules = manifest.ignored.groupby("reason")["path"].agg(["size", "first"]).reset_index()
    rules = rules.sort_values("size", ascending=False, kind="stable").head(_MOST_FILES)
    return [[rule, f"{count:,}", path] for rule, count, path in rules.itertuples(index=False)]


def _verdict(checks: list[Check]) -> Badge:
    errors, warnings = len(failures(checks, "error")), len(failures(checks, "warning"))
    if errors:
        return Badge("bad", f"Stopped: {errors} of {len(checks)} checks failed.")
    if warnings:
        return Badge("warn", f"Fit for training, with {warnings} warning{'s' * (warnings > 1)}.")
    return Badge("good", f"Fit for training: all {len(checks)} checks passed.")


def _outcome(check: Check) -> Badge:
    if check.passed:
        return Badge("good", "passed")
    return Badge("bad", "failed") if check.level == "error" else Badge("warn", "warning")


def _sizes(manifest: Manifest) -> list[list[str]]:
    """Numbers of identities by their numbers of images."""
    counts, _ = np.histogram(identity_table(manifest)["images"], [*_SIZES.values(), np.inf])
    return [[name, f"{count:,}"] for name, count in zip(_SIZES, counts, strict=True)]


def _sample(manifest: Manifest, store: ImageStore, identities: int = 8, images: int = 8) -> bytes:
    rows = pd.Series(range(len(manifest.ok))).groupby(manifest.ok["identity"]).agg(list)
    largest = rows[rows.map(len) >= min(images, int(rows.map(len).max()))]
    sample = largest.iloc[:: max(1, len(largest) // identities)].head(identities)
    blank = np.full(store.images.shape[1:], 255, np.uint8)
    pictures = [[store.images[i] for i in members[:images]] for members in sample]
    return grid([row + [blank] * (images - len(row)) for row in pictures], [""] * images)
