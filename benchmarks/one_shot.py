"""Claim: characters of alphabets never seen are told apart. `python -m benchmarks.one_shot --seeds 5`.

Trains configs/omniglot.yaml on 24 alphabets of the Omniglot background set (or, with `--alphabets 5`, on 5 of them
that the seed chooses), a seed after the other, and measures 20-way one-shot classification within each of the 6 other
alphabets, between any two of the 20 drawers. Seed s holds out the s-th six of the 30 alphabets, so that five seeds test
every alphabet once: which six are held out matters more than anything else. The six of seed 0 were not looked at by any
trial of docs/experiments.md; the others were.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.in_process import fit, read_setup
from siamese_core.evaluation.one_shot_layout import one_shot_paths
from siamese_core.evaluation.one_shot_tasks import OneShotResult, evaluate_one_shot
from siamese_core.network.embedding import embed

_HELD_OUT = 6
_WAY = 20
# In this order of the sorted alphabets they are held out, six at a time.
_ORDER = np.random.default_rng(2026).permutation(30)


def write_split(data_dir: Path, path: Path, alphabets: int, seed: int) -> None:
    """Write a split: the held-out alphabets test, some of the others train, the rest only calibrates."""
    names = np.array(sorted(folder.name for folder in data_dir.iterdir() if folder.is_dir()))
    names = names[np.roll(_ORDER, -_HELD_OUT * seed)]
    others = np.random.default_rng(seed).permutation(names[_HELD_OUT:])
    parts = dict.fromkeys(names[:_HELD_OUT], "test") | dict.fromkeys(others, "calibration")
    parts |= dict.fromkeys(others[:alphabets], "train")
    rows = [(f"{name}/{character.name}", part) for name, part in parts.items() for character in _below(data_dir / name)]
    if "calibration" not in parts.values():  # a split needs some; two characters are the least
        rows[-2:] = [(identity, "calibration") for identity, _ in rows[-2:]]
    path.write_text("identity,split\n" + "".join(f"{identity},{part}\n" for identity, part in rows))


def _below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def run(data_dir: Path, config: Path, alphabets: int, seed: int) -> tuple[OneShotResult, float]:
    """Train once; returns the result on the held-out alphabets, and the minutes."""
    setup = read_setup(config)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_split(data_dir, folder / "split.csv", alphabets, seed)
        (folder / "store").mkdir()
        data = setup.read(data_dir, folder / "store", folder / "split.csv")
        trained, speed = fit(data, setup, seed)
        images = data.part("test")
        embeddings = embed(trained.build(), images.pixels, images.rows)
        result = evaluate_one_shot(embeddings, one_shot_paths(data.manifest, data.split), _WAY)
        return result, speed["seconds"] / 60


def main() -> None:
    """Print a line a seed, then the mean."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, default=Path("data/omniglot_background"))
    options.add_argument("--config", type=Path, default=Path("configs/omniglot.yaml"))
    options.add_argument("--alphabets", type=int, default=24, help="to train on, up to 24")
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    arguments = options.parse_args()
    errors = []
    for seed in arguments.seeds:
        result, minutes = run(arguments.data, arguments.config, arguments.alphabets, seed)
        errors.append(result.error)
        each = ", ".join(f"{name} {error:.1%}" for name, error in result.groups.items())
        print(
            f"seed {seed}: error {result.error:.2%} ({each}), {result.queries:,} queries, trained {minutes:.1f} min",
            flush=True,
        )
    print(f"{arguments.alphabets} alphabets, {len(errors)} seeds: {np.mean(errors):.2%} ± {np.std(errors):.2%}")


if __name__ == "__main__":
    main()
