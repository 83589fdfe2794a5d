"""pyproject.toml, constraints.txt and the image, held against the source."""

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import APPLICATION, PYPROJECT, REPOSITORY
from tests.packaging.distributions import closure

PACKAGES = ("siamese_cli", "siamese_core", "siamese_integrations")
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
BASE = PYPROJECT["project"]["dependencies"]
# Extras whose packages a package may import beside the base.
ALLOWED = {
    "siamese_core": ("search",),
    "siamese_cli": ("registry",),
    "siamese_integrations": ("registry", "pipelines"),
}
# Needed, though no line of ours imports them.
NEEDED_BY_OTHERS = {
    "pyarrow",  # pandas reads and writes Parquet with it
    "uv",  # ZenML lists the packages of a run with it
}


def names(requirements: list[str]) -> set[str]:
    """Names of the distributions, our own extras resolved."""
    parsed = [Requirement(text) for text in requirements]
    ours = [extra for each in parsed if each.name == PYPROJECT["project"]["name"] for extra in each.extras]
    others = {canonicalize_name(each.name) for each in parsed if each.name != PYPROJECT["project"]["name"]}
    return others.union(*(names(EXTRAS[extra]) for extra in ours))


def modules(package: str) -> Iterator[str]:
    """Top-level names of every import in a package, those inside functions too."""
    for path in (REPOSITORY / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.split(".")[0]


def third_party(package: str) -> dict[str, set[str]]:
    """Third-party modules that a package imports: name → distributions that bring it."""
    ignored = {*sys.stdlib_module_names, *APPLICATION, "_typeshed"}
    installed = packages_distributions()
    return {name: set(map(canonicalize_name, installed[name])) for name in set(modules(package)) - ignored}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_import_is_declared(package: str) -> None:
    declared = names(BASE).union(*(names(EXTRAS[extra]) for extra in ALLOWED[package]))
    assert [name for name, sources in third_party(package).items() if not sources & declared] == []


def test_every_declared_package_is_imported() -> None:
    declared = names(BASE) | names(EXTRAS["pipelines"]) | names(EXTRAS["search"])
    imported = set().union(*(sources for package in PACKAGES for sources in third_party(package).values()))
    assert declared - imported - NEEDED_BY_OTHERS == set()


def test_constraints_pin_every_package_of_every_extra() -> None:
    lines = [line for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = [Requirement(line) for line in lines]
    assert all([each.operator for each in pin.specifier] == ["=="] for pin in pins)
    everything = [*BASE, *(text for extra in EXTRAS for text in EXTRAS[extra])]
    ours = PYPROJECT["project"]["name"]
    environment = closure([text for text in everything if Requirement(text).name != ours])
    assert environment - {canonicalize_name(pin.name) for pin in pins} == set()


def test_the_wheel_holds_all_our_packages_but_the_application() -> None:
    patterns = PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    roots = PYPROJECT["tool"]["importlinter"]["root_packages"]
    assert {pattern.removesuffix("*") for pattern in patterns} == set(PACKAGES)
    assert set(roots) == {*PACKAGES, "infra", "pipelines", "steps"}


def test_the_image_is_not_denied_what_it_needs() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    needed = (*APPLICATION, "constraints.txt", "pyproject.toml", "README.md", "LICENSE")
    assert [name for name in needed if any(Path(name).match(pattern) for pattern in ignored)] == []
