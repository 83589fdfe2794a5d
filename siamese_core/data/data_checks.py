"""The checks of the data: tables that they read, outcomes, and their words. Great Expectations runs them elsewhere."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

from siamese_core.data.manifest import Manifest

_EXAMPLES = 5


@dataclass(frozen=True)
class Check:
    """The outcome of one expectation.

    Attributes:
        title: The expectation, in words.
        level: `error` stops the run when it fails, `warning` does not.
        passed: Whether it held.
        observed: The state of the data.
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
    """The readable images, with the columns that the checks need beside the manifest's.

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


def depth_table(manifest: Manifest, white_level: int | None) -> pd.DataFrame:
    """The images of more than 8 bits a channel, by their bits.

    Args:
        manifest: The files.
        white_level: The number that is white; the end of each range if None.

    Returns:
        For each number of bits `of_white`, the median image's largest number as a share of white, and `label`.
    """
    deep = manifest.ok[manifest.ok["bit_depth"] > 8]
    groups = deep.groupby("bit_depth")["largest"].agg(["size", "median", "max"]).reset_index()
    white = pd.Series(white_level or 2 ** groups["bit_depth"] - 1, index=groups.index)
    labels = [
        f"{size:,} images of {bits} bits have numbers up to {most:,}; white is {end:,} (images.white_level: "
        f"{2 ** int(most).bit_length() - 1} would hold them)"
        for bits, size, most, end in zip(groups["bit_depth"], groups["size"], groups["max"], white, strict=True)
    ]
    return pd.DataFrame({"of_white": groups["median"] / white, "label": pd.Series(labels, dtype="str")})


def failures(checks: list[Check], level: str) -> list[Check]:
    """The checks of a level that did not pass."""
    return [check for check in checks if check.level == level and not check.passed]


def describe(check: Check) -> str:
    """A failed check in words, with examples and the way out."""
    examples = "".join(f"\n      {example}" for example in check.examples[:_EXAMPLES])
    more = f"\n      … and {len(check.examples) - _EXAMPLES} more" if len(check.examples) > _EXAMPLES else ""
    return f"  - {check.title}: {check.observed}.{examples}{more}\n    {check.advice}"


def report_json(checks: list[Check], manifest: Manifest, raw: list[dict[str, Any]]) -> dict[str, Any]:
    """The report for machines: our checks, a summary, and the library's own results."""
    return {
        "success": not failures(checks, "error"),
        "summary": manifest.summary(),
        "checks": [asdict(check) for check in checks],
        "great_expectations": raw,
    }
