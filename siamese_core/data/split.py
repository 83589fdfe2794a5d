"""The split: which identities train, which calibrate, which test."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from siamese_core.arrays import Indices
from siamese_core.artifact import read_table, write_table
from siamese_core.config import Part, SplitConfig
from siamese_core.data.manifest import Manifest
from siamese_core.data.names import Names, nfc
from siamese_core.errors import DataError, examples

logger = logging.getLogger(__name__)

PARTS: tuple[Part, ...] = ("train", "calibration", "test")
# Fewest identities of a part with at least two images each, for there to be thresholds and errors.
MIN_IDENTITIES = 2


@dataclass(frozen=True)
class Split:
    """Every identity's part.

    Attributes:
        table: Columns `identity` and `split`, one row an identity, sorted.
    """

    table: pd.DataFrame

    def identities(self, part: Part) -> list[str]:
        """The identities of a part, sorted."""
        parts = ("calibration", "test") if part == "held_out" else (part,)
        return self.table.loc[self.table["split"].isin(parts), "identity"].tolist()

    def rows(self, manifest: Manifest, part: Part) -> Indices:
        """Rows of the image store whose identity is in a part, (n,) int64, ascending."""
        return np.flatnonzero(manifest.ok["identity"].isin(self.identities(part)).to_numpy())

    def images(self, manifest: Manifest) -> dict[Part, pd.Series[int]]:
        """Part → number of readable images of each of its identities."""
        sizes = manifest.ok.groupby("identity").size()
        return {part: sizes.reindex(self.identities(part)) for part in (*PARTS, "held_out")}

    def without(self, identities: Iterable[str]) -> Self:
        """The same split, with some identities in no part."""
        return type(self)(self.table[~self.table["identity"].isin(list(identities))].reset_index(drop=True))

    def save(self, folder: Path) -> None:
        """Write `split.parquet`."""
        write_table(folder / "split.parquet", self.table)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `split.parquet`."""
        return cls(read_table(folder / "split.parquet"))

    def summary(self) -> dict[str, Any]:
        """The number of identities of each part."""
        return {part: len(self.identities(part)) for part in PARTS}


def make_split(manifest: Manifest, config: SplitConfig, split_file: Path | None = None) -> Split:
    """Assign every identity to a part.

    An identity's part follows from the salted hash of its name alone, so it never changes when others come or go; with
    `balance: exact` from the order of the hashes, so that the shares are exact. Where `split_file` lists an identity,
    the file wins. An identity that the file does not list follows the hash, except that it never joins `test` when the
    file names test identities: then the file defines the test.

    Args:
        manifest: The images.
        config: Shares and salt.
        split_file: CSV with the columns `identity,split`; split is train, calibration or test.

    Returns:
        The split of all identities with a readable image.

    Raises:
        DataError: The file is wrong, or a part has too few identities.
    """
    images_per_identity = manifest.ok.groupby("identity").size()
    assigned = read_split_file(split_file, Names(images_per_identity.index)) if split_file else {}
    _refuse_strangers(assigned, images_per_identity.index, split_file)
    draw = _draw(images_per_identity.drop(list(assigned), errors="ignore"), config, "test" not in assigned.values())
    parts = {name: assigned.get(name) or draw[name] for name in images_per_identity.index}
    table = pd.DataFrame({"identity": list(parts), "split": list(parts.values())}).astype("str")
    _check_sizes(table, images_per_identity, config, from_file=bool(assigned))
    return Split(table)


def hashed_part(identity: str, config: SplitConfig, may_test: bool = True) -> str:
    """The part that an identity's salted hash puts it in; with `may_test` False, test is left out."""
    position = _position(identity, config)
    if position < config.test:
        if may_test:
            return "test"
        position /= max(config.test, 1e-12)  # uniform again, for a second draw between the other two
        return "calibration" if position < config.calibration else "train"
    return "calibration" if position < config.test + config.calibration else "train"


