"""A cache that notices changed code.

ZenML's own cache key covers a step's function but nothing that it imports. Here each step names all first-party
files that it can reach by imports, and their contents join the key.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from zenml.config.cache_policy import CachePolicy

ROOT = Path(__file__).resolve().parents[1]
ASSETS = (".css", ".js", ".j2")
_PACKAGES = ("siamese_core", "siamese_integrations", "steps")


def depends_on_code(step_file: str) -> CachePolicy:
    """A cache policy for the step that is defined in a file: pass `__file__`."""
    return CachePolicy(file_dependencies=[path.relative_to(ROOT).as_posix() for path in reachable(Path(step_file))])


def reachable(start: Path) -> list[Path]:
    """Find the file itself and every first-party file that it imports or names, directly or not, sorted.

    The imports of a package's `__init__.py` do not count: it faces outward, and inside the repository every import is
    of the module that defines the name. A template, style sheet or script counts where its file name is written.
    """
    files: set[Path] = set()
    waiting = [start.resolve()]
    while waiting:
        path = waiting.pop()
        if path not in files:
            files.add(path)
            waiting += _dependencies(path)
    return sorted(files)


@cache
def _dependencies(path: Path) -> list[Path]:
    follow = path.suffix == ".py" and path.name != "__init__.py"
    return [*(_imports(path) if follow else ()), *_assets(path)]


def _imports(path: Path) -> Iterator[Path]:
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
    return (path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file())


def _assets(path: Path) -> Iterator[Path]:
    """Find the assets beside or below a file that it names."""
    text = path.read_text(encoding="utf-8")
    return (asset for asset in path.parent.rglob("*") if asset.suffix in ASSETS and asset.name in text)
