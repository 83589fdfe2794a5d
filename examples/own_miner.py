"""Train with a miner of one's own, without touching the library.

    python examples/own_miner.py

For each positive pair, the rule takes one of the three nearest negatives beyond the positive at random, so that no
single wrong label is mined again and again.
"""

import logging
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from siamese_core import (
    EncoderConfig,
    ImageConfig,
    Recipe,
    TrainingConfig,
    TripletConfig,
    build_triplets,
    make_encoder,
    read_dataset,
    train,
)
from siamese_core.arrays import Labels
from siamese_core.data.glyphs import make_glyphs
from siamese_core.triplets.mining import TripletIndices


def soft_semi_hard(distances: Tensor, labels: Labels) -> TripletIndices:
    """Choose triplets of a batch.

    Args:
        distances: (B, B) float32 squared distances, without gradient.
        labels: (B,) int64 identities, on the host.
    """
    identities = torch.as_tensor(labels, device=distances.device)
    same = identities[:, None] == identities  # (B, B)
    anchor, positive = (same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)).nonzero(as_tuple=True)
    beyond = distances[anchor] > distances[anchor, positive, None]  # (T, B)
    to_negatives = distances[anchor].masked_fill(same[anchor] | ~beyond, torch.inf)
    nearest = to_negatives.topk(3, largest=False)  # (T, 3)
    choice = torch.randint(3, (len(anchor), 1), device=same.device)
    usable = nearest.values.gather(1, choice).isfinite().squeeze(1)
    negative = nearest.indices.gather(1, choice).squeeze(1)
    return TripletIndices(anchor[usable], positive[usable], negative[usable])


def main() -> None:
    """Compare the rule with the semi-hard one on 200 characters, by the EER on validation identities."""
    with tempfile.TemporaryDirectory() as folder:
        make_glyphs(Path(folder) / "glyphs", characters=200)
        (store := Path(folder) / "store").mkdir()
        data = read_dataset(Path(folder) / "glyphs", store, ImageConfig(size=24, color="grey", invert=True))
        recipe = Recipe(EncoderConfig(embedding_dim=32), TrainingConfig(steps=200, evaluate_every=50), seed=0)
        fresh = make_encoder(recipe.encoder, data.config.channels, recipe.seed)
        triplets = build_triplets(fresh, data, TripletConfig(), recipe.training.margin, recipe.seed)
        for miner in (None, soft_semi_hard):
            trained, _ = train(data, triplets, recipe, miner=miner)
            print(f"{miner.__name__ if miner else 'semi_hard'}: EER {trained.summary()['validation_eer']:.2%}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
