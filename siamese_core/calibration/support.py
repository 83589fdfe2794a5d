"""Operating points that the calibration identities can support, known before anything is trained."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np
import pandas as pd

from siamese_core.calibration.operating_points import why_unsupported
from siamese_core.config import CalibrationConfig, Part, SplitConfig, operating_point_name

# A part larger than this leaves too few identities to train on: more identities are the better advice.
_LARGEST_SHARE = 0.4
_FOLDS = 5  # as many as are usual (Hastie, Tibshirani & Friedman 2009, 7.10)

# Part → number of images of each of its identities.
Sizes = Mapping[Part, "pd.Series[int]"]


@dataclass(frozen=True)
class Support:
    """The operating points that a split lets calibration offer.

    With `conservative` it may refuse more, by what the distances turn out to be.

    Attributes:
        offered: Names of those that it will offer.
        refused: Name → reason and way out.
    """

    offered: list[str]
    refused: dict[str, str]


def support(images: Sizes, split: SplitConfig, config: CalibrationConfig, from_file: bool) -> Support:
    """Compare the sizes of the calibration part with what each FMR target needs.

    Args:
        images: Part → number of images of each of its identities; `held_out` is calibration and test.
        split: Shares.
        config: Targets and caps.
        from_file: Whether a file names identities' parts.
    """
    offered, refused = ["eer", "accuracy"], {}
    for target in sorted(config.fmr_targets, reverse=True):
        name, reason = operating_point_name(target), _why_not(target, images[config.parts[0]], config)
        if not reason:
            offered.append(name)
            continue
        ways = list(_ways_out(target, images, split, config, from_file))
        refused[name] = f"{reason} What helps: {' or '.join(ways)}."
    return Support(offered, refused)


def _why_not(target: float, images: pd.Series[int], config: CalibrationConfig) -> str | None:
    """The reason why identities with so many images cannot support an FMR target, or None if they can."""
    sizes = images.clip(upper=config.max_images_per_identity).to_numpy(np.int64)
    pairs = int(sizes.sum() ** 2 - (sizes**2).sum()) // 2
    return why_unsupported(target, min(pairs, config.max_impostor_pairs), len(sizes))


def _ways_out(
    target: float, images: Sizes, split: SplitConfig, config: CalibrationConfig, from_file: bool
) -> Iterator[str]:
    # First: the search for the number of identities below ends, as no target with enough pairs in the cap is tiny.
    if why_unsupported(target, config.max_impostor_pairs, sys.maxsize):
        yield "a larger calibration.max_impostor_pairs"
        return
    every = pd.concat([images["train"], images["held_out"]]).clip(upper=config.max_images_per_identity)
    identities, least = len(every), _identities_needed(target, every.mean())
    if from_file:
        yield f"{least:,} calibration identities in split_file"
    elif least > _LARGEST_SHARE * identities:
        yield f"about {math.ceil(least / max(split.calibration, 0.01)):,} identities with as many images each"
    elif least > round(split.calibration * identities):
        yield f"split.calibration: {math.ceil(100 * least / identities) / 100:g} with split.balance: exact"
    elif split.balance == "hash":
        yield "split.balance: exact"
    else:
        yield "more images of each identity"
    if not config.folds and not _why_not(target, images["held_out"], config):
        yield f"calibration.folds: {_FOLDS}, which calibrates on all that does not train"


def _identities_needed(target: float, images: float) -> int:
    """The fewest identities with this many images each that support a target."""
    return next(n for n in count(2) if not why_unsupported(target, int(math.comb(n, 2) * images**2), n))
