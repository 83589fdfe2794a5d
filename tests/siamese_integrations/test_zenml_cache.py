"""The cache's code fingerprint: a step reruns when a line that it can reach has changed, and only then."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from siamese_integrations import zenml_cache
from siamese_integrations.zenml_cache import ASSETS, ROOT, depends_on_code, reachable

PACKAGES = ("siamese_core", "siamese_integrations", "steps", "pipelines", "siamese_cli", "benchmarks")
STEPS = sorted(path.stem for path in (ROOT / "steps").glob("*.py") if path.stem != "__init__")


def names(step: str) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in reachable(ROOT / "steps" / f"{step}.py")}


def test_a_step_depends_on_what_it_reaches() -> None:
    assert {
        "steps/train.py",
        "siamese_core/training/loop.py",
        "siamese_core/triplets/losses.py",
        "siamese_core/triplets/mining.py",
    } <= names("train")
    assert "siamese_core/report/page.py" not in names("train")
    assert "siamese_core/evaluation/champion.py" in names("build_triplets")
    assert "siamese_core/evaluation/protocols.py" not in names("build_triplets")
    assert "siamese_core/triplets/losses.py" not in names("calibrate")
    assert "siamese_core/metrics/rates.py" in names("calibrate")
    assert {
        "siamese_core/report/page.py",
        "siamese_core/report/assets/report.js",
        "siamese_core/report/assets/report.css",
    } <= names("evaluate")
    assert "siamese_integrations/great_expectations_suite.py" in names("validate")
    assert "siamese_core/network/encoders.py" not in names("split")
    evaluation = {name for name in names("build_triplets") if name.startswith("siamese_core/evaluation/")}
    assert evaluation == {"siamese_core/evaluation/champion.py"}
    assert not [step for step in STEPS if step != "ingest" and "siamese_core/data/ingest.py" in names(step)]


def test_every_template_style_sheet_and_script_reruns_a_step() -> None:
    assets = {path.relative_to(ROOT).as_posix() for path in (ROOT / "siamese_core").rglob("*") if path.suffix in ASSETS}
    assert assets
    assert assets <= set().union(*map(names, STEPS))
    templates = {step: {Path(name).name for name in assets & names(step) if name.endswith(".j2")} for step in STEPS}
    assert {"report.html.j2", "sections.html.j2", "parts.html.j2", "chart.svg.j2"} <= templates["evaluate"]
    assert {"page.html.j2", "parts.html.j2", "data.html.j2"} <= templates["validate"]
    assert "model_card.md.j2" in templates["register"]
    assert not any(templates[step] for step in ("ingest", "split", "build_triplets", "train", "calibrate"))


def test_paths_are_relative_so_that_every_checkout_has_the_same_key() -> None:
    policy = depends_on_code(str(ROOT / "steps" / "split.py"))
    assert policy.file_dependencies is not None
    assert all(not path.startswith("/") for path in policy.file_dependencies)
    assert "steps/split.py" in policy.file_dependencies


# Each step module imported anew, without the imports of steps/__init__.py, which tell ZenML how to store artifacts.
LOADED = """
import json, sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec

import siamese_integrations.quiet_libraries

steps, packages = sys.argv[2].split(","), sys.argv[3].split(",")
loaded = {}
for step in steps:
    for name in [name for name in sys.modules if name.split(".")[0] in packages]:
        del sys.modules[name]
    spec = ModuleSpec("steps", None, is_package=True)
    spec.submodule_search_locations = [sys.argv[1] + "/steps"]
    sys.modules["steps"] = module_from_spec(spec)
    import_module("steps." + step)
    ours = [module for name, module in sys.modules.items() if name.split(".")[0] in packages]
    loaded[step] = [module.__file__ for module in ours if getattr(module, "__file__", None)]
print(json.dumps(loaded))
"""


def test_every_module_that_a_step_loads_is_reachable() -> None:
    command = [sys.executable, "-c", LOADED, str(ROOT), ",".join(STEPS), ",".join((*PACKAGES, "infra"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert list(loaded) == STEPS
    for step, files in loaded.items():
        modules = {Path(file).resolve() for file in files if not file.endswith("__init__.py")}
        assert ROOT / "steps" / f"{step}.py" in modules
        assert modules <= set(reachable(ROOT / "steps" / f"{step}.py")), step


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of a few lines."""
    files = {
        "steps/measure.py": "from siamese_core.one import f\n",
        "siamese_core/__init__.py": "from siamese_core.outward import g\n",
        "siamese_core/one.py": "def f():\n    from siamese_core import late\n",
        "siamese_core/late.py": 'PAGE = "templates/page.j2"\n',
        "siamese_core/outward.py": "",
        "siamese_core/templates/page.j2": "{% extends 'frame.j2' %}",
        "siamese_core/templates/frame.j2": "",
        "siamese_core/templates/other.j2": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(zenml_cache, "ROOT", tmp_path)
    return tmp_path


def test_late_imports_and_templates_count_and_the_imports_of_an_init_do_not(tree: Path) -> None:
    paths = [path.relative_to(tree).as_posix() for path in reachable(tree / "steps" / "measure.py")]
    assert paths == [
        "siamese_core/__init__.py",
        "siamese_core/late.py",
        "siamese_core/one.py",
        "siamese_core/templates/frame.j2",
        "siamese_core/templates/page.j2",
        "steps/measure.py",
    ]


def names_from_packages(path: Path) -> Iterator[str]:
    """The imports of a file that take a name from a package's `__init__.py`, which only re-exports it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if _is_package(alias.name))
        elif isinstance(node, ast.ImportFrom):
            package = node.module or ""
            if node.level or (_is_package(package) and package.split(".")[0] in PACKAGES):
                yield from (
                    f"{package}.{alias.name}"
                    for alias in node.names
                    if node.level or not (_is_module(package, alias.name) or _is_defined(package, alias.name))
                )


def _is_package(name: str) -> bool:
    return ROOT.joinpath(*name.split("."), "__init__.py").is_file()


def _is_module(package: str, name: str) -> bool:
    return ROOT.joinpath(*package.split("."), f"{name}.py").is_file() or _is_package(f"{package}.{name}")


def _is_defined(package: str, name: str) -> bool:
    """Whether the `__init__.py` itself gives the name its value or its body, as `__version__`."""
    tree = ast.parse(ROOT.joinpath(*package.split("."), "__init__.py").read_text(encoding="utf-8"))
    targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
    values = {target.id for target in targets if isinstance(target, ast.Name)}
    return name in values | {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def test_inside_the_repository_imports_are_of_the_defining_module() -> None:
    """An import from a package's `__init__.py` would hide the module behind it from the fingerprint."""
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py"]
    assert len(files) > 100
    offences = {str(path.relative_to(ROOT)): names for path in files if (names := list(names_from_packages(path)))}
    assert offences == {}


@pytest.mark.parametrize(
    ("line", "offence"),
    [
        ("from siamese_core import Verifier", ["siamese_core.Verifier"]),
        ("import siamese_core", ["siamese_core"]),
        ("from . import arrays", [".arrays"]),
        ("from siamese_core import arrays, __version__", []),
        ("from siamese_core.verifier import Verifier", []),
        ("import siamese_core.verifier", []),
        ("from numpy import ndarray", []),
    ],
)
def test_the_rule_sees_an_offence(line: str, offence: list[str], tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(f"def late():\n    {line}\n")
    assert list(names_from_packages(tmp_path / "module.py")) == offence
