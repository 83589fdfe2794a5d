"""Folders that may hold one person under two names; the images of the two would count as impostors."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import get_args

from siamese_core.config import IdentityRule
from siamese_core.data.identities import identity_of
from siamese_core.data.names import likeness

# Identities of which each may be the same person's.
Group = list[str]

# One of these words in a folder's name makes it a part of a data set …
_PART_WORDS = """
train training test testing validation evaluation calibration gallery probe probes query queries holdout enrolment
enrollment
"""
# … and a name of nothing but these, numbers and single letters is a part, an occasion or a view: Val Kim is a person.
_OCCASION_WORDS = """
trn tst val valid dev devel development eval calib heldout enrol enroll
session sess ses day date visit take shot sequence seq trial round week month year capture phase recording rec burst
cam camera webcam phone mobile view angle pose video vid clip scan frame fold set subset split part batch
image img photo picture pic face crop cropped aligned raw original selfie passport extra more other misc old new
front frontal left right profile side back top indoor outdoor night morning evening before after
neutral smile smiling glasses mask masked unmasked rgb ir nir thermal visible
"""
_PARTS, _OCCASIONS = frozenset(_PART_WORDS.split()), frozenset(_OCCASION_WORDS.split())
_YEAR_OR_DATE = re.compile(r"(19|20)\d\d([-_. ]?\d\d){0,2}")
_WORD = re.compile(r"[^\W\d_]+")
_SHORTEST_NAME = 3
_MOST_OF_FEW = 4


def by_word(identities: Iterable[str]) -> list[Group]:
    """Identities that are equal but for folders such as `train` and `test`, or `session1` and `session2`.

    A group of more than half of the identities is no person, but a folder of people named `face1`, `face2` …
    """
    groups, names = defaultdict(list), sorted(set(identities))
    for identity in names:
        groups["/".join(likeness(part) for part in identity.split("/") if not _is_no_name(part))].append(identity)
    several = ((name.count("/"), group) for name, group in groups.items() if name and len(group) > 1)
    most = max(_MOST_OF_FEW, len(names) // 2)
    return [
        group
        for depth, group in several
        if len(group) <= most and any(identity.count("/") > depth for identity in group)
    ]


def nested(identities: Iterable[str]) -> list[Group]:
    """Identities whose folders lie in the folder of another identity, with that one."""
    names = set(identities)
    groups = defaultdict(list)
    for identity in sorted(names):
        parts = identity.split("/")
        above = next((name for i in range(1, len(parts)) if (name := "/".join(parts[:i])) in names), None)
        if above is not None:
            groups[above].append(identity)
    return [[above, *below] for above, below in groups.items()]


def recurring(identities: Iterable[str]) -> list[Group]:
    """Identities with the same names in many folders (`ann/1`, `ann/2`, `bob/1`, `bob/2`), or one name in several.

    Numbered names below few folders (`Greek/character01`, `Latin/character01`) are no sign: they are different.
    """
    deep = [identity.rpartition("/")[::2] for identity in sorted(set(identities)) if "/" in identity]
    above, below = Counter(folder for folder, _ in deep), Counter(name for _, name in deep)
    often = sum(below[name] > 1 for _, name in deep)
    if len(above) > len(below) and 2 * often >= len(deep):
        return _grouped([(folder, f"{folder}/{name}") for folder, name in deep])
    stems = Counter(_stem(name) for name in below)
    pairs = [(name, f"{folder}/{name}") for folder, name in deep if stems[_stem(name)] == 1]
    return _grouped([(name, identity) for name, identity in pairs if len(_stem(name)) >= _SHORTEST_NAME])


def answer(groups: list[Group]) -> str:
    """The setting that makes one identity of each group and keeps the groups apart."""
    for rule in get_args(IdentityRule):
        names = [{identity_of(identity, rule) for identity in group} for group in groups]
        if groups and all(len(group) == 1 for group in names) and len(set.union(*names)) == len(groups):
            return f"data.identity: {rule}"
    return "data.merge_file, a CSV identity,into"


def _is_no_name(folder: str) -> bool:
    words = [word.casefold() for word in _WORD.findall(folder)]
    if any(word in _PARTS for word in words) or _YEAR_OR_DATE.fullmatch(folder.strip()):
        return True
    long = [word for word in words if len(word) > 1]
    return bool(long) and all(word in _OCCASIONS or word.removesuffix("s") in _OCCASIONS for word in long)


def _grouped(pairs: list[tuple[str, str]]) -> list[Group]:
    groups = defaultdict(list)
    for key, identity in pairs:
        groups[key].append(identity)
    return [group for group in groups.values() if len(group) > 1]


def _stem(name: str) -> str:
    return "".join(_WORD.findall(name)).casefold()
