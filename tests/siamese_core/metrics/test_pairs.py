from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_core.config import CalibrationConfig, SplitConfig
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import make_split
from siamese_core.data.store import ImageStore
from siamese_core.errors import ConfigError
from siamese_core.evaluation.held_out import part_pairs
from siamese_core.metrics.pairs import few_of_each


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 6), st.sampled_from([None, 0, 7]))
def test_few_of_each_keeps_as_many_as_there_are_and_no_more(found: list[int], most: int, seed: int | None) -> None:
    labels = np.array(found)
    kept = few_of_each(labels, most, seed)
    assert (np.diff(kept) > 0).all()
    wanted = {label: min(most, count) for label, count in zip(*np.unique(labels, return_counts=True), strict=True)}
    assert dict(zip(*np.unique(labels[kept], return_counts=True), strict=True)) == wanted
    if seed is None:
        assert kept.tolist() == [i for i, label in enumerate(found) if found[:i].count(label) < most]


def test_a_sample_depends_on_the_seed_alone() -> None:
    labels = np.repeat(np.arange(20), 10)
    assert (
        few_of_each(labels, 3, 1).tolist() == few_of_each(labels, 3, 1).tolist() != few_of_each(labels, 3, 2).tolist()
    )


def test_a_limit_on_the_images_of_an_identity_holds_in_its_pairs(ingested: tuple[Manifest, ImageStore]) -> None:
    manifest, _ = ingested
    split = make_split(manifest, SplitConfig(salt="a"))
    everything, _ = part_pairs(manifest, split, "test", CalibrationConfig(), 0)
    rows, pairs = part_pairs(manifest, split, "test", replace(CalibrationConfig(), max_images_per_identity=3), 0)
    identities = manifest.ok["identity"].to_numpy()
    assert set(rows) < set(everything)
    assert set(identities[rows]) == set(identities[everything])
    assert len(pairs.genuine) == 3 * len(set(identities[rows]))
    assert (identities[rows[pairs.genuine[:, 0]]] == identities[rows[pairs.genuine[:, 1]]]).all()


def test_a_limit_without_pairs_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"calibration\.max_images_per_identity is 1, but must be between 2 and 1,000,000,000"
    ):
        CalibrationConfig(max_images_per_identity=1)
