from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamese_core.calibration.operating_points import Calibration, calibrate, why_unsupported
from siamese_core.config import CalibrationConfig, operating_point_name
from siamese_core.errors import ModelError
from siamese_core.metrics.pairs import PairDistances, few_of_each, make_pairs, pair_distances
from siamese_core.metrics.rates import fmr_at


def distances_of(identities: int, images: int, noise: float = 0.4) -> PairDistances:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(identities), images)
    points = rng.normal(size=(identities, 8))[labels] + noise * rng.normal(size=(len(labels), 8))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return pair_distances(points, make_pairs(labels, 10**6, 10**6, 0))


SMALL = distances_of(8, 4)


@pytest.fixture(scope="module")
def large() -> tuple[PairDistances, Calibration]:
    distances = distances_of(60, 6)
    return distances, calibrate(distances, CalibrationConfig(bootstrap=100), 360, seed=0)


def test_the_measured_fmr_keeps_the_target(large: tuple[PairDistances, Calibration]) -> None:
    distances, calibration = large
    assert list(calibration.points) == ["eer", "accuracy", "fmr_1e-1", "fmr_1e-2", "fmr_1e-3"]
    for target in (0.1, 0.01, 0.001):
        point = calibration.points[operating_point_name(target)]
        assert point.fmr.value == fmr_at(distances.impostor, point.threshold) <= target
        assert point.fmr.value == pytest.approx(target, rel=0.05)
        assert point.fmr.low <= point.fmr.value <= point.fmr.high
    thresholds = [calibration.points[name].threshold for name in ("fmr_1e-3", "fmr_1e-2", "fmr_1e-1")]
    assert thresholds == sorted(thresholds)
    assert calibration.default == "fmr_1e-2"


def test_an_unsupported_default_is_refused_in_words_and_nothing_takes_its_place() -> None:
    calibration = calibrate(distances_of(8, 4), CalibrationConfig(bootstrap=50), 32, seed=0)
    assert set(calibration.refused) == {"fmr_1e-2", "fmr_1e-3"}
    assert "FMR 0.01 needs at least 1,000 impostor pairs from 15 identities" in calibration.refused["fmr_1e-2"]
    assert "has 448 from 8" in calibration.refused["fmr_1e-2"]
    assert calibration.default is None
    assert calibration.reference.name == "eer"
    with pytest.raises(ModelError, match=r"No operating point 'fmr_1e-2'\. FMR 0.01 needs"):
        calibration.point("fmr_1e-2")
    words = r"no default operating point, because fmr_1e-2 was refused: FMR 0.01 needs .* Name one of eer, acc"
    with pytest.raises(ModelError, match=words):
        calibration.point()
    assert calibration.point("fmr_1e-1").name == "fmr_1e-1"


@given(
    st.sampled_from(["eer", "accuracy", "fmr_1e-1", "fmr_1e-2", "fmr_1e-3"]),
    st.lists(st.sampled_from(["eer", "accuracy", "fmr_1e-1", "fmr_1e-2", "fmr_1e-3"]), max_size=4),
)
@settings(max_examples=30)
def test_the_default_is_the_configured_one_or_the_first_supported_fallback(point: str, fallback: list[str]) -> None:
    config = CalibrationConfig(bootstrap=1, operating_point=point, fallback=tuple(fallback))
    calibration = calibrate(SMALL, config, 32, seed=0)
    supported = [name for name in (point, *fallback) if name in {"eer", "accuracy", "fmr_1e-1"}]
    assert calibration.default == (supported[0] if supported else None)
    assert calibration.configured == point
    words = calibration.default_in_words
    assert words.startswith(f"The default operating point is {supported[0]}" if supported else "There is no default")
    assert (f"{point} was refused: FMR" in words) == (calibration.default != point)
    assert ("as calibration.fallback allows" in words) == (calibration.default not in (None, point))


