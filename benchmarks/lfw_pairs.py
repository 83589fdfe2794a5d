"""Claim: faces of people never seen are told apart. `python -m benchmarks.lfw_pairs --seeds 0`.

Trains configs/faces.yaml on the people below train/ of LFW view 1, takes the threshold from calibration identities (a
fifth of those people, by the hash split), and measures the accuracy on the official pairs of pairsDevTest.txt.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.in_process import fit, read_setup
from siamese_core.config import CalibrationConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.listed_test_pairs import read_held_out_pairs
from siamese_core.data.pair_lists import PairList
from siamese_core.evaluation.held_out import calibrate_encoder
from siamese_core.evaluation.protocols import measure_pairs
from siamese_core.network.embedding import RowEmbedder
from siamese_core.network.trained import TrainedEncoder


def accuracy(trained: TrainedEncoder, data: Dataset, pairs: PairList, seed: int) -> tuple[float, float]:
    """Accuracy on the pairs at the calibrated threshold, and the EER on the calibration identities."""
    embedder, config = RowEmbedder(trained.build(), data.store.images), CalibrationConfig()
    calibration = calibrate_encoder(trained, data, config, seed)
    result = measure_pairs(embedder, pairs, data.manifest, calibration, config, seed)
    assert result, "the file has pairs"
    return result.accuracy, calibration.eer


def main() -> None:
    """A line a seed, then the mean."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, default=Path("data/lfw_view1"))
    options.add_argument("--config", type=Path, default=Path("configs/faces.yaml"))
    options.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = options.parse_args()
    setup = read_setup(arguments.config)
    accuracies = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        people = sorted(path.name for path in (arguments.data / "test").iterdir())
        (folder / "split.csv").write_text("identity,split\n" + "".join(f"test/{person},test\n" for person in people))
        (folder / "store").mkdir()
        data = setup.read(arguments.data, folder / "store", folder / "split.csv")
        pairs = read_held_out_pairs(arguments.data / "pairsDevTest.txt", data.manifest, data.split)
        for seed in arguments.seeds:
            trained, speed = fit(data, setup, seed)
            right, eer = accuracy(trained, data, pairs, seed)
            accuracies.append(right)
            print(
                f"seed {seed}: accuracy {right:.2%} on {len(pairs.pairs):,} pairs, "
                f"EER on calibration identities {eer:.2%}, trained {speed['seconds'] / 60:.1f} min",
                flush=True,
            )
    print(f"{len(accuracies)} seeds: {np.mean(accuracies):.2%} ± {np.std(accuracies):.2%}")


if __name__ == "__main__":
    main()
