"""One-shot tasks among the images of held-out identities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from siamese_core.data.dataset import Dataset
from siamese_core.evaluation.one_shot_layout import one_shot_layout, one_shot_paths
from siamese_core.metrics.one_shot import one_shot
from siamese_core.network.embedding import Embedder


@dataclass(frozen=True)
class OneShotResult:
    """Errors of one-shot tasks over folders of images.

    Attributes:
        way: Identities in a task; a smaller group takes part with all of its own.
        error: Share of the queries that were answered wrongly; the mean over groups.
        standard_error: Of that mean, over the groups; None for one group.
        groups: The error of each group, by its folder's path (`.` is the root).
        smallest_group: Identities in the smallest group.
        queries: How many queries were asked in all.
        identities: That took part.
        images: That took part.
        sources: Who made support and query: `names` where file names tell, else `numbers`.
    """

    way: int
    error: float
    standard_error: float | None
    groups: dict[str, float]
    smallest_group: int
    queries: int
    identities: int
    images: int
    sources: str

    def __str__(self) -> str:
        error = self.standard_error
        spread = "" if error is None else f" ± {error:.2%} (standard error over {len(self.groups):,} groups)"
        return f"{self.way}-way one-shot error {self.error:.2%}{spread}, {self.queries:,} queries"


def measure_one_shot(embedder: Embedder, data: Dataset, way: int, seed: int) -> OneShotResult | None:
    """Errors of one-shot tasks among the test identities, or None for a `way` of 0."""
    if way == 0:
        return None
    paths = one_shot_paths(data.manifest, data.split)
    return evaluate_one_shot(embedder(data.part("test").rows), paths, way, seed)


def evaluate_one_shot(embeddings: npt.NDArray[np.floating], paths: list[str], way: int, seed: int = 0) -> OneShotResult:
    """Measure an encoder by one-shot tasks within the folders of a folder tree.

    Args:
        embeddings: (N, D) floats of length 1.
        paths: The N images, below the root, `/`-joined; `one_shot_layout` reads identities, groups and sources.
        way: Identities in a task.
        seed: Of the draws.

    Raises:
        DataError: No group has two identities of two images, or an embedding is not finite.
    """
    layout = one_shot_layout(paths)
    errors = one_shot(embeddings[layout.rows], layout.labels, layout.groups, layout.sources, way, seed=seed)
    several = len(errors.groups) > 1
    return OneShotResult(
        way=way,
        error=errors.error,
        standard_error=float(np.std(errors.groups, ddof=1) / len(errors.groups) ** 0.5) if several else None,
        groups=dict(zip(layout.group_names, errors.groups, strict=True)),
        smallest_group=int(np.bincount(layout.groups).min()),
        queries=errors.queries,
        identities=len(layout.groups),
        images=len(layout.rows),
        sources="names" if layout.named_sources else "numbers",
    )