def test_few_identities_with_most_of_the_pairs_are_named_and_a_limit_advised() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(60), [60, 50] + [3] * 58)  # 2,995 genuine pairs of two people, 174 of the others
    points = rng.normal(size=(len(labels), 4))
    all_of_them = calibrate(
        pair_distances(points, make_pairs(labels, 10**6, 10**6, 0)), CalibrationConfig(bootstrap=20), 284, 0
    )
    assert all_of_them.caution.startswith("Half of the genuine pairs are of 1 of 60 calibration identities")
    assert "calibration.max_images_per_identity: 10" in all_of_them.caution
    kept = few_of_each(labels, 4, seed=0)
    few = pair_distances(points[kept], make_pairs(labels[kept], 10**6, 10**6, 0))
    assert not calibrate(few, CalibrationConfig(bootstrap=20), len(kept), 0).caution


def test_tiny_data_support_no_target_at_all() -> None:
    calibration = calibrate(distances_of(3, 2), CalibrationConfig(bootstrap=50), 6, seed=0)
    assert calibration.default is None
    assert list(calibration.points) == ["eer", "accuracy"]


@pytest.mark.parametrize(
    ("target", "pairs", "identities", "supported"),
    [(0.1, 100, 5, True), (0.1, 99, 5, False), (0.1, 100, 4, False), (0.01, 1000, 15, True), (0.01, 1000, 14, False)],
)
def test_support_needs_pairs_and_identities(target: float, pairs: int, identities: int, supported: bool) -> None:
    assert (why_unsupported(target, pairs, identities) is None) == supported


def test_the_probability_falls_with_the_distance_and_is_calibrated(large: tuple[PairDistances, Calibration]) -> None:
    distances, calibration = large
    grid = calibration.probability(np.linspace(0, 4, 50))
    assert (np.diff(grid) < 0).all()
    assert ((grid > 0) & (grid < 1)).all()
    # Among pairs that get about 50 %, with both kinds weighed alike, about half are genuine.
    near = [np.mean(np.abs(calibration.probability(d) - 0.5) < 0.2) for d in (distances.genuine, distances.impostor)]
    assert near[0] / (near[0] + near[1]) == pytest.approx(0.5, abs=0.15)


def test_it_round_trips_and_keeps_the_order(large: tuple[PairDistances, Calibration], tmp_path: Path) -> None:
    large[1].save(tmp_path)
    again = Calibration.load(tmp_path)
    assert again == large[1]
    assert list(again.points) == list(large[1].points)


# As the first release wrote it.
RATES = """
  "fmr": {"value": 0.08, "low": 0.05, "high": 0.12, "errors": 8, "pairs": 100},
  "fnmr": {"value": 0.1, "low": 0.0, "high": 0.25, "errors": 1, "pairs": 10},
  "expected_fmr": {"low": 0.01, "high": 0.2}, "expected_fnmr": {"low": 0.0, "high": 0.4}"""
FORMAT_1 = """{"format": 1, "points": {
  "eer": {"name": "eer", "threshold": 0.5, "target_fmr": null, RATES},
  "fmr_1e-1": {"name": "fmr_1e-1", "threshold": 0.5, "target_fmr": 0.1, RATES}}, "default": "fmr_1e-1",
  "refused": {"fmr_1e-2": "FMR 0.01 needs more."}, "slope": 2.5, "intercept": 1.5, "eer": 0.09, "identities": 8,
  "images": 32, "confidence": 0.95, "conservative": false, "caution": ""}""".replace("RATES", RATES)


def test_a_file_of_the_first_release_is_read(tmp_path: Path) -> None:
    file = tmp_path / "calibration.json"
    file.write_text(FORMAT_1)
    calibration = Calibration.load(tmp_path)
    assert calibration.point() == calibration.points["fmr_1e-1"]
    assert calibration.default_in_words == "The default operating point is fmr_1e-1."
    assert calibration.point("eer").fnmr.high == 0.25
    file.write_text(FORMAT_1.replace('"default": "fmr_1e-1",', ""))
    with pytest.raises(ModelError, match="does not hold the right values"):
        Calibration.load(tmp_path)
    file.write_text(FORMAT_1.replace('"format": 1', '"format": 3'))
    with pytest.raises(ModelError, match=r"has format 3; .* reads format 1 and 2\. Use the version that wrote it"):
        Calibration.load(tmp_path)


@pytest.mark.parametrize(
    ("target", "name"), [(0.1, "fmr_1e-1"), (0.01, "fmr_1e-2"), (0.05, "fmr_5e-2"), (0.0025, "fmr_2.5e-3")]
)
def test_names_of_operating_points(target: float, name: str) -> None:
    assert operating_point_name(target) == name
