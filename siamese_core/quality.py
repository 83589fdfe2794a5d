"""What is checked about the data, and the page that says how it went. The checks themselves run elsewhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd

from siamese_core.html import Html, badge, cards, image, page, section, table
from siamese_core.manifest import Manifest
from siamese_core.pictures import grid
from siamese_core.store import ImageStore

_EXAMPLES = 5


@dataclass(frozen=True)
class Check:
    """The outcome of one expectation.

    Attributes:
        title: What was expected, in words.
        level: What a failure means: `error` stops the run, `warning` does not.
        passed: Whether it held.
        observed: What was seen.
        examples: Files or identities that do not satisfy it, a few.
        advice: The way out.
    """

    title: str
    level: Literal["error", "warning"]
    passed: bool
    observed: str
    examples: list[str]
    advice: str


def image_table(manifest: Manifest) -> pd.DataFrame:
    """The readable images with what the checks need beside the manifest's columns.

    Returns:
        The manifest's rows with `identities_with_file` (under how many identities the same bytes lie),
        `copies_in_identity` and `label` (the path, and where the copies are).
    """
    images = manifest.ok
    same_bytes = images.groupby("sha256")
    images["identities_with_file"] = same_bytes["identity"].transform("nunique")
    images["copies_in_identity"] = images.groupby(["identity", "sha256"])["path"].transform("size")
    shared = images[(images["identities_with_file"] > 1) | (images["copies_in_identity"] > 1)]
    copies = shared.groupby("sha256")["path"].agg(" = ".join)
    images["label"] = images["sha256"].map(copies).fillna(images["path"]).astype("str")
    return images


def identity_table(manifest: Manifest) -> pd.DataFrame:
    """Every identity with its number of readable images."""
    return manifest.ok.groupby("identity").size().rename("images").reset_index()


def failures(checks: list[Check], level: str) -> list[Check]:
    """The checks of a level that did not pass."""
    return [check for check in checks if check.level == level and not check.passed]


def describe(check: Check) -> str:
    """A failed check in words: what, where, and the way out."""
    named = "".join(f"\n      {example}" for example in check.examples[:_EXAMPLES])
    more = f"\n      … and {len(check.examples) - _EXAMPLES} more" if len(check.examples) > _EXAMPLES else ""
    return f"  - {check.title}: {check.observed}.{named}{more}\n    {check.advice}"


def report_json(checks: list[Check], manifest: Manifest, raw: list[dict[str, Any]]) -> dict[str, Any]:
    """The report for machines: our checks, a summary, and the library's own results."""
    return {
        "success": not failures(checks, "error"),
        "summary": manifest.summary(),
        "checks": [asdict(check) for check in checks],
        "great_expectations": raw,
    }


def data_page(checks: list[Check], manifest: Manifest, store: ImageStore) -> str:
    """The report for people, one self-contained HTML page."""
    errors, warnings = failures(checks, "error"), failures(checks, "warning")
    summary = manifest.summary()
    verdict = (
        badge(f"Stopped: {len(errors)} of {len(checks)} checks failed.", "bad")
        if errors
        else badge(f"Fit for training, with {len(warnings)} warning{'s' * (len(warnings) > 1)}.", "warn")
        if warnings
        else badge(f"Fit for training: all {len(checks)} checks passed.", "good")
    )
    counts = f"{summary['images']:,} images of {summary['identities']:,} identities"
    counts += f"; {summary['quarantined']:,} files quarantined."
    head = ["", "expected", "observed", "examples and advice"]
    sample = image(_sample(manifest, store), "sample images, one identity a row")
    parts = [
        section("checks", "Checks", cards(head, [_check_row(check) for check in checks])),
        section("sizes", "Images for each identity", _size_table(manifest)),
        section("sample", "A sample, as the encoder sees it", sample),
        section("quarantine", "Quarantined files", quarantine_table(manifest)),
    ]
    title = f'<header><h1>Data report</h1><p class="verdict">{verdict} {escape(counts)}</p></header>'
    return page("Data report", f"<main>\n{title}\n{''.join(parts)}\n</main>")


def quarantine_table(manifest: Manifest, most: int = 200) -> str:
    """The files that could not be used, with reasons, as HTML."""
    bad = manifest.quarantined
    if bad.empty:
        return "<p>None.</p>"
    more = f"<p>… and {len(bad) - most:,} more, in the image manifest.</p>" if len(bad) > most else ""
    return table(["file", "reason"], bad[["path", "reason"]].head(most).to_numpy().tolist()) + more


def _check_row(check: Check) -> list[object]:
    if check.passed:
        return [badge("passed", "good"), check.title, check.observed, ""]
    mark = badge("failed", "bad") if check.level == "error" else badge("warning", "warn")
    named = "<br>".join(escape(example) for example in check.examples[:20])
    return [mark, check.title, check.observed, Html(f"{named}<p>{escape(check.advice)}</p>")]


def _size_table(manifest: Manifest) -> str:
    sizes = identity_table(manifest)["images"]
    edges = [1, 2, 3, 5, 10, 20, 50, 100, np.inf]
    rows = []
    for low, high in pairwise(edges):
        last = "" if high - low == 1 else f" to {int(high) - 1}" if np.isfinite(high) else " or more"
        rows.append([f"{int(low)}{last}", int(((sizes >= low) & (sizes < high)).sum())])
    return table(["images", "identities"], rows)


def _sample(manifest: Manifest, store: ImageStore, identities: int = 8, images: int = 8) -> bytes:
    rows = pd.Series(range(len(manifest.ok))).groupby(manifest.ok["identity"]).agg(list)
    largest = rows[rows.map(len) >= min(images, int(rows.map(len).max()))]
    chosen = largest.iloc[:: max(1, len(largest) // identities)].head(identities)
    blank = np.full(store.images.shape[1:], 255, np.uint8)
    pictures = [[store.images[i] for i in members[:images]] for members in chosen]
    return grid([row + [blank] * (images - len(row)) for row in pictures], [""] * images)
