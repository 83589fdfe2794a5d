"""The verifier: an encoder with its calibration, all that a product needs, without MLflow or ZenML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from siamese_core.arrays import Embeddings, Pixels
from siamese_core.calibration.operating_points import Calibration
from siamese_core.checksums import check_files, write_checksums
from siamese_core.data.images import ImageSource, load_image
from siamese_core.errors import ModelError, UnreadableImageError
from siamese_core.network.embedding import embed
from siamese_core.network.trained import TrainedEncoder

FILES = ("encoder.safetensors", "encoder.json", "calibration.json")
_LENGTH_TOLERANCE = 0.01
_ALL_FILES = (*FILES, "history.json", "events.json", "trained_on.json")


@dataclass(frozen=True)
class Verification:
    """The answer about one pair.

    Attributes:
        distance: Squared L2 distance of the embeddings, 0 to 4.
        probability: That the two are the same identity, if "same" and "different" are equally likely beforehand.
        same: Whether the distance is below the threshold.
        threshold: Of the operating point.
        operating_point: Its name.
    """

    distance: float
    probability: float
    same: bool
    threshold: float
    operating_point: str


class Verifier:
    """An encoder with thresholds: it embeds images and compares them.

    Attributes:
        trained: The weights, and how images are prepared for them.
        calibration: Thresholds and probabilities.
        encoder: The network with these weights.
    """

    def __init__(self, trained: TrainedEncoder, calibration: Calibration) -> None:
        self.trained = trained
        self.calibration = calibration
        self.encoder = trained.build()

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read an exported model.

        Args:
            folder: Holds `encoder.safetensors`, `encoder.json`, `history.json` and `calibration.json`.

        Raises:
            ModelError: A file is missing, or has changed since it was saved.
        """
        folder = Path(folder)
        if missing := [name for name in FILES if not (folder / name).is_file()]:
            raise ModelError(f"{folder} is not an exported model: {', '.join(missing)} missing.")
        check_files(folder)
        return cls(TrainedEncoder.load(folder), Calibration.load(folder))

    def save(self, folder: str | Path) -> None:
        """Write what `load` reads, and its hashes; the folder is made."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.trained.save(Path(folder))
        self.calibration.save(Path(folder))
        write_checksums(Path(folder), [name for name in _ALL_FILES if (Path(folder) / name).is_file()])

    def embed(self, images: Sequence[ImageSource]) -> Embeddings:
        """Embed images.

        Args:
            images: Paths, bytes of image files, Pillow images, or (H, W) or (H, W, C) uint8 arrays.

        Returns:
            (N, D) float32 of length 1.

        Raises:
            UnreadableImageError: An image cannot be decoded.
        """
        return self.embed_prepared([self._prepare(image) for image in images])

    def _prepare(self, image: ImageSource) -> Pixels:
        try:
            return load_image(image, self.trained.images)
        except UnreadableImageError as error:
            raise UnreadableImageError(f"{image}: {error}" if isinstance(image, str | Path) else str(error)) from error

    def embed_prepared(self, pixels: Sequence[Pixels]) -> Embeddings:
        """Embed what `load_image` returned with this model's image configuration.

        Args:
            pixels: (size, size, channels) uint8 arrays.

        Returns:
            (N, D) float32 of length 1.

        Raises:
            ModelError: The network overflows, or gives nothing, for one of them.
        """
        config = self.trained.images
        empty = np.empty((0, config.size, config.size, config.channels), np.uint8)
        embeddings = embed(self.encoder, np.stack(pixels) if len(pixels) else empty)
        # A distance to zeros or NaN would be answered, and mean nothing.
        bad = np.count_nonzero(~(np.abs(np.linalg.norm(embeddings, axis=1) - 1) < _LENGTH_TOLERANCE))
        if bad:
            raise ModelError(
                f"The network gives no embedding of length 1 for {bad} of {len(pixels)} images: damaged weights."
            )
        return embeddings

    def verify(self, a: ImageSource, b: ImageSource, operating_point: str | None = None) -> Verification:
        """Compare two images.

        Args:
            a: An image, as for `embed`.
            b: Another.
            operating_point: Such as `fmr_1e-2`; the model's default if not given.

        Raises:
            UnreadableImageError: An image cannot be decoded.
            ModelError: There is no such operating point.
        """
        point = self.calibration.point(operating_point)
        first, second = self.embed([a, b]).astype(np.float64)
        distance = float(((first - second) ** 2).sum())
        probability = float(self.calibration.probability(distance))
        return Verification(distance, probability, distance < point.threshold, point.threshold, point.name)
