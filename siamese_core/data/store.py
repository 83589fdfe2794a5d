"""The image store: every readable image, prepared once, as one memory-mapped uint8 array."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from siamese_core.arrays import Pixels
from siamese_core.artifact import read_record, write_record
from siamese_core.config import ImageConfig

_PIXELS, _SPEC, _FORMAT = "images.u8", "images.json", 1
_BUFFER = 2**20


@dataclass(frozen=True)
class _Spec:
    """The JSON beside the pixels."""

    shape: tuple[int, int, int, int]
    config: ImageConfig


@dataclass(frozen=True)
class ImageStore:
    """Prepared images in manifest order.

    Attributes:
        images: (N, size, size, channels) uint8, memory-mapped: rows are read from disk when they are used.
        config: Their preparation.
        folder: The files' place.
    """

    images: Pixels
    config: ImageConfig
    folder: Path

    def __len__(self) -> int:
        return len(self.images)

    def save(self, folder: Path) -> None:
        """Link the files, which nobody changes, where the disk is the same; copy them elsewhere."""
        for name in (_PIXELS, _SPEC):
            try:
                os.link(self.folder / name, folder / name)
            except OSError:  # another disk, or one without links
                shutil.copyfile(self.folder / name, folder / name)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Map the files of a folder that `write_store` or `save` wrote."""
        spec = read_record(_Spec, folder / _SPEC, _FORMAT)
        if spec.shape[0] == 0:
            return cls(np.empty(spec.shape, np.uint8), spec.config, folder)
        images = np.memmap(folder / _PIXELS, dtype=np.uint8, mode="r", shape=spec.shape)
        return cls(images, spec.config, folder)

    def summary(self) -> dict[str, Any]:
        """Count, shape and size of the images."""
        return {
            "images": len(self),
            "shape": list(self.images.shape[1:]),
            "megabytes": self.images.nbytes / 1e6,
        }


def write_store(folder: Path, config: ImageConfig, images: Iterable[Pixels]) -> ImageStore:
    """Write an image store, image by image, with the memory of one.

    Args:
        folder: An existing folder.
        config: Preparation of the images.
        images: (size, size, channels) uint8 each.
    """
    count = 0
    with (folder / _PIXELS).open("wb", _BUFFER) as file:
        for pixels in images:
            file.write(np.ascontiguousarray(pixels).data)
            count += 1
    shape = (count, config.size, config.size, config.channels)
    write_record(folder / _SPEC, _Spec(shape, config), _FORMAT)
    return ImageStore.load(folder)
