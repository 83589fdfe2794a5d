"""A user's own protocols on the images of a data folder: only what the split keeps for the test is measured."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from siamese_core.errors import DataError
from siamese_core.manifest import Manifest
from siamese_core.one_shot import one_shot_layout
from siamese_core.pair_files import PairList, read_pairs_of
from siamese_core.pairs import Indices
from siamese_core.split import Split

_EXAMPLES = 5


def read_held_out_pairs(path: Path, manifest: Manifest, split: Split) -> PairList:
    """Reads a file of pairs of the manifest's images, all of test identities.

    Args:
        path: CSV `path_a,path_b,same[,fold]` with paths as in the manifest (below `data_dir`), or LFW's format, whose
            NAME is a folder anywhere below `data_dir`.
        manifest: The images that there are; their files are not looked at.
        split: Their parts.

    Raises:
        DataError: The file is wrong, an image is unknown or in quarantine, or an identity is not in the test part:
            the encoder or the thresholds have seen it, and what such a pair measures is no promise about strangers.
    """
    listed = read_pairs_of(path, _InManifest(manifest))
    identities = manifest.ok["identity"].to_numpy()[rows_of(manifest, listed.images)]
    _refuse_seen(sorted(set(identities.tolist())), split, path)
    return listed


def rows_of(manifest: Manifest, images: list[str]) -> Indices:
    """(n,) int64 rows of the image store, by the paths of readable images."""
    paths = manifest.ok["path"].to_numpy().astype(str)
    order = np.argsort(paths, kind="stable")
    return order[np.searchsorted(paths, images, sorter=order)]


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


class _InManifest:
    """Looks for images among the files that ingest found."""

    place = "among the readable images of data_dir"
    advice = "Remove their pairs, mend the files, or write each path as it is below data_dir, such as {}."

    def __init__(self, manifest: Manifest) -> None:
        table = manifest.table
        self._reasons = dict(zip(manifest.quarantined["path"], manifest.quarantined["reason"], strict=True))
        self._paths = set(table["path"].tolist())
        self._folders = {folder for identity in table["identity"].unique() for folder in _with_parents(identity)}
        self.advice = self.advice.format(next(iter(manifest.ok["path"]), "NAME/1.jpg"))

    def folders(self) -> Iterable[str]:
        """Every folder with an image at some depth."""
        return self._folders

    def why_not(self, image: str) -> str | None:
        """Whether it is in quarantine, and for what reason, or unknown."""
        if image in self._reasons:
            return f"in quarantine: {self._reasons[image]}"
        if image in self._paths:
            return None
        return "no such image" if posixpath.dirname(image) in self._folders else "no such folder"


def _with_parents(folder: str) -> Iterable[str]:
    while folder:
        yield folder
        folder = posixpath.dirname(folder)


def _refuse_seen(identities: list[str], split: Split, path: Path) -> None:
    parts = dict(zip(split.table["identity"], split.table["split"], strict=True))
    seen = [(identity, parts[identity]) for identity in identities if parts[identity] != "test"]
    if not seen:
        return
    examples = ", ".join(f"{identity} ({part})" for identity, part in seen[:_EXAMPLES])
    more = " …" if len(seen) > _EXAMPLES else ""
    raise DataError(
        f"{path} compares {len(identities):,} identities, of which {len(seen):,} do not test: {examples}{more}. "
        "Training or calibration sees them, so the figure would be no promise about strangers. List every identity of "
        "the file as test in split_file (a CSV identity,split), or remove these pairs."
    )
