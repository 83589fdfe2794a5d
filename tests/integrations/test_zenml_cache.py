from integrations.zenml_cache import ROOT, depends_on_code, reachable


def names(step: str) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in reachable(ROOT / "steps" / f"{step}.py")}


def test_a_step_depends_on_what_it_reaches() -> None:
    assert {"steps/train.py", "siamese_core/training.py", "siamese_core/losses.py", "siamese_core/mining.py"} <= names(
        "train"
    )
    assert "siamese_core/report.py" not in names("train")
    assert "siamese_core/losses.py" not in names("calibrate")
    assert "siamese_core/metrics.py" in names("calibrate")
    assert {"siamese_core/report.py", "siamese_core/assets/report.js", "siamese_core/assets/report.css"} <= names(
        "evaluate"
    )
    assert "integrations/great_expectations_suite.py" in names("validate")
    assert "siamese_core/encoders.py" not in names("split")


def test_paths_are_relative_so_that_every_checkout_has_the_same_key() -> None:
    policy = depends_on_code(str(ROOT / "steps" / "split.py"))
    assert policy.file_dependencies is not None
    assert all(not path.startswith("/") for path in policy.file_dependencies)
    assert "steps/split.py" in policy.file_dependencies
