"""A cache that notices changed code.

ZenML's own cache key covers a step's function but nothing that it imports. Here each step names all first-party
files that it can reach by imports, and their contents join the key.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from zenml.config.cache_policy import CachePolicy

ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("siamese_core", "siamese_integrations", "steps")


def depends_on_code(step_file: str) -> CachePolicy:
    """A cache policy for the step that is defined in a file: pass `__file__`."""
    return CachePolicy(file_dependencies=[path.relative_to(ROOT).as_posix() for path in reachable(Path(step_file))])


def reachable(start: Path) -> list[Path]:
    """The file itself and every first-party file that it imports, directly or not, sorted.

    A package's `__init__.py` counts but is not followed: it may list everything for convenience. The style sheets and
    scripts of a package count with it.
    """
    found: set[Path] = set()
    waiting = [start.resolve()]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        if path.suffix == ".py" and path.name != "__init__.py":
            waiting.extend(_imported(path))
    return sorted(found)


def _imported(path: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            if name.split(".")[0] in _PACKAGES:
                yield from _files(name)


def _files(module: str) -> Iterator[Path]:
    base = ROOT.joinpath(*module.split("."))
    yield from (path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file())
    yield from (path for pattern in ("*.css", "*.js") for path in base.glob(pattern))
