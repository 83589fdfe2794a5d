import pytest

from siamese_core.config import EncoderConfig, SplitConfig, TripletConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import make_split
from siamese_core.data.store import ImageStore
from siamese_core.network.encoders import make_encoder
from siamese_core.triplets.offline import Triplets, build_triplets

ENCODER = EncoderConfig(width=8, embedding_dim=16)


@pytest.fixture(scope="session")
def data(ingested: tuple[Manifest, ImageStore]) -> Dataset:
    manifest, store = ingested
    return Dataset(manifest, store, make_split(manifest, SplitConfig(salt="a")))


@pytest.fixture(scope="session")
def triplets(data: Dataset) -> Triplets:
    return build_triplets(make_encoder(ENCODER, 1, seed=0), data, TripletConfig(500), margin=0.2, seed=0)
