"""Claim: the rates stated at calibration hold on identities never seen. `python -m benchmarks.intervals`.

Trains each configuration for a few steps (`--steps`; a weak model has errors to count), embeds its calibration and test
identities once, and splits these identities in two at random, `--repeats` times: one half calibrates, the other tests.
Counts how often the realised FMR and FNMR lie in the interval that the calibration stated; how often the test half's
own bootstrap interval has the rate of the whole pool; and how often the FMR stays within its target, with and without
`calibration.conservative`. Two halves of one pool differ from each other as much as two independent samples do.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from benchmarks.in_process import fit, read_setup
from siamese_core.arrays import Indices, labels_of
from siamese_core.calibration.expected_rates import Concentration, Interval
from siamese_core.calibration.operating_points import Calibration, calibrate
from siamese_core.config import CalibrationConfig
from siamese_core.metrics.bootstrap import IdentityBootstrap
from siamese_core.metrics.pairs import PairDistances, few_of_each, make_pairs, pair_distances
from siamese_core.metrics.rates import Rate, fmr_at, fnmr_at
from siamese_core.network.embedding import embed

_DATA = {"omniglot": Path("data/omniglot_background"), "faces": Path("data/lfw_view1")}
_HEAD = [
    "operating point",
    "FMR in its interval",
    "FNMR in its interval",
    "FMR stated (median)",
    "FMR realised (middle 95 %)",
    "FMR ≤ target",
    "FMR ≤ target, conservative",
    "FNMR (median)",
    "FNMR (median), conservative",
    "test's interval has the pool's FMR",
    "test's interval has the pool's FNMR",
]


@dataclass(frozen=True)
class Pool:
    """Fixed embeddings of identities that did not train."""

    embeddings: npt.NDArray[np.float32]
    labels: Indices

    def distances(self, identities: Indices, config: CalibrationConfig, seed: int) -> PairDistances:
        """The pairs of some of the identities."""
        rows = np.flatnonzero(np.isin(self.labels, identities))
        labels = np.unique(self.labels[rows], return_inverse=True)[1]
        pairs = make_pairs(labels, config.max_genuine_pairs, config.max_impostor_pairs, seed)
        return pair_distances(self.embeddings[rows], pairs)


@dataclass(frozen=True)
class RateSeen:
    """One rate in one repeat: what was stated, what came, the test's own interval, and the rate of the whole pool."""

    stated: Interval
    realised: Rate
    pool: float

    @property
    def held(self) -> bool:
        """Whether the stated interval held."""
        return self.stated.holds(self.realised.value)

    @property
    def covered(self) -> bool:
        """Whether the test's own interval has the pool's rate."""
        return self.realised.low <= self.pool <= self.realised.high


# (FMR, FNMR) by operating point.
Repeat = dict[str, tuple[RateSeen, RateSeen]]


def main() -> None:
    """A table a data set, and the picture."""
    arguments = _options()
    studies = {}
    for name in arguments.names:
        pool = _pool(name, arguments)
        studies[name] = study(pool, arguments.repeats, arguments.impostor_pairs)
        count = f"{pool.labels.max() + 1:,} identities, {len(pool.labels):,} images"
        print(f"\n{name}: {count}, {arguments.repeats} repeats\n")
        print("\n".join(table(*studies[name])), flush=True)
    if arguments.plot:
        picture({name: plain for name, (plain, _) in studies.items()}).savefig(arguments.plot, metadata={"Date": None})


