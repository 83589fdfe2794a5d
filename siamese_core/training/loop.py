"""Training the Siamese encoder on P×K batches with online triplet mining."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd
import torch

from siamese_core.arrays import Indices, Pixels, labels_of
from siamese_core.config import EncoderConfig, ImageConfig, TrainingConfig
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split
from siamese_core.data.store import ImageStore
from siamese_core.devices import choose_device, describe_device
from siamese_core.errors import ConfigError, TrainingError
from siamese_core.network.embedding import embed
from siamese_core.network.encoders import Encoder, make_encoder
from siamese_core.network.trained import TrainedEncoder
from siamese_core.progress import Progress, track
from siamese_core.training.batches import Batch, BatchLoader
from siamese_core.training.checkpoint import CheckpointFile, Snapshot, fingerprint
from siamese_core.training.collapse import CollapseMonitor
from siamese_core.training.health import Health
from siamese_core.training.learner import Learner, below, compute_only_rate, learning_rate_at
from siamese_core.training.partners import KeptImages
from siamese_core.training.sampling import HardPartners, PKSampler
from siamese_core.training.validation import Best, Validation, carve_validation

_CHECK_EVERY = 25  # steps between two looks at the health of the batches
_NEIGHBOURS, _IMAGES_FOR_MEAN = 10, 4  # of each identity, when the groups are refreshed
# The compute-only loop is timed for this share of the training time, and at most for so many seconds.
_COMPUTE_SHARE, _COMPUTE_SECONDS = 0.03, 3.0


@dataclass(frozen=True)
class TrainingImages:
    """What the loop reads.

    Attributes:
        images: (N, H, W, C) uint8, may be memory-mapped.
        config: How they were prepared.
        rows: (n,) int64 rows of `images` to train on.
        labels: (n,) int64, the identity of each, 0 to I − 1.
        names: The I identities.
        content: Text that changes with the images.
    """

    images: Pixels
    config: ImageConfig
    rows: Indices
    labels: Indices
    names: list[str]
    content: str = ""


@dataclass(frozen=True)
class _Plan:
    encoder: EncoderConfig
    training: TrainingConfig
    seed: int


def training_images(manifest: Manifest, store: ImageStore, split: Split) -> TrainingImages:
    """The images of the train identities."""
    rows = split.rows(manifest, "train")
    labels, names = labels_of(manifest.ok["identity"].iloc[rows].tolist())
    return TrainingImages(store.images, store.config, rows, labels, names, manifest.sha256())


def train(
    data: TrainingImages,
    triplets: pd.DataFrame,
    graph: pd.DataFrame,
    encoder_config: EncoderConfig,
    config: TrainingConfig,
    seed: int,
    start: TrainedEncoder | None = None,
    checkpoint: Callable[[str], CheckpointFile] | None = None,
) -> tuple[TrainedEncoder, dict[str, float]]:
    """Trains an encoder and keeps the weights with the lowest EER on validation identities.

    Args:
        data: Train images.
        triplets: Table of `siamese_core.triplets.offline.Triplets`, in rows of `data.images`.
        graph: Its identity-neighbour graph.
        encoder_config: The network.
        config: The loop.
        seed: Of the weights, the batches and the augmentation; the same seed gives the same bits on a CPU.
        start: Weights to start from instead of fresh ones; its architecture must be the configured one.
        checkpoint: Gives the file for a run's fingerprint. The run is saved there at every validation, and goes on
            from there if it was killed: on a CPU with the same bits as if it had not been.

    Returns:
        The trained encoder, and how fast it went: `images_per_second`, `compute_images_per_second` (of the same loop
        on one batch that is already there), `data_wait` (share of the time spent waiting for a batch), `seconds`.

    Raises:
        DataError: Fewer than two identities have two images.
        ConfigError: `config.device` does not exist here.
        TrainingError: The loss is no longer finite, or the encoder collapsed for good.
    """
    torch.manual_seed(seed)
    device = choose_device(config.device)
    print(f"training on {describe_device(device)}")
    encoder = make_encoder(encoder_config, data.config.channels, seed)
    if start is not None:
        encoder.load_state_dict(start.state)
    elif encoder_config.freeze == "body" and encoder_config.weights_file is None:
        raise ConfigError(
            "encoder.freeze is 'body', but there are no weights to freeze: name encoder.weights_file, or set "
            "training.warm_start with a champion of this architecture."
        )
    plan = _Plan(encoder_config, config, seed)
    file = checkpoint(_fingerprint(data, triplets, graph, encoder, plan)) if checkpoint else None
    run = _Run(data, triplets, graph, encoder.to(device), plan)
    done = run.resume(file.load() if file else None)
    with track("train", config.steps, "steps", done) as progress:
        for first, last in pairwise([done, *_validation_steps(done, config)]):
            run.learn(first, last, progress)
            run.validate(last, progress)
            run.refresh_groups(last)
            if file is not None:
                file.save(run.snapshot(last))
    return run.trained(), run.speed()


def _validation_steps(first: int, config: TrainingConfig) -> list[int]:
    """The steps after which there is a validation: multiples of `evaluate_every` beyond `first`, and the last step."""
    if first == config.steps:
        return []
    every = config.evaluate_every
    return [*range(first - first % every + every, config.steps, every), config.steps]


def _fingerprint(
    data: TrainingImages, triplets: pd.DataFrame, graph: pd.DataFrame, encoder: Encoder, plan: _Plan
) -> str:
    """What decides the bits of a run; the first weights stand for the seed, a weights file and a warm start."""
    weights = [value.cpu().numpy() for value in encoder.state_dict().values()]
    tables = [triplets.to_numpy(), graph.to_numpy()]
    texts = [str(table.tolist()) for table in tables]
    return fingerprint(
        data.content, data.config, data.rows, data.names, plan.encoder, plan.training, plan.seed, *texts, *weights
    )


def _kept_images(data: TrainingImages, kept: Indices, config: TrainingConfig) -> KeptImages:
    labels, names = labels_of([data.names[label] for label in data.labels[kept]])
    return KeptImages(data.rows[kept], labels, names, config.symmetries)


def _make_sampler(images: KeptImages, hard: HardPartners, config: TrainingConfig, seed: int) -> PKSampler:
    return PKSampler(
        images.sampler_labels(),
        config.identities_per_batch,
        config.images_per_identity,
        config.singletons_per_batch,
        hard,
        config.hard_fraction,
        seed,
        images.siblings(),
        config.sibling_fraction,
        config.siblings,
    )


def _make_loader(
    data: TrainingImages,
    images: KeptImages,
    sampler: PKSampler,
    config: TrainingConfig,
    seed: int,
    device: torch.device,
) -> BatchLoader:
    labels = images.sampler_labels()
    return BatchLoader(data.images, images.rows, labels, sampler, images.symmetries, config.augment, seed, device)


class _Run:
    """The parts of one training run, and what passes between them."""

    def __init__(
        self, data: TrainingImages, triplets: pd.DataFrame, graph: pd.DataFrame, encoder: Encoder, plan: _Plan
    ) -> None:
        config, seed = plan.training, plan.seed
        kept, held_out = carve_validation(data.labels, config.validation, seed)
        images = _kept_images(data, kept, config)
        self._data, self._kept, self._plan, self._config = data, images, plan, config
        self._device = next(encoder.parameters()).device
        self._sampler = _make_sampler(images, images.hard_partners(triplets, graph), config, seed)
        self._loader = _make_loader(data, images, self._sampler, config, seed, self._device)
        self._learner = Learner(encoder, config)
        self._monitor = CollapseMonitor(self._learner, config.margin, config.on_collapse)
        self._validation = Validation(data.images, data.rows[held_out], data.labels[held_out], seed)
        self._best = Best()
        self._history: list[dict[str, float]] = []
        self._images, self._seconds = 0, 0.0
        self._last_batch: Batch | None = None

    def learn(self, first: int, last: int, progress: Progress) -> None:
        """The steps `first` to `last` − 1, and a row of the history."""
        started = time.perf_counter()
        looks: list[Health] = []
        for step, batch in self._loader.run(first, last):
            self._learner.learn(step, batch)
            if (step + 1 - first) % _CHECK_EVERY == 0 or step + 1 == last:
                looks.append(self._look(step + 1))
            self._images += len(batch.images)
            self._last_batch = batch
            progress.advance()
        self._seconds += time.perf_counter() - started
        rate = self._learner.rate_factor * learning_rate_at(last - 1, self._config)
        self._history.append({"step": last, **Health.mean(looks).figures(), "learning_rate": rate})

    def _look(self, step: int) -> Health:
        health = self._learner.read()
        if not math.isfinite(health.loss):
            raise TrainingError(f"The loss is {health.loss} at step {step}: lower training.learning_rate.")
        self._monitor.check(step, health)
        return health

    def validate(self, step: int, progress: Progress) -> None:
        """Offers the weights after `step` steps."""
        row = self._history[-1]
        row["validation_eer"] = self._validation.eer(self._learner.average)
        self._best.offer(self._learner.average, step, row["validation_eer"])
        progress.note(loss=row["loss"], active=row["active"], validation_eer=row["validation_eer"])

    def refresh_groups(self, step: int) -> None:
        """Finds out which identities are confused now, where the next batches shall know."""
        every, last = self._config.refresh_every, self._config.steps
        if every and step % every == 0 and step < last:
            positions = self._kept.few_of_each(_IMAGES_FOR_MEAN)
            embeddings = embed(self._learner.average, self._data.images, self._kept.rows[positions])
            self._sampler.replace_hard(self._kept.new_partners(embeddings, positions, _NEIGHBOURS))

    def snapshot(self, step: int) -> Snapshot:
        """All state after `step` steps."""
        tensors, values = self._learner.snapshot()
        tensors |= {f"best.{name}": value for name, value in self._best.state.items()}
        tensors |= {f"good.{name}": value for name, value in self._monitor.good.items()}
        tensors |= {f"recent.{name}": value for name, value in self._monitor.recent.items()}
        tensors |= {"hard.triplets": torch.from_numpy(self._sampler.hard.triplets)}
        tensors |= {"hard.neighbours": torch.from_numpy(self._sampler.hard.neighbours), "random": torch.get_rng_state()}
        best = {"step": self._best.step, "eer": self._best.eer}
        monitor = {"warned": self._monitor.warned, "events": self._monitor.events}
        values |= {"step": step, "best": best, "history": self._history, "monitor": monitor}
        return Snapshot(tensors, values)

    def resume(self, snapshot: Snapshot | None) -> int:
        """Takes over a snapshot; returns the steps that are done."""
        if snapshot is None:
            return 0
        tensors, values = snapshot.tensors, snapshot.values
        self._learner.restore(tensors, values)
        self._best = Best(below("best.", tensors), values["best"]["step"], values["best"]["eer"])
        self._sampler.replace_hard(HardPartners(tensors["hard.triplets"].numpy(), tensors["hard.neighbours"].numpy()))
        torch.set_rng_state(tensors["random"])
        print(f"going on at step {values['step']:,} of a run that was interrupted")
        self._history = values["history"]
        self._monitor.good, self._monitor.recent = (
            {name: value.to(self._device) for name, value in below(prefix, tensors).items()}
            for prefix in ("good.", "recent.")
        )
        self._monitor.warned, self._monitor.events = values["monitor"]["warned"], values["monitor"]["events"]
        return int(values["step"])

    def trained(self) -> TrainedEncoder:
        """The best weights, and how they came about."""
        return TrainedEncoder(
            self._best.state,
            self._plan.encoder,
            self._data.config,
            self._history,
            self._best.step,
            self._monitor.events,
        )

    def speed(self) -> dict[str, float]:
        """How fast this process trained; nothing for a run that was complete already."""
        if self._last_batch is None:
            return {}
        limit = min(_COMPUTE_SECONDS, _COMPUTE_SHARE * self._seconds)
        return {
            "images_per_second": self._images / self._seconds,
            "compute_images_per_second": compute_only_rate(self._learner, self._last_batch, limit),
            "data_wait": self._loader.seconds_waited / self._seconds,
            "seconds": self._seconds,
        }
