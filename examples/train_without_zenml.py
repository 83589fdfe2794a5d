"""Train, calibrate and evaluate a verifier without ZenML and MLflow.

    python examples/train_without_zenml.py MODEL [IMAGES]

IMAGES holds one folder an identity; without it, 200 characters in matplotlib's typefaces are drawn. MODEL is the folder
to write, which `siamese verify --model MODEL A B` takes.
"""

import logging
import sys
import tempfile
from pathlib import Path

from siamese_core import (
    CalibrationConfig,
    EncoderConfig,
    ImageConfig,
    Recipe,
    TrainingConfig,
    TripletConfig,
    Verifier,
    build_triplets,
    calibrate_encoder,
    evaluate_verifier,
    make_encoder,
    read_dataset,
    train,
)
from siamese_core.data.glyphs import make_glyphs


def main(model: Path, images: Path | None = None) -> None:
    """Go from a folder of images to an exported model, and print its errors on test identities."""
    with tempfile.TemporaryDirectory() as folder:
        images = images or draw_characters(Path(folder) / "glyphs")
        (store := Path(folder) / "store").mkdir()
        data = read_dataset(images, store, ImageConfig(size=24, color="grey", invert=True))

        recipe = Recipe(EncoderConfig(embedding_dim=32), TrainingConfig(steps=200, evaluate_every=100), seed=0)
        fresh = make_encoder(recipe.encoder, data.config.channels, recipe.seed)
        triplets = build_triplets(fresh, data, TripletConfig(), recipe.training.margin, recipe.seed)
        trained, _ = train(data, triplets, recipe)

        config = CalibrationConfig(operating_point="fmr_1e-1")
        verifier = Verifier(trained, calibrate_encoder(trained, data, config))
        verifier.save(model)
        result = evaluate_verifier(verifier, data, config)
    print(f"EER {result.model.eer:.2%} on {result.identities} test identities (raw pixels {result.pixels.eer:.2%})")
    for name, point in result.model.points.items():
        print(f"  {name:<9} FMR {point.fmr}, FNMR {point.fnmr}")


def draw_characters(folder: Path) -> Path:
    """The embedded data set."""
    make_glyphs(folder, characters=200)
    return folder


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main(*map(Path, sys.argv[1:]))
