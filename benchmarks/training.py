"""Claim: training runs at ≥ 95 % of the compute-only rate, and ≥ 5 times (CPU) or ≥ 20 times (GPU) the peer's.

Three loops, each in a process of its own, in turns, with the same network, image size, P×K, optimiser and precision:

* ours: `siamese_core.training.loop.train`, from the image store to the last step.
* compute only: one batch that is on the device already, over and over: augmentation, forward, mining, loss, backward,
  optimiser's step. Not in it: choosing a batch, reading it, moving it to the device. Augmentation counts as compute
  since ours runs on the device; a second line leaves it out.
* the peer: torchvision's ImageFolder and transforms (the same changes), a DataLoader, and pytorch-metric-learning's
  MPerClassSampler, TripletMarginMiner (semi-hard) and TripletMarginLoss; with and without worker processes, of which
  the faster counts.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.measure import (
    Absent,
    Cost,
    Line,
    compare,
    growth,
    in_process,
    median_cost,
    peak_memory,
    rate,
    require,
    synchronize,
)
from siamese_core.arrays import Indices
from siamese_core.config import AugmentConfig, EncoderConfig, ImageConfig, TrainingConfig, TripletConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.glyphs import make_glyphs
from siamese_core.data.ingest import ingest
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split
from siamese_core.data.store import ImageStore
from siamese_core.devices import choose_device, computes_in_bfloat16
from siamese_core.network.embedding import to_tensor
from siamese_core.network.encoders import Encoder, make_encoder
from siamese_core.training.augment import augment, draw_changes
from siamese_core.training.loop import train
from siamese_core.training.recipe import Recipe
from siamese_core.triplets.objective import objective
from siamese_core.triplets.offline import Triplets, build_triplets

_IMAGES = ImageConfig(size=32, color="grey", invert=True)
_ENCODER = EncoderConfig(embedding_dim=64)
_MARGIN = 0.2
_WARM_UP = 10  # steps


@dataclass(frozen=True)
class Sizes:
    """Extent of the measurement.

    Attributes:
        identities_per_batch: P.
        images_per_identity: K.
        seconds: Of each loop in each round.
        rounds: Turns of each loop; the median counts.
        width: Of the network.
    """

    identities_per_batch: int
    images_per_identity: int
    seconds: float
    rounds: int
    width: int = _ENCODER.width

    @property
    def encoder(self) -> EncoderConfig:
        """The network of all loops."""
        return replace(_ENCODER, width=self.width)

    @property
    def batch(self) -> int:
        """Images in a batch."""
        return self.identities_per_batch * self.images_per_identity

    def recipe(self, steps: int) -> Recipe:
        """Our loop without validation."""
        training = TrainingConfig(
            steps=steps,
            identities_per_batch=self.identities_per_batch,
            images_per_identity=self.images_per_identity,
            margin=_MARGIN,
            validation=0.0,
            evaluate_every=steps,
        )
        return Recipe(self.encoder, training, seed=0)


_CHARACTERS = 400  # identities of the data set, with up to 16 images each
FULL = [Sizes(p, 4, 6.0, 2) for p in (16, 64)] + [Sizes(64, 4, 6.0, 2, width=16)]  # the default net, and a small one
QUICK = [Sizes(4, 2, 0.2, 1)]


def lines(quick: bool) -> Iterator[Line]:
    """Measure all loops in turns, at every batch size."""
    cases = QUICK if quick else FULL
    costs: list[dict[str, Cost | Absent]] = []
    with tempfile.TemporaryDirectory() as name:
        make_glyphs(Path(name) / "images", 8 if quick else _CHARACTERS)
        prepare(Path(name))
        for sizes in cases:
            costs.append(_in_turns(Path(name), sizes))
            settings = _settings(sizes)
            case = f"training, width {sizes.width}, B = {sizes.batch}"
            mine, slow = costs[-1]["ours"], costs[-1]["peer"]
            yield compare(f"{case}, end to end", mine, slow, f"{settings}, peak without worker processes", rate)
            yield compare(f"{case}; peer: compute only", mine, costs[-1]["compute"], settings, rate)
            yield compare(f"{case}; peer: compute only, no augmentation", mine, costs[-1]["network"], settings, rate)
    same = [(sizes.batch, cost) for sizes, cost in zip(cases, costs, strict=True) if sizes.width == _ENCODER.width]
    batches, of_same = zip(*same, strict=True)
    yield growth("training, an image", batches, [cost["ours"] for cost in of_same], [cost["peer"] for cost in of_same])


def faster(costs: list[Cost | Absent]) -> Cost | Absent:
    """The fastest side that has a result."""
    measured = [cost for cost in costs if isinstance(cost, Cost)]
    return min(measured, key=lambda cost: cost.seconds) if measured else costs[0]


def prepare(folder: Path) -> None:
    """Write the input of our loop, a data set and triplets, to `folder/prepared`; the images lie in `images`."""
    prepared = folder / "prepared"
    prepared.mkdir()
    result = ingest(folder / "images", prepared, _IMAGES)
    result.manifest.save(prepared)
    data, encoder = _all_train(result.manifest, result.store), make_encoder(_ENCODER, _IMAGES.channels, seed=0)
    build_triplets(encoder, data, TripletConfig(), _MARGIN, seed=0).save(prepared)


def ours(folder: Path, sizes: Sizes) -> Cost:
    """Our loop: a short run that warms up and tells how many steps fit, then the measured one."""
    data, triplets = _load(folder / "prepared")
    with peak_memory(choose_device("auto")) as peak:
        steps, speed = _WARM_UP, {"images_per_second": 0.0}
        for _ in range(2):
            _, speed = train(data, triplets, sizes.recipe(steps))
            steps = max(_WARM_UP, math.ceil(sizes.seconds * speed["images_per_second"] / sizes.batch))
    return Cost(1 / speed["images_per_second"], peak[0], f"data wait {speed['data_wait']:.1%}")


def compute_only(folder: Path, sizes: Sizes, augmented: bool) -> Cost:
    """The same steps on one batch that is on the device."""
    device = choose_device("auto")
    images = _load(folder / "prepared")[0].part("train")
    positions = np.concatenate(
        [
            np.flatnonzero(images.labels == identity)[: sizes.images_per_identity]
            for identity in range(sizes.identities_per_batch)
        ]
    )
    generator = torch.Generator().manual_seed(0)
    with peak_memory(device) as peak:
        encoder, optimizer = _network(sizes.encoder, device)
        loss_of = _our_loss(images.labels[positions])
        batch = to_tensor(images.pixels[images.rows[positions]]).to(device)  # (B, C, H, W) uint8

        def step() -> None:
            pixels = batch.float()
            if augmented:
                changes = draw_changes(len(batch), AugmentConfig(), generator).to(device)
                pixels = augment(pixels, changes, AugmentConfig())
            _learn(encoder, optimizer, pixels, loss_of)

        seconds = _seconds_a_step(step, device, sizes.seconds)
    return Cost(seconds / len(batch), peak[0])


def peer(folder: Path, sizes: Sizes, workers: int) -> Cost:
    """The loop that pytorch-metric-learning's examples teach, on the same network."""
    require("pytorch_metric_learning")
    from pytorch_metric_learning import distances, losses, miners

    device = choose_device("auto")
    squared = distances.LpDistance(normalize_embeddings=False, p=2, power=2)
    miner = miners.TripletMarginMiner(_MARGIN, "semihard", distance=squared)
    loss = losses.TripletMarginLoss(_MARGIN, distance=squared)
    with peak_memory(device) as peak:
        encoder, optimizer = _network(sizes.encoder, device)
        batches = _peer_batches(folder / "images", sizes, workers, device)

        def step() -> None:
            images, labels = (tensor.to(device, non_blocking=True) for tensor in next(batches))
            _learn(encoder, optimizer, images, lambda embeddings: loss(embeddings, labels, miner(embeddings, labels)))

        seconds = _seconds_a_step(step, device, sizes.seconds)
    return Cost(seconds / sizes.batch, peak[0], f"{workers} worker processes")


