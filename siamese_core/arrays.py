"""The arrays that flow, by name, and the checks that go with them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from siamese_core.errors import DataError

# (N, H, W, C) uint8 images.
Pixels = npt.NDArray[np.uint8]
# (n,) or (n, 2) int64 positions of images, or pairs of them.
Indices = npt.NDArray[np.int64]
# (N,) int64 identities of images, 0 to I − 1.
Labels = npt.NDArray[np.int64]
# (N, D) float32 of length 1.
Embeddings = npt.NDArray[np.float32]
# (n,) float64 squared L2.
Distances = npt.NDArray[np.float64]


def labels_of(identities: list[str]) -> tuple[Indices, list[str]]:
    """Identities as numbers 0 to I − 1, and the sorted names behind the numbers."""
    names, labels = np.unique(np.array(identities, dtype=object), return_inverse=True)
    return labels.astype(np.int64), names.tolist()


def positions_of_each(labels: Labels, count: int = 0) -> list[Indices]:
    """The positions of each of the labels 0 to I − 1, ascending; I is at least `count`."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.cumsum(np.bincount(labels, minlength=count))[:-1])


def blocks(count: int, size: int) -> Iterator[slice]:
    """Slices of `size` that cover 0 to `count` − 1; the last may reach beyond."""
    return (slice(start, start + size) for start in range(0, count, size))


def check_embeddings(embeddings: npt.NDArray[np.floating]) -> None:
    """Refuse embeddings that cannot be compared.

    Raises:
        DataError: An embedding is not finite.
    """
    if bad := int((~np.isfinite(embeddings).all(axis=1)).sum()):
        raise DataError(f"{bad} of {len(embeddings)} embeddings are not finite numbers.")


def check_finite(**distances: Distances) -> None:
    """Refuse distances that cannot be measured, given by the kind of their pairs: `genuine`, `impostor`.

    Raises:
        DataError: There are no distances of a kind, or not all of them are finite.
    """
    for kind, values in distances.items():
        if len(values) == 0:
            raise DataError(f"There are no {kind} pairs.")
        if bad := np.count_nonzero(~np.isfinite(values)):
            raise DataError(f"{bad} {kind} distances are not finite numbers.")
