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
from siamese_core.config import CalibrationConfig, SplitConfig, operating_point_name

# A part larger than this leaves too few identities to train on: more identities are the better advice.
_LARGEST_SHARE = 0.4


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


def support(
    images: Mapping[str, pd.Series[int]], split: SplitConfig, config: CalibrationConfig, from_file: bool
) -> Support:
    """Compare the sizes of the calibration part with what each FMR target needs.

    Args:
        images: Part → number of images of each of its identities.
        split: Shares.
        config: Targets and caps.
        from_file: Whether a file names identities' parts.
    """
    sizes = images["calibration"].clip(upper=config.max_images_per_identity).to_numpy(np.int64)
    pairs = min(config.max_impostor_pairs, int(sizes.sum() ** 2 - (sizes**2).sum()) // 2)
    every = pd.concat(list(images.values())).clip(upper=config.max_images_per_identity)
    offered, refused = ["eer", "accuracy"], {}
    for target in sorted(config.fmr_targets, reverse=True):
        reason = why_unsupported(target, pairs, len(sizes))
        if reason:
            ways = _ways_out(target, every, split, config, from_file)
            refused[operating_point_name(target)] = f"{reason} What helps: {' or '.join(ways)}."
        else:
            offered.append(operating_point_name(target))
    return Support(offered, refused)


def _ways_out(
    target: float, every: pd.Series[int], split: SplitConfig, config: CalibrationConfig, from_file: bool
) -> Iterator[str]:
    identities = len(every)
    needed = _identities_needed(target, every.mean())
    if why_unsupported(target, config.max_impostor_pairs, sys.maxsize):
        yield "a larger calibration.max_impostor_pairs"
    elif from_file:
        yield f"{needed:,} calibration identities in split_file"
    elif needed > _LARGEST_SHARE * identities:
        yield f"about {math.ceil(needed / max(split.calibration, 0.01)):,} identities with as many images each"
    elif needed > round(split.calibration * identities):
        yield f"split.calibration: {math.ceil(100 * needed / identities) / 100:g} with split.balance: exact"
    elif split.balance == "hash":
        yield "split.balance: exact"
    else:
        yield "more images of each identity"


def _identities_needed(target: float, images: float) -> int:
    """The fewest identities with this many images each that support a target."""
    return next(n for n in count(2) if not why_unsupported(target, int(math.comb(n, 2) * images**2), n))
