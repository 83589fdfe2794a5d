"""Training the Siamese encoder on P×K batches with online triplet mining."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from siamese_core.augment import augment
from siamese_core.config import EncoderConfig, ImageConfig, TrainingConfig
from siamese_core.devices import choose_device, computes_in_bfloat16, describe_device
from siamese_core.embedding import embed, to_tensor
from siamese_core.encoders import Encoder, make_encoder
from siamese_core.errors import TrainingError
from siamese_core.images import Pixels
from siamese_core.manifest import Manifest
from siamese_core.metrics import equal_error_rate, roc
from siamese_core.objective import objective
from siamese_core.pairs import Indices, labels_of, make_pairs, pair_distances
from siamese_core.progress import track
from siamese_core.sampling import HardPartners, PKSampler
from siamese_core.split import Split
from siamese_core.store import ImageStore
from siamese_core.trained import TrainedEncoder

# Validation compares at most this many pairs: enough for the EER, cheap enough to do often.
_VALIDATION_PAIRS = 50_000


@dataclass(frozen=True)
class TrainingImages:
    """What the loop reads.

    Attributes:
        images: (N, H, W, C) uint8, may be memory-mapped.
        config: How they were prepared.
        rows: (n,) int64 rows of `images` to train on.
        labels: (n,) int64, the identity of each, 0 to I − 1.
        names: The I identities.
    """

    images: Pixels
    config: ImageConfig
    rows: Indices
    labels: Indices
    names: list[str]


def training_images(manifest: Manifest, store: ImageStore, split: Split) -> TrainingImages:
    """The images of the train identities."""
    rows = split.rows(manifest, "train")
    labels, names = labels_of(manifest.ok["identity"].iloc[rows].tolist())
    return TrainingImages(store.images, store.config, rows, labels, names)


def train(
    data: TrainingImages,
    triplets: pd.DataFrame,
    graph: pd.DataFrame,
    encoder_config: EncoderConfig,
    config: TrainingConfig,
    seed: int,
    start: TrainedEncoder | None = None,
) -> tuple[TrainedEncoder, dict[str, float]]:
    """Trains an encoder and keeps the weights with the lowest EER on validation identities.

    Args:
        data: Train images.
        triplets: Table of `siamese_core.triplets.Triplets`, in rows of `data.images`.
        graph: Its identity-neighbour graph.
        encoder_config: The network.
        config: The loop.
        seed: Of the weights, the batches and the augmentation; the same seed gives the same bits on a CPU.
        start: Weights to start from instead of fresh ones; its architecture must be the configured one.

    Returns:
        The trained encoder, and how fast it went: `images_per_second`, `data_wait` (share of the time spent on
        reading and augmenting) and `seconds`.

    Raises:
        DataError: Fewer than two identities have two images.
        ConfigError: `config.device` does not exist here.
        TrainingError: The loss is no longer finite.
    """
    torch.manual_seed(seed)
    device = choose_device(config.device)
    print(f"training on {describe_device(device)}")
    kept, held_out = _carve_validation(data.labels, config.validation, seed)
    sampler, rows = _make_sampler(data, kept, triplets, graph, config, seed)
    encoder = make_encoder(encoder_config, data.config.channels, seed)
    if start is not None:
        encoder.load_state_dict(start.state)
    encoder.to(device)
    loop = _Loop(encoder, config, seed)
    validation = _Validation(data, held_out, seed)
    best = _Best()
    with track("train", config.steps, "steps") as progress:
        for step in range(config.steps):
            chosen = sampler.batch(step)
            loop.train_step(step, to_tensor(data.images[rows[chosen]]).to(device), data.labels[kept[chosen]])
            if (step + 1) % config.evaluate_every == 0 or step + 1 == config.steps:
                row = loop.report(step + 1) | {"validation_eer": validation.eer(encoder)}
                best.offer(row, encoder)
                progress.note(loss=row["loss"], active=row["active"], validation_eer=row["validation_eer"])
            progress.advance()
    trained = TrainedEncoder(best.state, encoder_config, data.config, best.history, best.step)
    return trained, loop.speed()


def learning_rate_at(step: int, config: TrainingConfig) -> float:
    """Linear warm-up, then a cosine down to zero."""
    warmup = max(1, round(config.warmup * config.steps))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, config.steps - warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


class _Loop:
    """One optimisation step at a time; nothing is read back from the device except for a report."""

    def __init__(self, encoder: Encoder, config: TrainingConfig, seed: int) -> None:
        self._encoder, self._config, self._seed = encoder, config, seed
        self._device = next(encoder.parameters()).device
        automatic = config.precision == "auto" and computes_in_bfloat16(self._device)
        self._bfloat16 = automatic or config.precision == "bfloat16"
        fused = self._device.type == "cuda"
        self._optimizer = torch.optim.AdamW(
            encoder.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=fused
        )
        self._sums = torch.zeros(3, device=self._device)  # loss, active triplets, mean distance since the last report
        self._steps = 0
        self._images = 0
        self._started = self._mark = time.perf_counter()
        self._waited = 0.0
        encoder.train()

    def train_step(self, step: int, batch: torch.Tensor, labels: npt.NDArray[np.int64]) -> None:
        """Learns from one batch, (B, C, H, W) uint8 with (B,) identities."""
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
        images = augment(batch.float(), self._config.augment, generator)
        now = time.perf_counter()
        self._waited += now - self._mark
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate_at(step, self._config)
        loss, active, spread = self._loss(images, labels, generator)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._sums += torch.stack([loss.detach(), active, spread])
        self._steps += 1
        self._images += len(batch)
        self._mark = time.perf_counter()

    def _loss(
        self, images: torch.Tensor, labels: npt.NDArray[np.int64], generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            embeddings = self._encoder(images)  # (B, D) float32
        found = objective(embeddings, labels, self._config, generator)
        return found.loss, found.active_share, found.mean_distance

    def report(self, step: int) -> dict[str, float]:
        """Means since the last report."""
        loss, active, spread = (self._sums / max(self._steps, 1)).tolist()
        self._sums.zero_()
        self._steps = 0
        if not math.isfinite(loss):
            raise TrainingError(f"The loss is {loss} at step {step}: lower training.learning_rate.")
        rate = learning_rate_at(step - 1, self._config)
        # Validation is not data wait.
        self._mark = time.perf_counter()
        return {"step": step, "loss": loss, "active": active, "distance": spread, "learning_rate": rate}

    def speed(self) -> dict[str, float]:
        seconds = time.perf_counter() - self._started
        return {
            "images_per_second": self._images / seconds,
            "data_wait": self._waited / seconds,
            "seconds": seconds,
        }


class _Validation:
    """The EER on identities that are not trained on; NaN-free: without such identities it is 0.5 throughout."""

    def __init__(self, data: TrainingImages, held_out: Indices, seed: int) -> None:
        self._data, self._rows = data, data.rows[held_out]
        self._pairs = None
        if len(held_out):
            labels = np.unique(data.labels[held_out], return_inverse=True)[1].astype(np.int64)
            self._pairs = make_pairs(labels, _VALIDATION_PAIRS, _VALIDATION_PAIRS, seed)

    def eer(self, encoder: Encoder) -> float:
        if self._pairs is None:
            return 0.5
        distances = pair_distances(embed(encoder, self._data.images, self._rows), self._pairs)
        return equal_error_rate(roc(distances.genuine, distances.impostor))[0]


class _Best:
    """Keeps the weights with the lowest validation EER; of equals, the latest."""

    def __init__(self) -> None:
        self.state: dict[str, torch.Tensor] = {}
        self.history: list[dict[str, float]] = []
        self.step, self._eer = 0, math.inf

    def offer(self, row: dict[str, float], encoder: Encoder) -> None:
        self.history.append(row)
        if row["validation_eer"] <= self._eer:
            self._eer, self.step = row["validation_eer"], int(row["step"])
            self.state = {name: value.detach().cpu().clone() for name, value in encoder.state_dict().items()}


def _carve_validation(labels: Indices, share: float, seed: int) -> tuple[Indices, Indices]:
    """Positions to train on and positions to validate on, by identity.

    Only identities with several images are held out. There must be two of them, and two must remain to train on;
    where there are too few, nothing is held out and the last weights are kept.
    """
    sizes = np.bincount(labels)
    pairable = np.flatnonzero(sizes >= 2)
    count = max(2, round(share * len(pairable))) if share > 0 else 0
    if count == 0 or len(pairable) - count < max(2, count):
        if share > 0:
            print(f"train: {len(pairable)} identities are too few to hold some out; the last weights are kept")
        return np.arange(len(labels)), np.empty(0, np.int64)
    chosen = np.random.default_rng([seed, 2]).permutation(pairable)[:count]
    held_out = np.isin(labels, chosen)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _make_sampler(
    data: TrainingImages,
    kept: Indices,
    triplets: pd.DataFrame,
    graph: pd.DataFrame,
    config: TrainingConfig,
    seed: int,
) -> tuple[PKSampler, Indices]:
    """The sampler over the kept images, and the row of `data.images` behind each of its images."""
    rows = data.rows[kept]
    identities, labels = np.unique(data.labels[kept], return_inverse=True)
    names = [data.names[identity] for identity in identities]
    hard = HardPartners(_local_triplets(triplets, rows), _local_neighbours(graph, names))
    sampler = PKSampler(
        labels.astype(np.int64),
        config.identities_per_batch,
        config.images_per_identity,
        config.singletons_per_batch,
        hard,
        config.hard_fraction,
        seed,
    )
    return sampler, rows


def _local_triplets(table: pd.DataFrame, rows: Indices) -> Indices:
    """The triplets whose three images are kept, as positions in `rows`; (T, 3) int64."""
    store_rows = table[["anchor", "positive", "negative"]].to_numpy(np.int64)
    position = np.searchsorted(rows, store_rows).clip(max=len(rows) - 1)
    known: Indices = position[(rows[position] == store_rows).all(axis=1)]
    return known


def _local_neighbours(graph: pd.DataFrame, names: list[str]) -> Indices:
    """Neighbours as positions in `names`, (I, k) int64, nearest first; those that are not kept are -1."""
    number = {name: index for index, name in enumerate(names)}
    width = int(graph["rank"].max()) + 1 if len(graph) else 1
    neighbours = np.full((len(names), width), -1, np.int64)
    for identity, neighbour, rank in zip(graph["identity"], graph["neighbour"], graph["rank"], strict=True):
        if identity in number and neighbour in number:
            neighbours[number[identity], rank] = number[neighbour]
    return neighbours