def _in_turns(folder: Path, sizes: Sizes) -> dict[str, Cost | Absent]:
    """Each loop's median over the rounds; the peer with or without workers, whichever is faster."""
    sides: dict[str, tuple[Callable[..., Cost], tuple[Any, ...]]] = {
        "ours": (ours, ()),
        "compute": (compute_only, (True,)),
        "network": (compute_only, (False,)),
        "peer alone": (peer, (0,)),
        "peer with workers": (peer, (os.cpu_count() or 1,)),
    }
    rounds = [
        {name: in_process(side, folder, sizes, *options) for name, (side, options) in sides.items()}
        for _ in range(sizes.rounds)
    ]
    medians = {name: median_cost([costs[name] for costs in rounds]) for name in sides}
    return medians | {"peer": faster([medians["peer alone"], medians["peer with workers"]])}


def _settings(sizes: Sizes) -> str:
    precision = "bfloat16" if _in_bfloat16() else "float32"
    net = f"{sizes.encoder.architecture} of width {sizes.width}, {precision}"
    shape = f"P×K = {sizes.identities_per_batch}×{sizes.images_per_identity}, {_IMAGES.size}×{_IMAGES.size}"
    return f"{shape}, {net}, {sizes.rounds} × {sizes.seconds:g} s"


def _load(prepared: Path) -> tuple[Dataset, Triplets]:
    return _all_train(Manifest.load(prepared), ImageStore.load(prepared)), Triplets.load(prepared)


