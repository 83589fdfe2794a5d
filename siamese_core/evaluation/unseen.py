"""Data without the calibration and test identities that trained a model: its errors on these are no promise."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from siamese_core.config import Part
from siamese_core.data.dataset import Dataset
from siamese_core.data.pair_lists import PairList, rows_of
from siamese_core.data.split import MIN_IDENTITIES
from siamese_core.errors import DataError, examples
from siamese_core.network.trained_on import TrainedOn

logger = logging.getLogger(__name__)

_HELD_OUT: tuple[Part, ...] = ("calibration", "test")


def unseen_by(trained_on: TrainedOn | None, data: Dataset, parts: Sequence[Part]) -> Dataset:
    """Leave the identities that trained a model out of calibration and test, and say how many.

    Args:
        trained_on: The model's record; with None, nobody is known to have.
        data: The data; the same object comes back where there is nobody to leave out.
        parts: Those that must keep enough identities to make pairs of.

    Raises:
        DataError: Too few identities stay.
    """
    if trained_on is None:
        return data
    members = {part: trained_on.among(data.split.identities(part)) for part in _HELD_OUT}
    if not any(members.values()):
        return data
    counts = ", ".join(
        f"{len(names):,} of {len(data.split.identities(part)):,} {part} identities"
        for part, names in members.items()
        if names
    )
    names = [name for part in _HELD_OUT for name in members[part]]
    words = f"{counts} trained this model or one that it started from ({examples(names)})"
    unseen = replace(data, split=data.split.without(names))
    images = unseen.split.images(data.manifest)
    stay = {part: int((images[part] >= 2).sum()) for part in parts}
    if short := [f"{part} {count:,}" for part, count in stay.items() if count < MIN_IDENTITIES]:
        raise DataError(
            f"{words}, and too few with at least 2 images stay without them: {', '.join(short)} (needs "
            f"{MIN_IDENTITIES}). Set training.warm_start: false or start from other weights, keep the earlier split "
            "(its shares, salt and split_file), or add new identities."
        )
    logger.info(f"left out: {words}")
    return unseen


def unseen_pairs(pairs: PairList, data: Dataset) -> PairList:
    """Leave out the listed pairs whose identities are not held out in `data`, and say how many.

    Raises:
        DataError: No genuine or no impostor pairs stay.
    """
    if not len(pairs.pairs):
        return pairs
    table = data.manifest.ok["identity"].to_numpy()
    held_out = np.isin(table[rows_of(data.manifest, pairs.images)], data.split.identities("held_out"))
    keep = held_out[pairs.pairs].all(axis=1)
    if keep.all():
        return pairs
    words = f"{int((~keep).sum()):,} of {len(pairs.same):,} listed pairs are of identities that trained this model"
    if not (pairs.same[keep].any() and (~pairs.same[keep]).any()):
        raise DataError(
            f"{words} or one that it started from, and no genuine or no impostor pair stays without them. Set "
            "training.warm_start: false, or list pairs of other identities."
        )
    logger.info(f"left out: {words}")
    folds = None if pairs.folds is None else pairs.folds[keep]
    numbers, positions = np.unique(pairs.pairs[keep], return_inverse=True)
    images = [pairs.images[image] for image in numbers]
    return replace(
        pairs, images=images, pairs=positions.reshape(-1, 2).astype(np.int32), same=pairs.same[keep], folds=folds
    )
