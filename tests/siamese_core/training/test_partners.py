import numpy as np
import pandas as pd
import pytest

from siamese_core.data.dataset import Images
from siamese_core.training.dihedral import DihedralImages
from siamese_core.training.partners import HardPartners
from siamese_core.triplets.offline import Triplets

NAMES = ["Greek/a", "Greek/b", "Latin/a"]


def samples(copies: int) -> DihedralImages:
    """Store rows 1, 2, 4, 5, 7; the identities are Greek/a (1, 2), Greek/b (4, 5) and Latin/a (7)."""
    rows, labels = np.array([1, 2, 4, 5, 7]), np.array([0, 0, 1, 1, 2])
    return DihedralImages(Images(np.zeros((8, 4, 4, 1), np.uint8), rows, labels, NAMES, list("abcde")), copies)


TABLE = pd.DataFrame({"anchor": [1, 4, 0], "positive": [2, 5, 2], "negative": [7, 1, 4]})  # row 0 does not train
GRAPH = pd.DataFrame(
    {
        "identity": ["Greek/a", "Greek/a", "Latin/a", "gone"],
        "neighbour": ["gone", "Latin/a", "Greek/b", "Greek/a"],
        "rank": [0, 1, 0, 0],
    }
)
TRIPLETS = Triplets(TABLE, GRAPH, b"")


def test_upright_only() -> None:
    hard = HardPartners.offline(TRIPLETS, samples(1))
    assert hard.triplets.tolist() == [[0, 1, 4], [2, 3, 0]]
    assert hard.neighbours.tolist() == [[-1, 2], [-1, -1], [1, -1]]


def test_every_copy_has_its_own_triplets_and_neighbours() -> None:
    labels = samples(4).labels()
    hard = HardPartners.offline(TRIPLETS, samples(4))
    assert len(hard.triplets) == 8
    for anchor, positive, negative in hard.triplets.tolist():
        assert anchor % 4 == positive % 4 == negative % 4  # the same turn
        assert labels[anchor] == labels[positive] != labels[negative]
    assert hard.neighbours.shape == (12, 2)
    assert hard.neighbours[2].tolist() == [-1, 10]  # Greek/a turned twice: Latin/a turned twice


@pytest.mark.parametrize("copies", [1, 4])
def test_current_partners_are_the_nearest_means(copies: int) -> None:
    embeddings = np.array([[0, 1], [0, 1], [1, 0], [1, 0], [0.1, 0.9]], np.float32)
    hard = HardPartners.current(embeddings, np.arange(5), samples(copies), neighbours=1)
    assert hard.triplets.shape == (0, 3)
    assert hard.neighbours[:, 0].reshape(3, copies)[:, 0].tolist() == [2 * copies, 2 * copies, 0]


def test_without_triplets_there_are_no_partners() -> None:
    nothing = Triplets(TABLE.head(0), GRAPH.head(0), b"")
    hard = HardPartners.offline(nothing, samples(4))
    assert hard.triplets.shape == (0, 3)
    assert hard.neighbours.shape == (12, 0)
