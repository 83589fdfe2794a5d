"""The layout of a folder tree for one-shot tasks within its folders: who and what each image shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from siamese_core.arrays import Indices, labels_of
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split
from siamese_core.errors import DataError


@dataclass(frozen=True)
class OneShotLayout:
    """Identities, groups and sources of a folder's images.

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
    """Read identities, groups and sources from paths.

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


def one_shot_paths(manifest: Manifest, split: Split) -> list[str]:
    """Paths of the test images, in the order of their rows, after a look whether one-shot tasks can be made of them.

    Raises:
        DataError: No folder has two test identities of two images.
    """
    paths = manifest.ok["path"].iloc[split.rows(manifest, "test")].tolist()
    try:
        one_shot_layout(paths)
    except DataError as error:
        raise DataError(
            f"evaluation.one_shot: the test identities cannot be asked about. {error} Set evaluation.one_shot to 0, or "
            "give whole folders to the test with split_file."
        ) from error
    return paths


def _with_rivals(folders: Iterable[str]) -> set[str]:
    """The folders of at least 2 images with at least one other such folder beside them."""
    identities = [folder for folder, images in Counter(folders).items() if images >= 2]
    in_group = Counter(PurePosixPath(folder).parent for folder in identities)
    return {folder for folder in identities if in_group[PurePosixPath(folder).parent] >= 2}


def _named_sources(names: list[str], labels: Indices) -> Indices | None:
    """(n,) sources by the end of the names, or None where the identities do not share them."""
    sources, ends = labels_of([PurePosixPath(name).stem.rpartition("_")[2] for name in names])
    combinations = len(np.unique(labels * len(ends) + sources))
    return sources if combinations == len(labels) == (labels.max() + 1) * len(ends) else None


def _numbered_sources(names: list[str], labels: Indices) -> Indices:
    order = np.array(sorted(range(len(names)), key=lambda row: (labels[row], names[row])))
    sources = np.empty(len(names), np.int64)
    sources[order] = np.arange(len(names)) - np.searchsorted(labels[order], labels[order])
    return sources