def _all_train(manifest: Manifest, store: ImageStore) -> Dataset:
    identities = manifest.ok[["identity"]].drop_duplicates()
    return Dataset(manifest, store, Split(identities.assign(split="train")))


def _in_bfloat16() -> bool:
    """The precision that `auto` means here; the peer gets the same."""
    return computes_in_bfloat16(choose_device("auto"))


def _network(config: EncoderConfig, device: torch.device) -> tuple[Encoder, torch.optim.Optimizer]:
    encoder = make_encoder(config, _IMAGES.channels, seed=0).to(device).train()
    training = TrainingConfig()
    return encoder, torch.optim.AdamW(
        encoder.parameters(), training.learning_rate, weight_decay=training.weight_decay, fused=True
    )


def _learn(
    encoder: Encoder, optimizer: torch.optim.Optimizer, images: Tensor, loss_of: Callable[[Tensor], Tensor]
) -> None:
    with torch.autocast(images.device.type, torch.bfloat16, enabled=_in_bfloat16()):
        embeddings = encoder(images)  # (B, D)
    loss = loss_of(embeddings)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _our_loss(labels: Indices) -> Callable[[Tensor], Tensor]:
    """Mining and loss of a batch with these labels; the only place that knows how ours are called."""
    config, generator = TrainingConfig(margin=_MARGIN), torch.Generator()
    return lambda embeddings: objective(embeddings, labels, config, generator).loss


def _seconds_a_step(step: Callable[[], None], device: torch.device, seconds: float) -> float:
    for _ in range(_WARM_UP):
        step()
    synchronize(device)
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        step()
        steps += 1
    synchronize(device)
    return (time.perf_counter() - start) / steps


def _peer_batches(folder: Path, sizes: Sizes, workers: int, device: torch.device) -> Iterator[list[Tensor]]:
    """Endless batches of (B, 1, H, W) uint8 images with (B,) int64 labels."""
    from pytorch_metric_learning.samplers import MPerClassSampler
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    dataset = ImageFolder(str(folder), _peer_transform())
    sampler = MPerClassSampler(dataset.targets, sizes.images_per_identity, sizes.batch)
    loader = DataLoader(
        dataset,
        sizes.batch,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )
    while True:
        yield from loader


def _peer_transform() -> Any:
    """The default changes of `siamese_core.training.augment`, by torchvision; the encoder takes 0 to 255."""
    from torchvision import transforms

    change = AugmentConfig()
    shear = math.degrees(math.atan(change.shear))
    affine = transforms.RandomAffine(
        change.rotation,
        (change.shift, change.shift),
        (1 - change.scale, 1 + change.scale),
        (-shear, shear),
        transforms.InterpolationMode.BILINEAR,
    )
    light = transforms.ColorJitter(brightness=change.brightness, contrast=change.contrast)
    size = transforms.Resize((_IMAGES.size, _IMAGES.size))
    invert = transforms.RandomInvert(p=1.0)
    return transforms.Compose([transforms.Grayscale(), size, invert, affine, light, transforms.PILToTensor()])
