"""The promotion gate: challenger and champion on the same pairs of the same test identities, and who is promoted."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from siamese_core.config import PromotionConfig
from siamese_core.data.dataset import Dataset
from siamese_core.evaluation.champion import Champion
from siamese_core.evaluation.held_out import HeldOut
from siamese_core.evaluation.protocols import measure_points
from siamese_core.evaluation.results import ChampionResult, Comparison
from siamese_core.metrics.pairs import PairDistances
from siamese_core.metrics.rates import equal_error_rate, roc
from siamese_core.network.embedding import RowEmbedder

logger = logging.getLogger(__name__)

# Enough for the interval of a difference; a resample costs as much as a pass over the pairs.
_MOST_IMPOSTORS = 100_000
_RESAMPLES = 200


@dataclass(frozen=True)
class Decision:
    """The gate's answer.

    Attributes:
        promote: Whether the challenger becomes the champion.
        reason: Why, in words.
    """

    promote: bool
    reason: str


def compare_with_champion(
    challenger: PairDistances, champion: Champion, data: Dataset, test: HeldOut
) -> ChampionResult:
    """Measure the champion at its own thresholds, and the challenger against it.

    Args:
        challenger: Its distances of the test pairs.
        champion: One that prepares images in another way cannot be measured on these.
        data: The images, and how they were prepared.
        test: The pairs of its test identities.
    """
    if not champion.reads(data.config):
        return ChampionResult(champion.version, None, {})
    logger.info("measuring the champion, version %s, on the same pairs", champion.version)
    verifier = champion.verifier
    present = test.distances(RowEmbedder(verifier.encoder, data.store.images))
    comparison = compare(challenger, present, test.confidence, test.seed)
    points = measure_points(verifier.calibration.thresholds, test.bootstrap(present).rates)
    return ChampionResult(champion.version, comparison, points)


def compare(challenger: PairDistances, champion: PairDistances, confidence: float, seed: int) -> Comparison:
    """Compare two models by a paired bootstrap over identities.

    Both are measured on each resample of the identities, so what the resample makes harder for one it makes harder
    for the other, and the interval is that of their difference (Efron & Tibshirani 1993, chapter 16).

    Args:
        challenger: Distances of the test pairs by the new model.
        champion: Distances of the same pairs, in the same order, by the present one.
        confidence: Level of the interval.
        seed: Of the resamples.
    """
    rng = np.random.default_rng(seed)
    count = challenger.identities
    draws = rng.multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)  # (R, I)
    sample = np.sort(rng.permutation(len(challenger.impostor))[:_MOST_IMPOSTORS])
    rates = [_resampled_eers(distances, sample, draws) for distances in (challenger, champion)]
    low, high = np.quantile(rates[0] - rates[1], [(1 - confidence) / 2, (1 + confidence) / 2])
    new, present = (equal_error_rate(roc(d.genuine, d.impostor))[0] for d in (challenger, champion))
    return Comparison(new, present, float(low), float(high), confidence)


def decide(champion: ChampionResult | None, config: PromotionConfig, model_name: str) -> Decision:
    """Decide whether the challenger becomes the champion; the first model of a name does.

    Args:
        champion: The challenger's results beside the champion; None where there is no champion.
        config: The margin.
        model_name: Name in the registry, for the way out.
    """
    if champion is None:
        return Decision(True, "the first model of this name")
    if champion.comparison is None:
        return Decision(False, f"{champion}; `siamese promote {model_name} VERSION` decides by hand")
    return judge(champion.comparison, config)


def judge(comparison: Comparison, config: PromotionConfig) -> Decision:
    """Promote a challenger that is better, or worse by no more than the configured margin."""
    if comparison.difference <= 0:
        return Decision(True, f"{_how_good(comparison)}: {comparison}")
    margin = f"promotion.max_eer_increase is {config.max_eer_increase:g}"
    if comparison.difference <= config.max_eer_increase:
        return Decision(True, f"worse within the margin: {comparison}; {margin}")
    worse = "measurably worse" if comparison.low > 0 else "not better"
    return Decision(False, f"{worse}: {comparison}; {margin}")


def _how_good(comparison: Comparison) -> str:
    if comparison.high < 0:
        return "measurably better"
    return "better, within the noise" if comparison.difference < 0 else "equal"


def _resampled_eers(
    distances: PairDistances, sample: npt.NDArray[np.int64], draws: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """(R,): the EER where each pair counts as often as its identities are drawn."""
    values = np.concatenate([distances.genuine, distances.impostor[sample]])
    order = np.argsort(values, kind="stable")
    same = (np.arange(len(values)) < len(distances.genuine))[order]
    # A genuine pair counts once for each time that its identity is drawn, an impostor pair for each meeting.
    first = np.concatenate([distances.genuine_identity, distances.impostor_identities[sample, 0]])[order]
    second = np.concatenate([distances.genuine_identity, distances.impostor_identities[sample, 1]])[order]
    last_of_ties = np.append(np.diff(values[order]) > 0, True)
    eers = np.empty(len(draws))
    for row, weights in enumerate(draws):
        times = np.where(same, weights[first], weights[first] * weights[second]).astype(np.float64)
        genuine, impostor = np.cumsum(times * same), np.cumsum(times * ~same)
        fmr = impostor[last_of_ties] / max(impostor[-1], 1.0)
        fnmr = 1 - genuine[last_of_ties] / max(genuine[-1], 1.0)
        best = np.argmin(np.abs(fmr - fnmr))
        eers[row] = (fmr[best] + fnmr[best]) / 2
    return eers