def exact_parts(identities: Iterable[str], config: SplitConfig, may_test: bool = True) -> dict[str, str]:
    """Draw parts whose sizes are the configured shares, rounded, and enough for pairs where that can be.

    The lowest hashes test, the next ones calibrate: an identity changes its part only where the border between two
    parts moves past its hash.
    """
    order = sorted(identities, key=lambda identity: _position(identity, config))
    least = MIN_IDENTITIES if len(order) >= MIN_IDENTITIES * len(PARTS) else 0
    test = max(least, round(config.test * len(order))) if may_test else 0
    calibration = max(least, round(config.calibration * len(order)))
    parts = ["test"] * test + ["calibration"] * calibration
    return dict(zip(order, parts + ["train"] * (len(order) - len(parts)), strict=True))


def _draw(images: pd.Series[int], config: SplitConfig, may_test: bool) -> dict[str, str]:
    """Parts of identities that no file names; exact shares are of those with pairs and of the others by themselves."""
    if config.balance == "hash":
        return {name: hashed_part(name, config, may_test) for name in images.index}
    pairable, alone = images.index[images >= 2], images.index[images < 2]
    return exact_parts(pairable, config, may_test) | exact_parts(alone, config, may_test)


def _position(identity: str, config: SplitConfig) -> float:
    """The salted hash of a name, uniform from 0 to 1."""
    digest = hashlib.sha256(f"{config.salt}\0{nfc(identity)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def read_split_file(path: Path, names: Names) -> dict[str, str]:
    """Read a CSV with the columns `identity,split`.

    Args:
        path: The file.
        names: The identities that there are.

    Returns:
        Identity → part; an identity that there is not stays as it is written.

    Raises:
        DataError: The file is missing, its header or a part's name is wrong, or an identity is listed twice.
    """
    if not path.is_file():
        raise DataError(f"split_file {path} does not exist.")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"split_file {path} cannot be read as CSV: {error}") from error
    if not {"identity", "split"} <= set(table.columns):
        raise DataError(f"split_file {path} has the columns {list(table.columns)}; it needs identity,split.")
    table["identity"] = [names.find(text) or text.strip().strip("/") for text in table["identity"]]
    table["split"] = table["split"].str.strip()
    for line, part in enumerate(table["split"], start=2):
        if part not in PARTS:
            raise DataError(
                f"split_file {path}, line {line}: split is {part!r}, but must be one of {', '.join(PARTS)}."
            )
    for identity, parts in table.groupby("identity")["split"]:
        if parts.nunique() > 1:
            raise DataError(f"split_file {path} puts {identity!r} into {' and '.join(sorted(set(parts)))}; choose one.")
    return dict(zip(table["identity"], table["split"], strict=True))


def _refuse_strangers(assigned: dict[str, str], identities: Iterable[str], path: Path | None) -> None:
    strangers = sorted(set(assigned) - set(identities))
    if assigned and len(strangers) == len(assigned):
        raise DataError(
            f"None of the {len(assigned)} identities in split_file {path} has an image, such as {strangers[0]!r}. "
            f"An identity is a folder's path below data_dir, such as {next(iter(identities))!r}."
        )
    if strangers:
        names = examples(strangers)
        logger.warning(f"split_file {path} lists {len(strangers)} identities without a readable image: {names}")


def _check_sizes(table: pd.DataFrame, images: pd.Series[int], config: SplitConfig, from_file: bool) -> None:
    pairable = images.index[images >= 2]
    counts = table.loc[table["identity"].isin(pairable), "split"].value_counts().reindex(PARTS, fill_value=0)
    short = [part for part in PARTS if counts[part] < MIN_IDENTITIES]
    if not short:
        return
    sizes = ", ".join(f"{part} {size} (needs {MIN_IDENTITIES})" for part, size in counts.items())
    raise DataError(
        f"Too few identities with at least 2 images in {' and '.join(short)}: {sizes}; "
        f"{len(images)} identities in all, {len(pairable)} of them with at least 2 images. "
        f"{_way_out(pairable.tolist(), config, from_file)}"
    )


def _way_out(names: list[str], config: SplitConfig, from_file: bool) -> str:
    if from_file:
        return "List more identities with several images for it in split_file."
    exact = list(exact_parts(names, config).values())
    if config.balance == "hash" and all(exact.count(part) >= MIN_IDENTITIES for part in PARTS):
        return "split.balance: exact fills every part. More identities are better."
    return "Add identities with several images, or assign them with split_file."
