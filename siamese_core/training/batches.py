"""Input path from the image store to batches on the device, prepared while the device computes."""

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
from siamese_core.training.dihedral import DihedralImages
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
        symmetries: (B,) float32, the symmetry of the square (see `augment`) that each image is seen in, on the device.
        changes: (B, n) float32 numbers for the augmentation, on the device.
        generator: Random numbers of this step, on the host, for the miner.
    """

    images: Tensor
    labels: Indices
    symmetries: Tensor
    changes: Tensor
    generator: torch.Generator


class BatchLoader:
    """Batches of a range of steps, each a function of the seed, the sampler and its step alone."""

    def __init__(
        self, samples: DihedralImages, sampler: PKSampler, augmentation: AugmentConfig, seed: int, device: torch.device
    ) -> None:
        """Prepare the path; on a GPU with room for them, all images move there now.

        Args:
            samples: The images to train on.
            sampler: Chooses among the samples.
            augmentation: Decides how many random numbers an image needs.
            seed: Of the random numbers.
            device: Destination of the batches.
        """
        self._images, self._copies, self._labels = samples.images, samples.copies, samples.labels()
        self._sampler, self._augmentation, self._seed, self._device = sampler, augmentation, seed, device
        self._resident = _resident(samples.images.pixels, device)
        self.seconds_waited = 0.0

    def run(self, first: int, last: int) -> Iterator[tuple[int, Batch]]:
        """Yield the batches of the steps `first` to `last` − 1, in order."""
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
        samples = self._sampler.batch(step)
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
        positions, symmetries = np.divmod(samples, self._copies)
        return Batch(
            self._pixels(self._images.rows[positions]),
            self._labels[samples],
            send(symmetries.astype(np.float32), self._device),
            send(draw_changes(len(samples), self._augmentation, generator), self._device),
            generator,
        )

    def _pixels(self, rows: Indices) -> Tensor:
        if self._resident is not None:
            return self._resident[send(rows, self._device)]
        return send(to_tensor(self._images.pixels[rows]), self._device)


def _resident(pixels: Pixels, device: torch.device) -> Tensor | None:
    """All images on the GPU, (N, C, H, W) uint8, if they fit well."""
    if device.type != "cuda" or pixels.nbytes > _RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]:
        return None
    return to_tensor(pixels).to(device)
