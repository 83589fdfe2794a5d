"""Names of folders and files as people and systems spell them.

A Mac may write é as two characters (NFD) where everyone else writes one (NFC): names are compared in NFC.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

# Blanks, seen and unseen, and the punctuation of names.
_SEPARATORS = re.compile(r"[\s\u200b-\u200f\ufeff\u00ad_.,'’‐-―-]+")
# `p1 1` is not `p11`.
_BLANK_BESIDE_A_LETTER = re.compile(r"(?<!\d) | (?!\d)")


def nfc(name: str) -> str:
    """The composed form of a name."""
    return unicodedata.normalize("NFC", name)


class Names:
    """Names that there are, found by what a user's file calls them.

    The exact name wins: a folder may end in a blank. Then the name counts in NFC, then without slashes and blanks
    around its parts.

    Args:
        names: As they are, `/`-joined.
    """

    def __init__(self, names: Iterable[str]) -> None:
        names = list(names)
        self._names = {nfc(name): name for name in names} | {name: name for name in names}
        for name in names:
            self._names.setdefault(_bare(name), name)

    def find(self, text: str) -> str | None:
        """The name as it is; None where there is none."""
        return self._names.get(text) or self._names.get(nfc(text)) or self._names.get(_bare(text)) or None


def look_alikes(names: Iterable[str]) -> list[list[str]]:
    """Groups of names that differ in case, blanks, punctuation or Unicode form only, and may be one person's."""
    alike = defaultdict(list)
    for name in sorted(set(names)):
        alike[likeness(name)].append(name)
    return [group for key, group in alike.items() if len(group) > 1 and len(key) > 1]  # `A` and `a` are two letters


def quoted(name: str) -> str:
    """A name in which blanks that are easily missed can be seen."""
    return name if name == " ".join(name.split()) and name.isprintable() else repr(name)


def _bare(name: str) -> str:
    parts = (part.strip() for part in nfc(name).split("/"))
    return "/".join(part for part in parts if part not in ("", "."))


def likeness(name: str) -> str:
    """A name without case, blanks, punctuation and Unicode form."""
    plain = _SEPARATORS.sub(" ", unicodedata.normalize("NFKC", name).casefold())
    return nfc(_BLANK_BESIDE_A_LETTER.sub("", plain))
