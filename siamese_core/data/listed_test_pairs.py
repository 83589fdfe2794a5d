"""Pairs that a user brings for the test part: every image is readable, every identity is held out."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

from siamese_core.data.manifest import Manifest
from siamese_core.data.names import Names
from siamese_core.data.pair_lists import PairList, read_pairs_of, rows_of
from siamese_core.data.split import Split
from siamese_core.errors import DataError, examples


def read_held_out_pairs(path: Path, manifest: Manifest, split: Split) -> PairList:
    """Read a file of pairs of the manifest's images, all of test identities.

    Args:
        path: CSV `path_a,path_b,same[,fold]` with paths as in the manifest (below `data_dir`), or LFW's format, whose
            NAME is a folder anywhere below `data_dir`.
        manifest: The images that there are; their files are not looked at.
        split: Their parts.

    Raises:
        DataError: The file is wrong, an image is unknown or in quarantine, or an identity is not in the test part:
            the encoder or the thresholds have seen it, and its error rates are no promise about strangers.
    """
    pairs = read_pairs_of(path, _ImagesOfManifest(manifest))
    identities = manifest.ok["identity"].to_numpy()[rows_of(manifest, pairs.images)]
    _refuse_seen(sorted(set(identities.tolist())), split, path)
    return pairs


class _ImagesOfManifest:
    """Images that ingest found."""

    place = "among the readable images of data_dir"

    def __init__(self, manifest: Manifest) -> None:
        unusable = manifest.table[manifest.table["status"] != "ok"]
        reasons = unusable["status"].replace("quarantined", "in quarantine") + ": " + unusable["reason"]
        self._reasons: dict[str, str] = dict(zip(unusable["path"], reasons, strict=True))
        self._names = Names(manifest.table["path"])
        in_folders = set(map(posixpath.dirname, manifest.judged["path"]))
        self._folders = {folder for deepest in in_folders for folder in _from_root(deepest)}
        example = next(iter(manifest.ok["path"]), "NAME/1.jpg")
        self.advice = (
            f"Remove their pairs, mend the files, or write each path as it is below data_dir, such as {example}."
        )

    def folders(self) -> Iterable[str]:
        """Every folder with an image at some depth."""
        return self._folders

    def find(self, image: str) -> str:
        """The path as the manifest has it."""
        return self._names.find(image) or posixpath.normpath(image.strip())

    def why_not(self, image: str) -> str | None:
        """Tell a file in quarantine or an ignored one, with its reason, from an unknown one."""
        if image in self._reasons:
            return self._reasons[image]
        if self._names.find(image):
            return None
        return "no such image" if posixpath.dirname(image) in self._folders else "no such folder"


def _from_root(folder: str) -> Iterable[str]:
    """The folders on the way to a folder, and itself."""
    return accumulate(folder.split("/"), posixpath.join)


def _refuse_seen(identities: list[str], split: Split, path: Path) -> None:
    parts = dict(zip(split.table["identity"], split.table["split"], strict=True))
    seen = [f"{identity} ({parts[identity]})" for identity in identities if parts[identity] != "test"]
    if not seen:
        return
    raise DataError(
        f"{path} compares {len(identities):,} identities, of which {len(seen):,} are not held out for testing: "
        f"{examples(seen)}. Training or calibration sees them, so their error rates say nothing about strangers. List "
        "every identity of the file as test in split_file (a CSV identity,split), or remove these pairs."
    )
