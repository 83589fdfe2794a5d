"""Training, calibration and verification by siamese_core alone: `python -I train_without_zenml.py FOLDER`."""

import importlib
import importlib.util
import pkgutil
import sys
import tempfile
from pathlib import Path

import siamese_core
from siamese_core.calibration.expected_rates import Concentration
from siamese_core.calibration.operating_points import calibrate
from siamese_core.config import (
    CalibrationConfig,
    EncoderConfig,
    ImageConfig,
    SplitConfig,
    TrainingConfig,
    TripletConfig,
)
from siamese_core.data.glyphs import make_glyphs
from siamese_core.data.ingest import ingest
from siamese_core.data.split import make_split
from siamese_core.evaluation.held_out import part_pairs
from siamese_core.metrics.pairs import pair_distances
from siamese_core.network.embedding import embed
from siamese_core.network.encoders import make_encoder
from siamese_core.training.loop import train, training_images
from siamese_core.triplets.offline import build_triplets

folder = Path(sys.argv[1])
seed = 0

assert "site-packages" in siamese_core.__file__
for absent in ("zenml", "mlflow", "great_expectations", "pipelines", "steps", "infra", "configs"):
    assert importlib.util.find_spec(absent) is None, absent
for module in pkgutil.walk_packages(siamese_core.__path__, "siamese_core."):
    importlib.import_module(module.name)

make_glyphs(folder / "images", characters=40, seed=1)
images = ImageConfig(size=16, color="grey", invert=True)
encoder = EncoderConfig(width=8, embedding_dim=8)
training = TrainingConfig(steps=30, evaluate_every=15, identities_per_batch=8)
calibration = CalibrationConfig(bootstrap=100)

data = ingest(folder / "images", Path(tempfile.mkdtemp(dir=folder)), images)
split = make_split(data.manifest, SplitConfig())
fresh = make_encoder(encoder, images.channels, seed)
triplets = build_triplets(
    fresh, data.manifest, data.store, split, TripletConfig(max_triplets=200), training.margin, seed
)
pixels = training_images(data.manifest, data.store, split)
trained, _ = train(pixels, triplets.table, triplets.graph, encoder, training, seed)

rows, pairs = part_pairs(data.manifest, split, "calibration", calibration, seed)
distances = pair_distances(embed(trained.build(), data.store.images, rows), pairs)
_, to_come = part_pairs(data.manifest, split, "test", calibration, seed)
thresholds = calibrate(distances, calibration, len(rows), seed, Concentration.of_pairs(to_come))

siamese_core.Verifier(trained, thresholds).save(folder / "model")
first, second = sorted((folder / "images").glob("*/*.png"))[:2]
print(siamese_core.Verifier.load(folder / "model").verify(first, second).same)
