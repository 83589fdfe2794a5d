"""Claim: faces of people never seen are told apart. `python -m benchmarks.lfw_pairs --seeds 0`.

Trains configs/faces.yaml on the people below train/ of LFW view 1, takes the threshold from calibration identities (a
fifth of those people, by the hash split), and measures the accuracy on the official pairs of pairsDevTest.txt.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.in_process import Data, fit, prepare, read_recipe
from siamese_core.calibration import calibrate
from siamese_core.config import CalibrationConfig
from siamese_core.embedding import embed
from siamese_core.pairs import Indices, pair_distances, part_pairs
from siamese_core.trained import TrainedEncoder


def read_pairs(path: Path) -> pd.DataFrame:
    """LFW's pairs file as columns `a`, `b` (file names) and `same`."""
    rows = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    return pd.DataFrame(
        {
            "a": [_file(row[0], row[1]) for row in rows],
            "b": [_file(row[-2] if len(row) == 4 else row[0], row[-1]) for row in rows],
            "same": [len(row) == 3 for row in rows],
        }
    )


def _file(name: str, number: str) -> str:
    return f"{name}_{int(number):04d}.jpg"


def accuracy(trained: TrainedEncoder, data: Data, pairs: pd.DataFrame, seed: int) -> tuple[float, float]:
    """Accuracy on the pairs at the calibrated threshold, and the EER on the calibration identities."""
    encoder, config = trained.build(), CalibrationConfig()
    rows, chosen = part_pairs(data.manifest, data.split, "calibration", config, seed)
    calibration = calibrate(pair_distances(embed(encoder, data.store.images, rows), chosen), config, len(rows), seed)
    names = data.manifest.ok["path"].str.rpartition("/")[2]
    row_of = pd.Series(np.arange(len(names)), index=names)
    first, second = (embed(encoder, data.store.images, _rows(row_of, pairs[side])) for side in "ab")
    below = ((first - second) ** 2).sum(1) < calibration.point("accuracy").threshold
    return float((below == pairs["same"]).mean()), calibration.eer


def _rows(row_of: "pd.Series[int]", names: "pd.Series[str]") -> Indices:
    return np.asarray(row_of[names], np.int64)


def main() -> None:
    """A line a seed, then the mean."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, default=Path("data/lfw_view1"))
    options.add_argument("--config", type=Path, default=Path("configs/faces.yaml"))
    options.add_argument("--seeds", type=int, nargs="+", default=[0])
    chosen = options.parse_args()
    pairs = read_pairs(chosen.data / "pairsDevTest.txt")
    recipe = read_recipe(chosen.config)
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        people = sorted(path.name for path in (chosen.data / "test").iterdir())
        (folder / "split.csv").write_text("identity,split\n" + "".join(f"test/{person},test\n" for person in people))
        (folder / "store").mkdir()
        data = prepare(chosen.data, folder / "store", recipe, folder / "split.csv")
        for seed in chosen.seeds:
            trained, speed = fit(data, recipe, seed)
            right, eer = accuracy(trained, data, pairs, seed)
            found.append(right)
            print(
                f"seed {seed}: accuracy {right:.2%} on {len(pairs):,} pairs, "
                f"EER on calibration identities {eer:.2%}, trained {speed['seconds'] / 60:.1f} min",
                flush=True,
            )
    print(f"{len(found)} seeds: {np.mean(found):.2%} ± {np.std(found):.2%}")


if __name__ == "__main__":
    main()
