"""The image store: every readable image, prepared once, as one memory-mapped uint8 array."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from siamese_core.arrays import Pixels
from siamese_core.artifact import read_record, write_record
from siamese_core.config import ImageConfig

_PIXELS, _SPEC, _FORMAT = "images.u8", "images.json", 1


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
        """Copy the files; memory use does not grow with the number of images."""
        for name in (_PIXELS, _SPEC):
            shutil.copyfile(self.folder / name, folder / name)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Map the files of a folder that a `StoreWriter` or `save` wrote."""
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


class StoreWriter:
    """A writer of an image store, image by image, with the memory of one image.

    Use as a context manager; `folder` must exist. The store is complete when the block ends without an error.
    """

    def __init__(self, folder: Path, config: ImageConfig) -> None:
        self._folder, self._config, self._count = folder, config, 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        self._file = (self._folder / _PIXELS).open("wb")
        return self

    def append(self, pixels: Pixels) -> None:
        """Add one prepared image, (size, size, channels) uint8."""
        self.extend(pixels[np.newaxis])

    def extend(self, images: Pixels) -> None:
        """Add prepared images, (n, size, size, channels) uint8."""
        assert self._file is not None, "StoreWriter is used outside of its with block"
        self._file.write(np.ascontiguousarray(images).data)
        self._count += len(images)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        self._file.close()
        if kind is None:
            shape = (self._count, self._config.size, self._config.size, self._config.channels)
            write_record(self._folder / _SPEC, _Spec(shape, self._config), _FORMAT)
