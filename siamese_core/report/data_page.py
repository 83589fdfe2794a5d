"""The data report for people: one self-contained HTML page."""

from __future__ import annotations

from html import escape
from itertools import pairwise

import numpy as np
import pandas as pd

from siamese_core.data.checks import Check, failures, identity_table
from siamese_core.data.manifest import Manifest
from siamese_core.data.store import ImageStore
from siamese_core.pictures import grid
from siamese_core.report.render import Html, badge, cards, image, page, section, table


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
