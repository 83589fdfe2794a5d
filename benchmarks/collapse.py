"""Claim: with defaults no run collapses, and one that is made to collapse ends well. `python -m benchmarks.collapse`.

Default training configuration on the glyphs (32×32, a narrow encoder and fewer steps, so that twenty runs take minutes;
a collapse comes within the first hundred steps). Then batch-hard mining, which collapses, without and with recovery.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.in_process import Setup, fit
from siamese_core.config import EncoderConfig, ImageConfig, SplitConfig, TrainingConfig, TripletConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.glyphs import make_glyphs


def line(name: str, data: Dataset, setup: Setup, seeds: range) -> str:
    """The ends of the runs of some seeds, in words."""
    collapses, recoveries, distances, errors = 0, 0, [], []
    for seed in seeds:
        trained, _ = fit(data, setup, seed)
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
    """Print three lines."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--steps", type=int, default=200)
    arguments = options.parse_args()
    images = ImageConfig(size=32, color="grey", invert=True)
    training = TrainingConfig(steps=arguments.steps, evaluate_every=arguments.steps // 2)
    setup = Setup(images, SplitConfig(), TripletConfig(), EncoderConfig(width=16, embedding_dim=64), training)
    provoked = replace(training, mining="batch_hard", on_collapse="warn")
    lines = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_glyphs(folder / "glyphs", characters=400, seed=0)
        (folder / "store").mkdir()
        data = setup.read(folder / "glyphs", folder / "store")
        lines.append(line("defaults", data, setup, range(arguments.seeds)))
        few = range(min(5, arguments.seeds))
        lines.append(line("batch_hard, only warned", data, replace(setup, training=provoked), few))
        recovering = replace(provoked, on_collapse="recover")
        lines.append(line("batch_hard, recovering", data, replace(setup, training=recovering), few))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
