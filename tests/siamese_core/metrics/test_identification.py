import numpy as np
import pytest

from siamese_core.errors import DataError
from siamese_core.metrics.identification import Identification, identify


def people(rng: np.random.Generator, noise: float) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.permutation(np.r_[np.repeat(np.arange(20), 5), 20])  # the last has one image
    return rng.normal(size=(21, 4))[labels] + noise * rng.normal(size=(len(labels), 4)), labels


def by_hand(
    found: Identification, x: np.ndarray, labels: np.ndarray, seed: int
) -> tuple[list[int], list[float], list[float]]:
    order = np.random.default_rng(seed).permutation(len(labels))
    gallery = {identity: next(i for i in order if labels[i] == identity) for identity in range(found.identities)}
    ranks, mates, others = [], [], []
    for probe in (i for i in range(len(labels)) if i not in gallery.values()):
        distance = {identity: ((x[probe] - x[image]) ** 2).sum() for identity, image in gallery.items()}
        mates.append(distance.pop(labels[probe]))
        others.append(min(distance.values()))
        ranks.append(1 + sum(value <= mates[-1] for value in distance.values()))
    return ranks, mates, others


@pytest.mark.parametrize("seed", [0, 1])
def test_identification_is_a_loop_over_probes_and_gallery(rng: np.random.Generator, seed: int) -> None:
    x, labels = people(rng, 0.5)
    found = identify(x, labels, seed)
    ranks, mates, others = by_hand(found, x, labels, seed)
    assert found.rank.tolist() == ranks
    np.testing.assert_allclose(found.mate, mates, atol=1e-9)
    np.testing.assert_allclose(found.nearest_other, others, atol=1e-9)
    assert found.rank_1() == found.cmc()[0] == np.mean(np.array(ranks) == 1)
    np.testing.assert_allclose(found.cmc(), [np.mean(np.array(ranks) <= k) for k in range(1, 22)])
    assert found.cmc()[-1] == 1


def test_dir_keeps_the_false_alarm_rate_and_rises_to_rank_1(rng: np.random.Generator) -> None:
    found = identify(*people(rng, 0.7), seed=0)
    rates = [found.detection_and_identification_rate(rate) for rate in (0, 0.01, 0.1, 0.5, 1)]
    assert rates == sorted(rates)
    assert rates[-1] <= found.rank_1()
    threshold = np.sort(found.nearest_other)[8]  # 80 probes, 8 false alarms
    assert found.detection_and_identification_rate(0.1) == np.mean((found.rank == 1) & (found.mate < threshold))


def test_ties_do_not_count_and_perfect_separation_does() -> None:
    labels = np.repeat(np.arange(4), 3)
    same = identify(np.ones((12, 2)), labels, 0)
    assert (same.rank_1(), same.cmc().tolist()) == (0, [0, 0, 0, 1])
    apart = identify(np.eye(4)[labels], labels, 0)
    assert (apart.rank_1(), apart.detection_and_identification_rate(0)) == (1, 1)


def test_five_searches_counted_by_hand() -> None:
    found = Identification(
        rank=np.array([1, 1, 2, 1, 3]),
        mate=np.array([0.1, 0.5, 0.5, 0.9, 1.2]),
        nearest_other=np.array([0.6, 0.7, 0.3, 1.0, 0.5]),
        identities=4,
    )
    assert found.rank_1() == 3 / 5
    assert found.cmc().tolist() == [3 / 5, 4 / 5, 1, 1]
    # Nobody, 1, 2, 3 and all 5 raise a false alarm: thresholds 0.3, 0.5, 0.6, 0.7 and 1.0.
    rates = [found.detection_and_identification_rate(share) for share in (0, 0.2, 0.4, 0.6, 1)]
    assert rates == [1 / 5, 1 / 5, 2 / 5, 2 / 5, 3 / 5]


@pytest.mark.parametrize(("probe", "rank", "cmc"), [(0.2, 1, [1, 1]), (0.5, 2, [0, 1]), (0.9, 2, [0, 1])])
def test_a_single_search(probe: float, rank: int, cmc: list[float]) -> None:
    """In the gallery is 0 of the probe's own identity, and 1 of another: halfway between is a tie."""
    seed = next(s for s in range(50) if np.random.default_rng(s).permutation(3)[0] == 0)
    found = identify(np.array([[0.0], [probe], [1.0]]), np.array([0, 0, 1]), seed)
    assert (found.rank.tolist(), found.cmc().tolist()) == ([rank], cmc)


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 0, 0]])
def test_what_cannot_be_searched_is_refused(labels: list[int]) -> None:
    with pytest.raises(DataError, match="two identities"):
        identify(np.eye(3), np.array(labels), 0)


def test_what_is_not_a_number_is_refused() -> None:
    with pytest.raises(DataError, match="1 of 4 embeddings are not finite"):
        identify(np.array([[0.0], [np.nan], [1], [2]]), np.array([0, 0, 1, 1]), 0)
