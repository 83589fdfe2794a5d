"""Installed distributions, and the environments that are made of them."""

import subprocess
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

UV = Path(sys.executable).parent / "uv"


def closure(requirements: list[str]) -> set[str]:
    """Names of the installed distributions that the requirements lead to, themselves included."""
    waiting = [Requirement(text) for text in requirements]
    visited: set[tuple[str, str]] = set()
    installed: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        for extra in ("", *requirement.extras):
            key = (canonicalize_name(requirement.name), extra)
            if key in visited:
                continue
            visited.add(key)
            try:
                needs = distribution(requirement.name).requires or []
            except PackageNotFoundError:  # of an extra that is not installed here
                continue
            installed.add(key[0])
            waiting += [
                need for need in map(Requirement, needs) if not need.marker or need.marker.evaluate({"extra": extra})
            ]
    return installed


def link(names: set[str], environment: Path) -> None:
    """Put installed distributions into an empty environment by links: in no time, and from no cache."""
    (target,) = environment.glob("lib/*/site-packages")
    source = Path(sysconfig.get_path("purelib"))
    for name in names:
        tops = {file.parts[0] for file in distribution(name).files or [] if ".." not in file.parts}
        for top in tops - {"__pycache__"}:
            if not (target / top).exists():
                (target / top).symlink_to(source / top)


def uv(*arguments: str | Path) -> None:
    """Run uv.

    Raises:
        AssertionError: uv failed.
    """
    done = subprocess.run([str(UV), *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
