"""Whom a folder shows: the part of its path that names the identity, and the identities that a user merges."""

from __future__ import annotations

import csv
import logging
import posixpath
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from siamese_core.config import DataConfig, IdentityRule
from siamese_core.data.names import Names, nfc
from siamese_core.errors import DataError, examples
from siamese_core.input_file import reading_csv

logger = logging.getLogger(__name__)

_HEADER = ["identity", "into"]


def name_identities(table: pd.DataFrame, config: DataConfig) -> pd.DataFrame:
    """Give every row of a manifest's table that lies in a folder its identity.

    Args:
        table: The manifest's table; `identity` is empty where a file has none.
        config: The rule, and the merge file.

    Raises:
        DataError: The merge file is wrong.
    """
    folders = table["path"].map(posixpath.dirname).where(table["identity"] != "", "")
    identities = {folder: identity_of(folder, config.identity) for folder in folders.unique()}
    if config.merge_file:
        targets = read_merge_file(Path(config.merge_file).expanduser(), Names(identities.values()))
        identities = {folder: targets.get(identity, identity) for folder, identity in identities.items()}
    return table.assign(identity=folders.map(identities).astype("str"))


def identity_of(folder: str, rule: IdentityRule | None) -> str:
    """The identity of a folder below `data_dir`, in NFC.

    Args:
        folder: Joined by "/".
        rule: `first_level`, `leaf`, `path`, or None, which is `path`.
    """
    parts = nfc(folder).split("/")
    return parts[0] if rule == "first_level" else parts[-1] if rule == "leaf" else "/".join(parts)


def read_merge_file(path: Path, names: Names) -> dict[str, str]:
    """Read a CSV with the columns `identity,into`.

    Args:
        path: The file, UTF-8.
        names: The identities that there are.

    Returns:
        Identity → the identity that its images count as.

    Raises:
        DataError: The file cannot be read, a row is wrong, or none of its identities has an image.
    """
    into: dict[str, str] = {}
    strangers: list[str] = []
    for line, identity, target in _rows(path):
        name = names.find(identity)
        if name is None:
            strangers.append(identity)
            continue
        new = target if names.find(target) == target else nfc(target.strip().strip("/"))
        if into.setdefault(name, new) != new:
            raise DataError(f"{path}, line {line}: merges {name!r} into {new!r} and into {into[name]!r}; choose one.")
    if strangers and not into:
        raise DataError(f"None of the {len(strangers)} identities in {path} has a file, such as {strangers[0]!r}.")
    if strangers:
        logger.warning(f"{path} merges {len(strangers)} identities without a file: {examples(strangers)}")
    return _without_chains(into, path)


def _rows(path: Path) -> Iterator[tuple[int, str, str]]:
    with reading_csv(path, f"data.merge_file {path}"), path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = [name.strip() for name in next(reader, [])]
        if header != _HEADER:
            raise DataError(f"data.merge_file {path} has the columns {header}; it needs identity,into.")
        for cells in reader:
            if not any(map(str.strip, cells)):
                continue
            if len(cells) != len(_HEADER) or not all(map(str.strip, cells)):
                raise DataError(
                    f"{path}, line {reader.line_num}: expected two names, identity,into, but found {cells}."
                )
            yield reader.line_num, cells[0], cells[1]


def _without_chains(into: dict[str, str], path: Path) -> dict[str, str]:
    for identity, target in into.items():
        further = into.get(target, target)
        if further != target:
            raise DataError(
                f"{path} merges {identity!r} into {target!r}, and that into {further!r}; write the last in both rows."
            )
    return into