def study(pool: Pool, repeats: int, impostor_pairs: int) -> tuple[list[Repeat], list[Repeat]]:
    """The repeats, with thresholds as they are and conservative ones."""
    config = CalibrationConfig(bootstrap=200, max_impostor_pairs=impostor_pairs)
    everyone = np.arange(pool.labels.max() + 1)
    whole = pool.distances(everyone, config, 0)
    plain: list[Repeat] = []
    conservative: list[Repeat] = []
    for seed in range(repeats):
        shuffled = np.random.default_rng(seed).permutation(everyone)
        halves = np.split(shuffled, [len(shuffled) // 2])
        calibrating, new = (pool.distances(half, config, seed) for half in halves)
        spread = Concentration.of(new.genuine_identity, new.impostor_identities)
        for careful, results in ((False, plain), (True, conservative)):
            calibration = calibrate(calibrating, replace(config, conservative=careful), 0, seed, spread)
            results.append(_measure(calibration, new, whole, config, seed))
    return plain, conservative


def table(plain: list[Repeat], conservative: list[Repeat]) -> list[str]:
    """The counts as lines of Markdown."""
    names = [name for name in plain[0] if all(name in repeat for repeat in plain)]
    rows = [_HEAD, ["---"] * len(_HEAD), *(_row(name, plain, conservative) for name in names)]
    at_once = [f"{np.mean([all(point[kind].held for point in r.values()) for r in plain]):.1%}" for kind in (0, 1)]
    rows.append(["all at once", *at_once, *[""] * (len(_HEAD) - 3)])
    return ["| " + " | ".join(row) + " |" for row in rows]


def picture(studies: dict[str, list[Repeat]]) -> Figure:
    """The stated interval and the realised FMR of each repeat, in the order of the latter."""
    targets = {name: float(name.removeprefix("fmr_")) for name in next(iter(studies.values()))[0] if "fmr" in name}
    figure = Figure(figsize=(3.4 * len(targets), 3 * len(studies)), layout="constrained")
    grid = figure.subplots(len(studies), len(targets), squeeze=False)
    for axes_row, (data, repeats) in zip(grid, studies.items(), strict=True):
        for axes, (name, target) in zip(axes_row, targets.items(), strict=True):
            _panel(axes, [repeat[name][0] for repeat in repeats if name in repeat], target)
            axes.set_title(f"{data}, {name}", fontsize=10)
    return figure


def _panel(axes: Axes, rates: list[RateSeen], target: float) -> None:
    rates = sorted(rates, key=lambda each: each.realised.value)
    lines = [[(x, each.stated.low / target), (x, each.stated.high / target)] for x, each in enumerate(rates)]
    axes.add_collection(LineCollection(lines, colors="#9ca3af", linewidths=1))
    colors = ["#2563eb" if each.held else "#dc2626" for each in rates]
    axes.scatter(range(len(rates)), [each.realised.value / target for each in rates], s=6, c=colors, zorder=2)
    axes.axhline(1, color="black", linewidth=0.8, linestyle="--")
    axes.set(xticks=[], ylim=(0, None), xlabel="repeats, by realised FMR", ylabel="FMR / target")
    axes.spines[["top", "right"]].set_visible(False)


def _measure(
    calibration: Calibration, new: PairDistances, whole: PairDistances, config: CalibrationConfig, seed: int
) -> Repeat:
    bootstrap = IdentityBootstrap.of(new, config.confidence, config.bootstrap, seed)
    repeat = {}
    for name, point in calibration.points.items():
        fmr, fnmr = bootstrap.rates(point.threshold)
        pool_rates = fmr_at(whole.impostor, point.threshold), fnmr_at(whole.genuine, point.threshold)
        repeat[name] = (
            RateSeen(point.expected_fmr, fmr, pool_rates[0]),
            RateSeen(point.expected_fnmr, fnmr, pool_rates[1]),
        )
    return repeat


def _row(name: str, plain: list[Repeat], conservative: list[Repeat]) -> list[str]:
    fmr, fnmr = ([repeat[name][kind] for repeat in plain] for kind in (0, 1))
    careful = [repeat[name] for repeat in conservative if name in repeat]
    target = float(name.removeprefix("fmr_")) if name.startswith("fmr_") else None
    stated = np.median([[each.stated.low, each.stated.high] for each in fmr], axis=0)
    realised = np.quantile([each.realised.value for each in fmr], [0.025, 0.975])
    return [
        name,
        f"{np.mean([each.held for each in fmr]):.1%}",
        f"{np.mean([each.held for each in fnmr]):.1%}",
        "{:.3%} to {:.3%}".format(*stated),
        "{:.3%} to {:.3%}".format(*realised),
        _within(fmr, target),
        _within([each for each, _ in careful], target),
        f"{np.median([each.realised.value for each in fnmr]):.2%}",
        f"{np.median([each.realised.value for _, each in careful]):.2%}" if careful else "refused",
        f"{np.mean([each.covered for each in fmr]):.1%}",
        f"{np.mean([each.covered for each in fnmr]):.1%}",
    ]


def _within(rates: list[RateSeen], target: float | None) -> str:
    if target is None:
        return "–"
    if not rates:
        return "refused"
    return f"{np.mean([each.realised.value <= target for each in rates]):.1%} of {len(rates)}"


def _pool(name: str, arguments: argparse.Namespace) -> Pool:
    """The embeddings, from the cache where they are there."""
    path: Path = arguments.cache / f"{name}.npz"
    if not path.is_file():
        arguments.cache.mkdir(parents=True, exist_ok=True)
        np.savez(path, **_embeddings(arguments.data.get(name, _DATA[name]), name, arguments.steps, arguments.width))
    saved = np.load(path)
    return _thinned(Pool(saved["embeddings"], labels_of(saved["identities"].tolist())[0]), arguments.most_images)


def _thinned(pool: Pool, most: int | None) -> Pool:
    """The pool with at most so many images of each identity, drawn at random."""
    if most is None:
        return pool
    sample = few_of_each(pool.labels, most, seed=0)
    return Pool(pool.embeddings[sample], pool.labels[sample])


def _embeddings(data_dir: Path, name: str, steps: int, width: int) -> dict[str, Any]:
    """Trains, and embeds the identities that calibrate or test."""
    setup = read_setup(Path(f"configs/{name}.yaml"), steps=steps, evaluate_every=max(steps // 2, 1))
    setup = replace(setup, encoder=replace(setup.encoder, width=width))
    with tempfile.TemporaryDirectory() as folder:
        data = setup.read(data_dir, Path(folder), _faces_split(data_dir, Path(folder)))
        trained, _ = fit(data, setup, 0)
        rows = np.sort(np.concatenate([data.split.rows(data.manifest, part) for part in ("calibration", "test")]))
        identities = data.manifest.ok["identity"].iloc[rows].to_numpy().astype(str)
        return {"embeddings": embed(trained.build(), data.store.images, rows), "identities": identities}


def _faces_split(data_dir: Path, folder: Path) -> Path | None:
    """LFW's identities below test/ test; other data sets have no such folder."""
    if not (data_dir / "test").is_dir():
        return None
    path = folder.parent / f"{folder.name}.csv"
    rows = [f"test/{person.name},test" for person in sorted((data_dir / "test").iterdir())]
    path.write_text("\n".join(["identity,split", *rows]) + "\n")
    return path


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(_DATA), help=f"which: {', '.join(_DATA)} (all)")
    parser.add_argument("--data", type=_named_path, action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--cache", type=Path, default=Path("data/intervals"), help="folder for the embeddings")
    parser.add_argument("--steps", type=int, default=300, help="of training; a full run takes minutes")
    parser.add_argument("--width", type=int, default=16, help="of the encoder")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--impostor-pairs", type=int, default=300_000, help="most in each half")
    parser.add_argument("--most-images", type=int, help="of an identity, drawn at random; all, unless given")
    parser.add_argument("--plot", type=Path, help="file for the picture, such as docs/intervals.svg")
    arguments = parser.parse_args()
    arguments.data = dict(arguments.data)
    return arguments


def _named_path(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    return name, Path(path)


if __name__ == "__main__":
    main()
