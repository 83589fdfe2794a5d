from siamese_integrations.zenml_cache import ROOT, depends_on_code, reachable


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
    assert "siamese_core/triplets/losses.py" not in names("calibrate")
    assert "siamese_core/metrics/rates.py" in names("calibrate")
    assert {
        "siamese_core/report/page.py",
        "siamese_core/report/assets/report.js",
        "siamese_core/report/assets/report.css",
    } <= names("evaluate")
    assert "siamese_integrations/great_expectations_suite.py" in names("validate")
    assert "siamese_core/network/encoders.py" not in names("split")


def test_paths_are_relative_so_that_every_checkout_has_the_same_key() -> None:
    policy = depends_on_code(str(ROOT / "steps" / "split.py"))
    assert policy.file_dependencies is not None
    assert all(not path.startswith("/") for path in policy.file_dependencies)
    assert "steps/split.py" in policy.file_dependencies
