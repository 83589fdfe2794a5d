"""Links in the folder of a data set: no file is read twice under two names, and none from outside unasked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, NamedTuple

from siamese_core.data.ignored import ignored


class Verdict(NamedTuple):
    """The status of a link that is not read, and why."""

    status: Literal["ignored", "quarantined"]
    reason: str


class Links:
    """The links below a folder.

    Args:
        data_dir: The folder.
        follow: Whether links that lead out of it are read.
    """

    def __init__(self, data_dir: Path, follow: bool) -> None:
        self._root = os.path.realpath(data_dir)
        self._follow = follow
        self._targets: set[str] = set()

    def leave(self, folder: str, below: list[str]) -> list[str]:
        """Take the links that are not followed out of a list of the folders in a folder.

        Args:
            folder: Its path.
            below: Names of the folders in it, changed in place.

        Returns:
            Names of the links taken out.
        """
        links = [name for name in sorted(below) if not self._is_followed(os.path.join(folder, name))]
        below[:] = sorted(set(below) - set(links))
        return links

    def verdict(self, path: str) -> Verdict | None:
        """Judge a file, or a folder that was taken out; None where it is to be read.

        Args:
            path: Below the folder.
        """
        place = os.path.join(self._root, path)
        if not os.path.islink(place) or not os.path.exists(place):
            return None
        target = os.path.realpath(place)
        inside = self._inside(target)
        if inside is None and not self._follow:
            return Verdict("quarantined", f"a link out of data_dir, to {target}; data.follow_links: true reads it")
        if not os.path.isdir(place):
            return None
        return Verdict("ignored", f"a link to the folder {inside or target}, which is read under another name")

    def _is_followed(self, place: str) -> bool:
        if not os.path.islink(place):
            return True
        target = os.path.realpath(place)
        inside = self._inside(target)
        # A real folder keeps its own name, unless it is hidden, as in a store of links.
        follow = self._follow if inside is None else inside != "." and ignored(inside) is not None
        if not follow or target in self._targets:
            return False
        self._targets.add(target)
        return True

    def _inside(self, target: str) -> str | None:
        """The path below the folder, "." for itself; None where it lies outside."""
        path = os.path.relpath(target, self._root)
        return None if path == ".." or path.startswith("../") else path
