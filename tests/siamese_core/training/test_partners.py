import numpy as np
import pandas as pd
import pytest

from siamese_core.training.partners import KeptImages

# Store rows 1, 2, 4, 5, 7 are kept; the identities are Greek/a (1, 2), Greek/b (4, 5) and Latin/a (7).
NAMES = ["Greek/a", "Greek/b", "Latin/a"]


def kept(symmetries: int) -> KeptImages:
    return KeptImages(np.array([1, 2, 4, 5, 7]), np.array([0, 0, 1, 1, 2]), NAMES, symmetries)


TRIPLETS = pd.DataFrame({"anchor": [1, 4, 0], "positive": [2, 5, 2], "negative": [7, 1, 4]})  # row 0 is not kept
GRAPH = pd.DataFrame(
    {
        "identity": ["Greek/a", "Greek/a", "Latin/a", "gone"],
        "neighbour": ["gone", "Latin/a", "Greek/b", "Greek/a"],
        "rank": [0, 1, 0, 0],
    }
)


def test_upright_only() -> None:
    hard = kept(1).hard_partners(TRIPLETS, GRAPH)
    assert hard.triplets.tolist() == [[0, 1, 4], [2, 3, 0]]
    assert hard.neighbours.tolist() == [[-1, 2], [-1, -1], [1, -1]]
    assert kept(1).sampler_labels().tolist() == [0, 0, 1, 1, 2]
    assert kept(1).siblings().tolist() == [0, 0, 1]


def test_every_symmetry_has_its_own_identities_triplets_and_neighbours() -> None:
    found = kept(4)
    labels = found.sampler_labels()
    assert labels.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7, 8, 9, 10, 11]
    hard = found.hard_partners(TRIPLETS, GRAPH)
    assert len(hard.triplets) == 8
    for anchor, positive, negative in hard.triplets.tolist():
        assert anchor % 4 == positive % 4 == negative % 4  # the same turn
        assert labels[anchor] == labels[positive] != labels[negative]
    assert hard.neighbours.shape == (12, 2)
    assert hard.neighbours[2].tolist() == [-1, 10]  # Greek/a found twice: Latin/a found twice
    siblings = found.siblings()
    assert siblings[0] == siblings[4] != siblings[8]  # Greek/a and Greek/b upright, Latin/a
    assert siblings[0] != siblings[1]  # another turn


@pytest.mark.parametrize("symmetries", [1, 4])
def test_new_partners_are_the_nearest_means(symmetries: int) -> None:
    embeddings = np.array([[0, 1], [0, 1], [1, 0], [1, 0], [0.1, 0.9]], np.float32)
    positions = kept(symmetries).few_of_each(4)
    hard = kept(symmetries).new_partners(embeddings, positions, neighbours=1)
    assert hard.triplets.shape == (0, 3)
    assert hard.neighbours[:, 0].reshape(3, symmetries)[:, 0].tolist() == [2 * symmetries, 2 * symmetries, 0]


def test_few_of_each_are_the_first_of_every_identity() -> None:
    labels = np.array([2, 0, 2, 2, 0, 1])
    images = KeptImages(np.arange(6), labels, ["a", "b", "c"], 1)
    assert images.few_of_each(2).tolist() == [0, 1, 2, 4, 5]
    assert images.few_of_each(1).tolist() == [0, 1, 5]
    assert images.few_of_each(9).tolist() == list(range(6))
