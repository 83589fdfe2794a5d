"""Claim: with defaults no run collapses, and one that is made to collapse ends well. `python -m benchmarks.collapse`.

Default training configuration on the glyphs (32×32, a narrow encoder and fewer steps, so that twenty runs take minutes;
a collapse comes within the first hundred steps). Then batch-hard mining, which collapses, without and with recovery.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.in_process import Data, Recipe, fit, prepare
from siamese_core.config import EncoderConfig, ImageConfig, SplitConfig, TrainingConfig, TripletConfig
from siamese_core.data.glyphs import make_glyphs


def line(name: str, data: Data, recipe: Recipe, seeds: range) -> str:
    """How the runs of some seeds ended."""
    collapses, recoveries, distances, errors = 0, 0, [], []
    for seed in seeds:
        trained, _ = fit(data, recipe, seed)
        kinds = [event["kind"] for event in trained.events]
        collapses += "collapse" in kinds or "recovery" in kinds
        recoveries += "recovery" in kinds
        distances.append(trained.history[-1]["distance"])
        errors.append(trained.history[-1]["validation_eer"])
    return (
        f"{name}: {collapses} of {len(seeds)} runs collapsed, {recoveries} recovered; mean distance at the end "
        f"{min(distances):.2g} to {max(distances):.2g}, EER at the end {min(errors):.1%} to {max(errors):.1%}"
    )


def main() -> None:
    """Three lines."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--steps", type=int, default=200)
    chosen = options.parse_args()
    images = ImageConfig(size=32, color="grey", invert=True)
    training = TrainingConfig(steps=chosen.steps, evaluate_every=chosen.steps // 2)
    recipe = Recipe(images, SplitConfig(), TripletConfig(), EncoderConfig(width=16, embedding_dim=64), training)
    provoked = replace(training, mining="batch_hard", on_collapse="warn")
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_glyphs(folder / "glyphs", characters=400, seed=0)
        (folder / "store").mkdir()
        data = prepare(folder / "glyphs", folder / "store", recipe)
        lines.append(line("defaults", data, recipe, range(chosen.seeds)))
        few = range(min(5, chosen.seeds))
        lines.append(line("batch_hard, only warned", data, replace(recipe, training=provoked), few))
        recovering = replace(provoked, on_collapse="recover")
        lines.append(line("batch_hard, recovering", data, replace(recipe, training=recovering), few))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
