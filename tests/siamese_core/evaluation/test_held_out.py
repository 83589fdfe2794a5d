"""Held-out images and pairs, and the calibration on them."""

import re
from dataclasses import replace

import numpy as np
import pytest

from siamese_core.calibration.expected_rates import Concentration
from siamese_core.calibration.operating_points import calibrate
from siamese_core.config import CalibrationConfig
from siamese_core.data.dataset import Dataset
from siamese_core.errors import ConfigError
from siamese_core.evaluation.held_out import HeldOut, calibrate_encoder
from siamese_core.metrics.bootstrap import IdentityBootstrap
from siamese_core.metrics.pairs import make_pairs, pair_distances
from siamese_core.network.embedding import embed
from tests.siamese_core.evaluation.untrained import CONFIG, SEED, untrained


def test_a_limit_on_the_images_of_an_identity_holds_in_its_pairs(dataset: Dataset) -> None:
    everything = HeldOut.of(dataset, "test", CalibrationConfig(), 0).images
    few = HeldOut.of(dataset, "test", CalibrationConfig(max_images_per_identity=3), 0)
    identities, rows = dataset.manifest.ok["identity"].to_numpy(), few.images.rows
    assert set(rows) < set(everything.rows)
    assert set(identities[rows]) == set(identities[everything.rows])
    assert len(few.pairs.genuine) == 3 * len(set(identities[rows]))
    assert (identities[rows[few.pairs.genuine[:, 0]]] == identities[rows[few.pairs.genuine[:, 1]]]).all()


def test_pairs_have_one_name_as_long_as_they_and_their_files_are_the_same(dataset: Dataset) -> None:
    files = dataset.manifest.ok["sha256"].tolist()
    held_out = HeldOut.of(dataset, "test", CONFIG, SEED)
    name = held_out.name_of_pairs(files)
    assert re.fullmatch("[0-9a-f]{16}", name)
    assert HeldOut.of(dataset, "test", CONFIG, SEED + 1).name_of_pairs(files) == name  # all pairs, whatever the seed
    few = replace(CONFIG, max_genuine_pairs=50)
    others = [
        HeldOut.of(dataset, "calibration", CONFIG, SEED).name_of_pairs(files),
        HeldOut.of(dataset, "test", few, SEED).name_of_pairs(files),
        HeldOut.of(dataset, "test", few, SEED + 1).name_of_pairs(files),
        held_out.name_of_pairs([*files[: held_out.images.rows[0]], "0" * 64, *files[held_out.images.rows[0] + 1 :]]),
    ]
    assert len({name, *others}) == 5
    train = dataset.part("train").rows[0]
    assert held_out.name_of_pairs([*files[:train], "0" * 64, *files[train + 1 :]]) == name


def test_a_limit_without_pairs_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"calibration\.max_images_per_identity is 1, but must be between 2 and"):
        CalibrationConfig(max_images_per_identity=1)


def test_every_system_gets_the_same_pairs_and_resamples(dataset: Dataset) -> None:
    held_out = HeldOut.of(dataset, "test", CONFIG, SEED)
    rows = dataset.split.rows(dataset.manifest, "test")
    assert held_out.images.rows.tolist() == rows.tolist()
    encoder = untrained(dataset).encoder
    distances = held_out.distances(lambda rows: embed(encoder, dataset.store.images, rows))
    labels = held_out.images.labels
    pairs = make_pairs(labels, CONFIG.max_genuine_pairs, CONFIG.max_impostor_pairs, SEED)
    expected = pair_distances(embed(encoder, dataset.store.images, rows), pairs)
    np.testing.assert_array_equal(distances.impostor, expected.impostor)
    np.testing.assert_array_equal(distances.genuine, expected.genuine)
    for distances in (expected, replace(expected, genuine=expected.genuine[::-1].copy())):
        alone = IdentityBootstrap.of(distances, CONFIG.confidence, CONFIG.bootstrap, SEED)
        assert held_out.bootstrap(distances).rates(0.5) == alone.rates(0.5)


def test_an_encoder_is_calibrated_for_as_many_images_as_will_test(dataset: Dataset) -> None:
    trained = untrained(dataset).trained
    calibrating, test = (HeldOut.of(dataset, part, CONFIG, SEED) for part in ("calibration", "test"))
    distances = calibrating.distances(lambda rows: embed(trained.build(), dataset.store.images, rows))
    spread = Concentration.of_pairs(test.pairs)
    expected = calibrate(distances, CONFIG, len(calibrating.images), SEED, spread)
    assert calibrate_encoder(trained, dataset, CONFIG, SEED) == expected
    assert expected != calibrate(distances, CONFIG, len(calibrating.images), SEED)
