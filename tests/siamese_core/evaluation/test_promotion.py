from dataclasses import replace

import numpy as np
import pytest

from siamese_core.config import PromotionConfig
from siamese_core.evaluation.promotion import _resampled_eers, compare, decide, judge
from siamese_core.evaluation.results import ChampionResult, Comparison
from siamese_core.metrics.pairs import PairDistances, make_pairs, pair_distances
from siamese_core.metrics.rates import equal_error_rate, roc


def distances_of(noise: float, seed: int = 0) -> PairDistances:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(30), 4)
    centres = np.random.default_rng(9).normal(size=(30, 4))[labels]
    return pair_distances(centres + noise * rng.normal(size=(120, 4)), make_pairs(labels, 10**6, 10**6, 0))


@pytest.mark.parametrize(
    ("challenger", "champion", "slack", "promote", "word"),
    [
        (0.02, 0.03, 0.0, True, "measurably better"),
        (0.02, 0.02, 0.0, True, "equal"),
        (0.03, 0.02, 0.0, False, "measurably worse"),
        (0.021, 0.02, 0.005, True, "worse within the margin"),
    ],
)
def test_the_gate_lets_pass_what_is_not_worse(
    challenger: float, champion: float, slack: float, promote: bool, word: str
) -> None:
    gap = challenger - champion
    decision = judge(Comparison(challenger, champion, gap - 0.001, gap + 0.001, 0.95), PromotionConfig(slack))
    assert decision.promote == promote
    assert decision.reason.startswith(word)
    assert f"{challenger:.2%} against the champion's {champion:.2%}" in decision.reason


def test_a_model_against_itself_differs_by_exactly_nothing() -> None:
    same = distances_of(0.6)
    found = compare(same, same, 0.95, seed=0)
    assert (found.difference, found.low, found.high) == (0, 0, 0)
    assert judge(found, PromotionConfig()).promote


def test_a_clearly_worse_model_is_measurably_worse() -> None:
    found = compare(distances_of(1.2, seed=1), distances_of(0.4), 0.95, seed=0)
    assert found.low > 0
    assert not judge(found, PromotionConfig()).promote
    assert compare(distances_of(0.4), distances_of(1.2, seed=1), 0.95, seed=0).high < 0


def test_drawing_everybody_once_is_the_plain_eer() -> None:
    distances = distances_of(0.7)
    everyone = np.arange(len(distances.impostor))
    (found,) = _resampled_eers(distances, everyone, np.ones((1, 30), np.int64))
    assert found == pytest.approx(equal_error_rate(roc(distances.genuine, distances.impostor))[0], abs=0.003)


def test_a_resample_is_a_recount_with_copies() -> None:
    distances = distances_of(0.7)
    weights = np.random.default_rng(3).multinomial(30, np.full(30, 1 / 30))
    a, b = distances.impostor_identities.T
    copied = replace(
        distances,
        genuine=np.repeat(distances.genuine, weights[distances.genuine_identity]),
        impostor=np.repeat(distances.impostor, weights[a] * weights[b]),
    )
    (found,) = _resampled_eers(distances, np.arange(len(a)), weights[None])
    assert found == pytest.approx(equal_error_rate(roc(copied.genuine, copied.impostor))[0], abs=0.005)


def test_the_pairing_makes_the_interval_narrower() -> None:
    """Two models that err on the same identities: their difference is known better than either rate."""
    base = distances_of(0.8)
    shifted = replace(base, genuine=base.genuine * 1.02)
    found = compare(shifted, base, 0.95, seed=0)
    eers = _resampled_eers(
        base, np.arange(len(base.impostor)), np.random.default_rng(0).multinomial(30, np.full(30, 1 / 30), size=200)
    )
    low, high = np.quantile(eers, [0.025, 0.975])
    assert found.high - found.low < 0.5 * (high - low)


def test_the_first_model_is_promoted_and_one_that_cannot_be_compared_is_not() -> None:
    assert decide(None, PromotionConfig(), "people").promote
    decision = decide(ChampionResult("3", None, {}), PromotionConfig(), "people")
    assert not decision.promote
    assert "`siamese promote people VERSION` decides by hand" in decision.reason
    better = Comparison(0.1, 0.2, -0.2, -0.05, 0.95)
    assert decide(ChampionResult("3", better, {}), PromotionConfig(), "people") == judge(better, PromotionConfig())
