import numpy as np
import pytest

from siamese_core.errors import DataError
from siamese_core.one_shot import one_shot

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
