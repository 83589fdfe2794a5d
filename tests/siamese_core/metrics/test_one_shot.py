import numpy as np
import pytest

from siamese_core.errors import DataError
from siamese_core.evaluation.one_shot_layout import one_shot_layout
from siamese_core.metrics.one_shot import one_shot

# Two groups of 3 identities, 4 sources.
LABELS = np.repeat(np.arange(6), 4)
SOURCES = np.tile(np.arange(4), 6)
GROUPS = np.array([0, 0, 0, 1, 1, 1])


def test_perfect_embeddings_make_no_error_and_chance_is_chance(rng: np.random.Generator) -> None:
    perfect = np.eye(6, dtype=np.float32)[LABELS]
    assert one_shot(perfect, LABELS, GROUPS, SOURCES, draws=20).error == 0
    random = rng.normal(size=(24, 50)).astype(np.float32)
    found = one_shot(random, LABELS, GROUPS, SOURCES, draws=2000)
    assert found.error == pytest.approx(2 / 3, abs=0.25)
    assert found.queries == 2 * 2000 * 3
    assert len(found.groups) == 2


@pytest.mark.parametrize("way", [2, 3])
def test_embeddings_that_are_all_equal_err_as_chance_does(way: int) -> None:
    # One of the images on show is the right one, whatever tells between equals.
    same = np.tile(np.array([1, 0], np.float32), (24, 1))
    found = one_shot(same, LABELS, GROUPS, SOURCES, way, draws=7)
    assert found.error == pytest.approx(1 - 1 / way, abs=1e-9)
    assert found.queries == 2 * 7 * way


def test_two_identities_with_two_images_are_enough() -> None:
    labels, sources, groups = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([0, 0])
    told = np.eye(2, dtype=np.float32)
    assert one_shot(told[[0, 0, 1, 1]], labels, groups, sources, draws=5).error == 0
    assert one_shot(told[[0, 1, 1, 0]], labels, groups, sources, draws=5).error == 1  # each looks like the other


def test_what_is_not_a_number_is_refused() -> None:
    embeddings = np.eye(6, dtype=np.float32)[LABELS]
    embeddings[3] = np.nan
    with pytest.raises(DataError, match="1 of 24 embeddings are not finite"):
        one_shot(embeddings, LABELS, GROUPS, SOURCES)


def test_a_group_is_never_compared_with_another() -> None:
    # Identity i of both groups shares an embedding: harmless within groups.
    shared = np.eye(3, dtype=np.float32)[LABELS % 3]
    assert one_shot(shared, LABELS, GROUPS, SOURCES, draws=20).error == 0


def test_support_and_query_are_by_different_sources() -> None:
    # An embedding that knows only its source and, for source 0 and 1, the identity: any mix of other sources errs.
    embeddings = np.zeros((24, 10), np.float32)
    known = SOURCES < 2
    embeddings[known, LABELS[known]] = 1
    only_known = one_shot(embeddings[known], LABELS[known], GROUPS, SOURCES[known], draws=50)
    assert only_known.error == 0
    assert one_shot(embeddings, LABELS, GROUPS, SOURCES, draws=50).error > 0.3


def test_sources_without_common_identities_are_refused() -> None:
    labels, sources = np.array([0, 1]), np.array([0, 1])
    with pytest.raises(DataError, match="No two sources"):
        one_shot(np.eye(2, dtype=np.float32), labels, np.array([0, 0]), sources)


def test_file_names_tell_sources_where_every_identity_has_the_same() -> None:
    paths = [
        f"{group}/{name}/{number}_{drawer:02d}.png"
        for group in "ab"
        for number, name in enumerate("xyz")
        for drawer in (5, 7)
    ]
    layout = one_shot_layout(paths)
    assert layout.named_sources
    assert layout.group_names == ["a", "b"]
    assert layout.labels.tolist() == np.repeat(np.arange(6), 2).tolist()
    assert layout.groups.tolist() == [0, 0, 0, 1, 1, 1]
    assert layout.sources.tolist() == [0, 1] * 6
    assert layout.rows.tolist() == list(range(12))


@pytest.mark.parametrize("last", ["z/1_08.png", "z/9_05.png", "z/2_07_05.png"])
def test_other_names_count_as_numbered_sources(last: str) -> None:
    layout = one_shot_layout(["z/3_05.png", last, "y/1_07.png", "y/0_05.png", "y/2_09.png"])
    assert not layout.named_sources
    assert layout.group_names == ["."]
    order = [1, 0] if last < "z/3" else [0, 1]
    assert layout.sources.tolist() == [*order, 1, 0, 2]
    one_shot(np.eye(5, dtype=np.float32), layout.labels, layout.groups, layout.sources, draws=5)


def test_who_has_no_rival_or_one_image_is_left_out() -> None:
    pairs = [f"{name}/{image}.png" for name in ("a/x", "a/y", "b/alone") for image in (0, 1)]
    layout = one_shot_layout(["a/single/0.png", *pairs, "root.png"])
    assert layout.rows.tolist() == [1, 2, 3, 4]
    assert layout.group_names == ["a"]
    with pytest.raises(DataError, match="None of the 2 folders"):
        one_shot_layout(["a/x/0.png", "a/x/1.png", "b/y/0.png", "b/y/1.png"])


def test_a_layout_of_perfect_embeddings_makes_no_error(rng: np.random.Generator) -> None:
    paths = [f"{group}/{name}/{image}.png" for group in "ab" for name in "xyz" for image in range(4)]
    order = rng.permutation(len(paths))
    layout = one_shot_layout([paths[row] for row in order])
    perfect = np.eye(6, dtype=np.float32)[LABELS[order]]
    assert one_shot(perfect[layout.rows], layout.labels, layout.groups, layout.sources).error == 0
