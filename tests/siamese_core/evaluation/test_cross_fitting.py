"""Cross-fitted rates against a loop over single pairs."""

from dataclasses import replace

import numpy as np
import pytest

from siamese_core.calibration.operating_points import thresholds_as_asked
from siamese_core.config import CalibrationConfig, EvaluationConfig
from siamese_core.data.dataset import Dataset
from siamese_core.errors import DataError
from siamese_core.evaluation.cross_fitting import cross_fitted
from siamese_core.evaluation.evaluate import evaluate_verifier
from siamese_core.evaluation.held_out import calibrate_encoder
from siamese_core.metrics.bootstrap import IdentityBootstrap
from siamese_core.metrics.pairs import PairDistances, make_pairs, pair_distances
from siamese_core.report.wording import basis
from siamese_core.verifier import Verifier
from tests.siamese_core.evaluation.untrained import CONFIG, SEED, untrained

NAMES = ["eer", "accuracy", "fmr_1e-1"]


def random_distances(identities: int, images: int, seed: int = 0) -> PairDistances:
    labels = np.repeat(np.arange(identities), images)
    random = np.random.default_rng(seed)
    people = random.normal(size=(identities, 4))[labels]
    return pair_distances(people + random.normal(size=people.shape), make_pairs(labels, 10**6, 10**6, 0))


def bootstrap_of(distances: PairDistances) -> IdentityBootstrap:
    return IdentityBootstrap.of(distances, 0.95, 20, 0)


@pytest.mark.parametrize("config", [CalibrationConfig(folds=3), CalibrationConfig(folds=4, conservative=True)])
def test_rates_are_those_of_a_loop(config: CalibrationConfig) -> None:
    distances = random_distances(12, 3)
    rates = cross_fitted(bootstrap_of(distances), NAMES, config, SEED)
    fold = np.random.default_rng(SEED).permutation(12) % config.folds

    def threshold(name: str, own: set[int]) -> float:
        genuine = [fold[i] not in own for i in distances.genuine_identity]
        impostor = [fold[i] not in own and fold[j] not in own for i, j in distances.impostor_identities]
        others = PairDistances(
            distances.genuine[genuine],
            distances.impostor[impostor],
            distances.genuine_identity[genuine],
            distances.impostor_identities[impostor],
            12,
        )
        return thresholds_as_asked(others, [name], config)[name].value

    for name in NAMES:
        misses = [
            d >= threshold(name, {fold[i]}) for d, i in zip(distances.genuine, distances.genuine_identity, strict=True)
        ]
        matches = [
            d < threshold(name, {fold[i], fold[j]})
            for d, (i, j) in zip(distances.impostor, distances.impostor_identities, strict=True)
        ]
        fmr, fnmr = rates(name)
        assert (fmr.errors, fnmr.errors) == (sum(matches), sum(misses))
        assert (fmr.pairs, fnmr.pairs) == (len(matches), len(misses))


def test_a_pair_that_would_move_its_own_threshold_does_not() -> None:
    """One look-alike pair: in-sample it lifts no FMR above the target, cross-fitted it does."""
    distances = random_distances(20, 3)
    near = replace(distances, impostor=np.where(distances.impostor_identities.max(axis=1) < 7, 0.0, distances.impostor))
    config = CalibrationConfig(folds=5)
    threshold = thresholds_as_asked(near, ["fmr_1e-1"], config)["fmr_1e-1"]
    fmr, _ = cross_fitted(bootstrap_of(near), ["fmr_1e-1"], config, SEED)("fmr_1e-1")
    assert np.mean(near.impostor < threshold.value) <= 0.1 < fmr.value


def test_too_few_identities_are_refused_in_words() -> None:
    with pytest.raises(DataError, match=r"calibration\.folds: 3 leaves a fold's thresholds without"):
        cross_fitted(bootstrap_of(random_distances(3, 2)), NAMES, CalibrationConfig(folds=3), SEED)


def test_all_held_out_identities_set_thresholds_and_are_measured(dataset: Dataset) -> None:
    config = replace(CONFIG, folds=5)
    trained = untrained(dataset).trained
    calibration = calibrate_encoder(trained, dataset, config, SEED)
    held_out = len(dataset.split.identities("calibration")) + len(dataset.split.identities("test"))
    assert calibration.identities == held_out
    assert f"The same {held_out} identities set the thresholds and are measured, in 5 folds" in calibration.caution
    evaluation = evaluate_verifier(
        Verifier(trained, calibration), dataset, config, EvaluationConfig(robustness=False), SEED
    )
    assert (evaluation.identities, evaluation.folds) == (held_out, 5)
    assert "in 5 folds: each pair is judged by others'" in basis(evaluation)
    for name, point in evaluation.model.points.items():
        assert point.threshold == calibration.points[name].threshold
        assert point.fmr.value == pytest.approx(calibration.points[name].fmr.value, abs=0.1)
