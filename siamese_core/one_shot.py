"""N-way one-shot classification: which of N images, one an identity, shows the identity of another image?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from siamese_core.errors import DataError
from siamese_core.pairs import Indices, check_embeddings, labels_of


@dataclass(frozen=True)
class OneShot:
    """What was measured.

    Attributes:
        error: Share of the queries whose nearest support image is of another identity; the mean over groups.
        groups: The error of each group, in the order of their numbers.
        queries: How many queries were asked in all.
    """

    error: float
    groups: list[float]
    queries: int


@dataclass(frozen=True)
class OneShotResult:
    """What one-shot tasks over folders of images measured.

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


@dataclass(frozen=True)
class OneShotLayout:
    """Who and what a folder's images show.

    Attributes:
        rows: (n,) int64, which of the paths take part.
        labels: (n,) int64 identities, 0 to I − 1.
        groups: (I,) int64, the group of each identity.
        sources: (n,) int64.
        group_names: The groups' names, `.` for the root.
        named_sources: Whether file names tell the sources.
    """

    rows: Indices
    labels: Indices
    groups: Indices
    sources: Indices
    group_names: list[str]
    named_sources: bool


def one_shot_layout(paths: list[str]) -> OneShotLayout:
    """Reads identities, groups and sources from paths.

    The identity is the image's folder, the group that folder's parent. The source is the text after the last `_` of
    the file's name without its ending (all of it without a `_`), if every identity has the same of them, once each
    (Omniglot's drawers: `0709_01.png`). Otherwise an identity's images are numbered in the order of their names, and
    a number is a source. Identities with one image, and groups with one such identity, are left out.

    Args:
        paths: Below the root, `/`-joined.

    Raises:
        DataError: No group has two identities of two images.
    """
    folders = [str(PurePosixPath(path).parent) for path in paths]
    taking_part = _with_rivals(folders)
    rows = np.array([row for row, folder in enumerate(folders) if folder in taking_part], np.int64)
    if not len(rows):
        raise DataError(
            f"None of the {len(set(folders)):,} folders of images can be asked about: one-shot classification needs a "
            "folder with at least 2 folders, each with at least 2 images."
        )
    labels, identities = labels_of([folders[row] for row in rows])
    groups, group_names = labels_of([str(PurePosixPath(identity).parent) for identity in identities])
    names = [PurePosixPath(paths[row]).name for row in rows]
    named = _named_sources(names, labels)
    sources = _numbered_sources(names, labels) if named is None else named
    return OneShotLayout(rows, labels, groups, sources, group_names, named is not None)


def _with_rivals(folders: Iterable[str]) -> set[str]:
    """The folders of at least 2 images with at least one other such folder beside them."""
    identities = [folder for folder, images in Counter(folders).items() if images >= 2]
    in_group = Counter(PurePosixPath(folder).parent for folder in identities)
    return {folder for folder in identities if in_group[PurePosixPath(folder).parent] >= 2}


def _named_sources(names: list[str], labels: Indices) -> Indices | None:
    """(n,) sources by the end of the names, or None where the identities do not share them."""
    ends = [PurePosixPath(name).stem.rpartition("_")[2] for name in names]
    of_identity: dict[int, list[str]] = defaultdict(list)
    for label, end in zip(labels.tolist(), ends, strict=True):
        of_identity[label].append(end)
    shared = {tuple(sorted(found)) for found in of_identity.values()}
    if len(shared) > 1 or len(set(ends)) != len(next(iter(shared))):
        return None
    return labels_of(ends)[0]


def _numbered_sources(names: list[str], labels: Indices) -> Indices:
    sources = np.empty(len(names), np.int64)
    count: Counter[int] = Counter()
    for row in sorted(range(len(names)), key=lambda row: names[row]):
        label = int(labels[row])
        sources[row] = count[label]
        count[label] += 1
    return sources


def evaluate_one_shot(embeddings: npt.NDArray[np.floating], paths: list[str], way: int, seed: int = 0) -> OneShotResult:
    """Measures an encoder by one-shot tasks within the folders of a folder tree.

    Args:
        embeddings: (N, D) floats of length 1.
        paths: The N images, below the root, `/`-joined; `one_shot_layout` reads identities, groups and sources.
        way: Identities in a task.
        seed: Of the draws.

    Raises:
        DataError: No group has two identities of two images, or an embedding is not finite.
    """
    layout = one_shot_layout(paths)
    found = one_shot(embeddings[layout.rows], layout.labels, layout.groups, layout.sources, way, seed=seed)
    several = len(found.groups) > 1
    return OneShotResult(
        way=way,
        error=found.error,
        standard_error=float(np.std(found.groups, ddof=1) / len(found.groups) ** 0.5) if several else None,
        groups=dict(zip(layout.group_names, found.groups, strict=True)),
        smallest_group=int(np.bincount(layout.groups).min()),
        queries=found.queries,
        identities=len(layout.groups),
        images=len(layout.rows),
        sources="names" if layout.named_sources else "numbers",
    )


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
