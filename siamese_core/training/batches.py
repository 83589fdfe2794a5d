"""The input path: from the image store to batches on the device, prepared while the device computes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from siamese_core.arrays import Indices, Pixels
from siamese_core.config import AugmentConfig
from siamese_core.devices import send
from siamese_core.network.embedding import to_tensor
from siamese_core.training.augment import draw_changes
from siamese_core.training.sampling import PKSampler

_AHEAD = 2  # batches prepared in advance
# A GPU keeps all images when they take at most this share of its free memory: then only row numbers travel.
_RESIDENT_SHARE = 0.25


@dataclass(frozen=True)
class Batch:
    """One training batch.

    Attributes:
        images: (B, C, H, W) uint8 on the device.
        labels: (B,) int64 identities on the host, where miners need them.
        symmetries: (B,) float32, the symmetry that each image is seen in, on the device.
        changes: (B, n) float32 numbers for the augmentation, on the device.
        generator: Of this step, on the host, for what else is random.
    """

    images: Tensor
    labels: Indices
    symmetries: Tensor
    changes: Tensor
    generator: torch.Generator


class BatchLoader:
    """Makes the batches of a range of steps, each a function of the seed and its step alone."""

    def __init__(
        self,
        pixels: Pixels,
        rows: Indices,
        labels: Indices,
        sampler: PKSampler,
        symmetries: int,
        augmentation: AugmentConfig,
        seed: int,
        device: torch.device,
    ) -> None:
        """Prepares the path; on a GPU with room for them, all images move there now.

        Args:
            pixels: (N, H, W, C) uint8, may be memory-mapped.
            rows: (n,) rows of `pixels` that train.
            labels: (n · S,) identities of the sampler's images.
            sampler: Chooses among n · S images: image i of the sampler is row i // S in symmetry i % S.
            symmetries: S, 1, 4 or 8.
            augmentation: How many random numbers an image needs.
            seed: Of the random numbers.
            device: Where batches go.
        """
        self._pixels, self._rows, self._labels = pixels, rows, labels
        self._sampler, self._symmetries, self._augmentation = sampler, symmetries, augmentation
        self._seed, self._device = seed, device
        self._resident = _resident(pixels, device)
        self.seconds_waited = 0.0

    def run(self, first: int, last: int) -> Iterator[tuple[int, Batch]]:
        """The batches of the steps `first` to `last` − 1, in order."""
        with ThreadPoolExecutor(1, "batches") as worker:
            ahead: list[Future[Batch]] = []
            for step in range(first, last):
                while len(ahead) <= _AHEAD and step + len(ahead) < last:
                    ahead.append(worker.submit(self._make, step + len(ahead)))
                before = time.perf_counter()
                batch = ahead.pop(0).result()
                self.seconds_waited += time.perf_counter() - before
                yield step, batch

    def _make(self, step: int) -> Batch:
        chosen = self._sampler.batch(step)
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
        image, symmetry = np.divmod(chosen, self._symmetries)
        return Batch(
            self._images(self._rows[image]),
            self._labels[chosen],
            send(symmetry.astype(np.float32), self._device),
            send(draw_changes(len(chosen), self._augmentation, generator), self._device),
            generator,
        )

    def _images(self, rows: Indices) -> Tensor:
        if self._resident is not None:
            return self._resident[send(rows, self._device)]
        return send(to_tensor(self._pixels[rows]), self._device)


def _resident(pixels: Pixels, device: torch.device) -> Tensor | None:
    """All images on the GPU, (N, C, H, W) uint8, where they fit well."""
    if device.type != "cuda" or pixels.nbytes > _RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]:
        return None
    return to_tensor(pixels).to(device)
