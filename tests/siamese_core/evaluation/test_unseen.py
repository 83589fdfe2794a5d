"""Nobody who trained a model, or one that it started from, calibrates or tests it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from siamese_core.config import CalibrationConfig, EncoderConfig, EvaluationConfig, TrainingConfig, TripletConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.pair_lists import PairList
from siamese_core.data.split import Split
from siamese_core.errors import DataError
from siamese_core.evaluation.beside_champion import beside_champion
from siamese_core.evaluation.champion import Champion
from siamese_core.evaluation.evaluate import evaluate_verifier
from siamese_core.evaluation.held_out import HeldOut, calibrate_encoder
from siamese_core.evaluation.unseen import unseen_by, unseen_pairs
from siamese_core.network.encoders import make_encoder
from siamese_core.network.trained_on import TrainedOn
from siamese_core.training.loop import train
from siamese_core.training.recipe import Recipe
from siamese_core.triplets.offline import build_triplets
from siamese_core.verifier import Verifier
from tests.siamese_core.evaluation.untrained import CONFIG, SEED, untrained

PARTS = CONFIG.parts


def some(data: Dataset, part: str, count: int) -> list[str]:
    return data.split.identities(part)[:count]  # type: ignore[arg-type]


def moved(data: Dataset, names: list[str], part: str) -> Dataset:
    """The same data after a change of the shares: some identities are in another part."""
    table = data.split.table.copy()
    table.loc[table["identity"].isin(names), "split"] = part
    return replace(data, split=Split(table))


def seen_by(verifier: Verifier, names: list[str]) -> Verifier:
    return Verifier(replace(verifier.trained, trained_on=TrainedOn.of(names)), verifier.calibration)


def test_they_are_in_no_part_and_training_keeps_its_own(dataset: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    known = [*some(dataset, "train", 5), *some(dataset, "calibration", 2), *some(dataset, "test", 3)]
    left = unseen_by(TrainedOn.of(known), dataset, PARTS)
    for part in PARTS:
        assert left.split.identities(part) == [name for name in dataset.split.identities(part) if name not in known]
    assert left.split.identities("train") == dataset.split.identities("train")
    counts = [len(dataset.split.identities(part)) for part in PARTS]
    assert (
        f"2 of {counts[0]} calibration identities, 3 of {counts[1]} test identities trained this model" in caplog.text
    )
    assert unseen_by(TrainedOn.of(known), left, PARTS) is left


@pytest.mark.parametrize("record", [None, TrainedOn.of(["a stranger"])])
def test_without_such_identities_nothing_changes(dataset: Dataset, record: TrainedOn | None) -> None:
    assert unseen_by(record, dataset, PARTS) is dataset


def test_where_too_few_stay_the_run_ends_with_the_way_out(dataset: Dataset) -> None:
    names = dataset.split.identities("calibration")
    record = TrainedOn.of(names[1:])
    with pytest.raises(
        DataError, match=rf"{len(names) - 1} of {len(names)} calibration .* stay .*: calibration 1 .*warm_start"
    ):
        unseen_by(record, dataset, PARTS)
    folds = CalibrationConfig(folds=3).parts
    assert len(unseen_by(record, dataset, folds).split.identities("held_out")) >= 2


def test_calibration_and_evaluation_are_those_of_the_others_alone(dataset: Dataset) -> None:
    names = [*some(dataset, "calibration", 3), *some(dataset, "test", 3)]
    verifier = untrained(dataset)
    without = replace(dataset, split=dataset.split.without(names))
    trained = replace(verifier.trained, trained_on=TrainedOn.of(names))
    calibrated = calibrate_encoder(trained, dataset, CONFIG, SEED)
    assert calibrated == calibrate_encoder(verifier.trained, without, CONFIG, SEED)
    protocols = EvaluationConfig(robustness=False)
    found = evaluate_verifier(Verifier(trained, calibrated), dataset, CONFIG, protocols, SEED)
    expected = evaluate_verifier(Verifier(verifier.trained, calibrated), without, CONFIG, protocols, SEED)
    assert found == expected
    assert found.identities == len(dataset.split.identities("test")) - 3


def test_listed_pairs_of_them_are_left_out(dataset: Dataset) -> None:
    images = dataset.part("test")
    chosen = [int(np.flatnonzero(images.labels == label)[turn]) for label in range(4) for turn in (0, 1)]
    pairs = PairList(
        images=[images.paths[position] for position in chosen],
        pairs=np.array([(0, 1), (2, 3), (4, 5), (0, 2), (2, 4), (5, 6)], np.int32),
        same=np.array([True] * 3 + [False] * 3),
        folds=np.array([0, 1, 0, 1, 0, 1], np.int32),
        duplicates=0,
    )
    left = unseen_pairs(pairs, unseen_by(TrainedOn.of(images.names[:1]), dataset, PARTS))
    kept = [[left.images[image] for image in pair] for pair in left.pairs]
    assert kept == [[pairs.images[image] for image in pair] for pair in pairs.pairs[[1, 2, 4, 5]]]
    assert left.folds is not None
    assert (left.same.tolist(), left.folds.tolist()) == ([True, True, False, False], [1, 0, 0, 1])
    assert unseen_pairs(pairs, dataset) is pairs
    with pytest.raises(DataError, match=r"[56] of 6 listed pairs .* trained"):
        unseen_pairs(pairs, unseen_by(TrainedOn.of(images.names[1:3]), dataset, PARTS))


class TestBesideChampion:
    def test_identities_that_trained_the_champion_are_left_out(self, dataset: Dataset) -> None:
        names = some(dataset, "test", 4)
        challenger, champion = untrained(dataset, 0), untrained(dataset, 1)
        result = beside_champion(challenger, Champion(seen_by(champion, names), "7"), dataset, CONFIG, SEED)
        without = replace(dataset, split=dataset.split.without(names))
        expected = beside_champion(challenger, Champion(champion, "7"), without, CONFIG, SEED)
        assert result == replace(expected, left_out=4)
        assert "without 4 test identities that trained it" in str(result)

    def test_a_champion_of_all_of_them_cannot_be_compared(self, dataset: Dataset) -> None:
        champion = Champion(seen_by(untrained(dataset, 1), dataset.split.identities("test")), "7")
        result = beside_champion(untrained(dataset, 0), champion, dataset, CONFIG, SEED)
        assert result.comparison is None
        assert "version 7 was trained on so many test identities" in str(result)


def test_a_warm_start_after_the_shares_have_changed_calibrates_on_strangers(dataset: Dataset, tmp_path: Path) -> None:
    """The case that was found: identities of the first training are calibration ones of the second."""
    encoder = EncoderConfig(width=4, embedding_dim=8)
    recipe = Recipe(encoder, TrainingConfig(steps=2, evaluate_every=2, identities_per_batch=4), 0)
    miner = make_encoder(encoder, dataset.config.channels, 0)
    triplets = build_triplets(miner, dataset, TripletConfig(max_triplets=50), 0.2, 0)
    first, _ = train(dataset, triplets, recipe)
    assert first.trained_on == TrainedOn.of(dataset.split.identities("train"))
    later = moved(dataset, moving := some(dataset, "train", 6), "calibration")
    second, _ = train(later, build_triplets(miner, later, TripletConfig(max_triplets=50), 0.2, 0), recipe, first)
    assert second.trained_on
    assert second.trained_on.among(later.split.identities("calibration")) == moving
    calibrated = calibrate_encoder(second, later, CONFIG, SEED)
    assert calibrated == calibrate_encoder(replace(second, trained_on=None), dataset, CONFIG, SEED)
    # A weights file out of an exported model is the same start.
    Verifier(first, calibrated).save(tmp_path)
    from_file = replace(recipe, encoder=replace(encoder, weights_file=str(tmp_path / "encoder.safetensors")))
    third, _ = train(later, triplets, from_file)
    assert third.trained_on == second.trained_on
    assert Verifier.load(tmp_path).trained.trained_on == first.trained_on


def test_pairs_of_the_left_out_are_no_part_of_the_held_out(dataset: Dataset) -> None:
    names = some(dataset, "test", 2)
    test = HeldOut.of(unseen_by(TrainedOn.of(names), dataset, PARTS), "test", CONFIG, SEED)
    assert not set(test.images.names) & set(names)
