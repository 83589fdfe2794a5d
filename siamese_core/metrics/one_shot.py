"""N-way one-shot classification: which of N images, one an identity, shows the identity of another image?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from siamese_core.arrays import Indices, check_embeddings
from siamese_core.errors import DataError


@dataclass(frozen=True)
class OneShot:
    """Errors of one-shot tasks.

    Attributes:
        error: Share of the queries whose nearest support image is of another identity; the mean over groups.
        groups: The error of each group, in the order of their numbers.
        queries: How many queries were asked in all.
    """

    error: float
    groups: list[float]
    queries: int


def one_shot(
    embeddings: npt.NDArray[np.floating],
    labels: Indices,
    groups: Indices,
    sources: Indices,
    way: int = 20,
    draws: int = 200,
    seed: int = 0,
) -> OneShot:
    """One-shot error within groups, between two different sources (Lake et al. 2015, "One-shot classification").

    A draw takes up to `way` identities of one group and two sources (drawers, cameras). The support images are by
    the one, the queries by the other.

    Args:
        embeddings: (N, D) floats of length 1.
        labels: (N,) int64 identities, 0 to I − 1.
        groups: (I,) int64, the group of each identity, 0 to G − 1.
        sources: (N,) int64, who made each image, 0 to S − 1; one image for an identity and a source.
        way: Identities in a draw; a smaller group takes part with all of its own.
        draws: For each group.
        seed: Of the draws.

    Raises:
        DataError: No two sources have images of the same identities in some group, or an embedding is not finite.
    """
    check_embeddings(embeddings)
    rng = np.random.default_rng(seed)
    image_of = np.full((len(groups), int(sources.max()) + 1), -1, np.int64)  # (I, S)
    image_of[labels, sources] = np.arange(len(labels))
    errors, queries = [], 0
    for group in range(int(groups.max()) + 1):
        table = image_of[groups == group]  # (members, S)
        wrong = [_draw(embeddings, table, way, rng) for _ in range(draws)]
        errors.append(float(np.concatenate(wrong).mean()))
        queries += sum(map(len, wrong))
    return OneShot(float(np.mean(errors)), errors, queries)


def _draw(embeddings: npt.NDArray[np.floating], table: Indices, way: int, rng: np.random.Generator) -> np.ndarray:
    """(w,) bool: which queries of one draw got the wrong answer."""
    members = rng.permutation(len(table))[:way]
    complete = np.flatnonzero((table[members] >= 0).all(axis=0))
    if len(complete) < 2:
        raise DataError(f"No two sources have images of the same {len(members)} identities.")
    first, second = rng.permutation(complete)[:2]
    support, query = embeddings[table[members, first]], embeddings[table[members, second]]  # (w, D)
    return np.asarray((query @ support.T).argmax(axis=1) != np.arange(len(members)))
