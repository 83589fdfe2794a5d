"""Identities that did not train, as every system is asked about them, and the calibration on them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from siamese_core.calibration.expected_rates import Concentration
from siamese_core.calibration.operating_points import Calibration, calibrate
from siamese_core.config import CalibrationConfig, Part
from siamese_core.data.dataset import Dataset, Images
from siamese_core.evaluation.unseen import unseen_by
from siamese_core.metrics.bootstrap import IdentityBootstrap, Resamples
from siamese_core.metrics.pairs import PairDistances, Pairs, few_of_each, make_pairs, pair_distances
from siamese_core.network.embedding import Embedder, RowEmbedder
from siamese_core.network.trained import TrainedEncoder


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One part of the data, with the pairs and the resamples that are the same for every system.

    Attributes:
        images: The part's, or a seeded sample of each identity's.
        pairs: Positions in `images`.
        confidence: Level of the intervals.
        resamples: Number of resamples of the identities.
        seed: Of the pairs, the resamples and all that is sampled besides.
    """

    images: Images
    pairs: Pairs
    confidence: float
    resamples: int
    seed: int

    @classmethod
    def of(cls, data: Dataset, part: Part, config: CalibrationConfig, seed: int) -> Self:
        """Make the pairs of a part.

        Raises:
            DataError: There are no genuine or no impostor pairs.
        """
        images = data.part(part)
        if config.max_images_per_identity is not None:
            images = images.take(few_of_each(images.labels, config.max_images_per_identity, seed))
        pairs = make_pairs(images.labels, config.max_genuine_pairs, config.max_impostor_pairs, seed)
        return cls(images, pairs, config.confidence, config.bootstrap, seed)

    def name_of_pairs(self, files: Sequence[str]) -> str:
        """The name of the pairs: 16 hex digits, the same for the same pairs of the same files.

        Args:
            files: SHA-256 of the file of each row of the image store.
        """
        digest = hashlib.sha256("\n".join(files[row] for row in self.images.rows).encode())
        for pairs in (self.pairs.genuine, self.pairs.impostor):
            digest.update(pairs.astype("<i8").tobytes() + b"\n")
        return digest.hexdigest()[:16]

    def distances(self, embedder: Embedder) -> PairDistances:
        """The distances of the pairs by one system."""
        return pair_distances(embedder(self.images.rows), self.pairs)

    def bootstrap(self, distances: PairDistances) -> IdentityBootstrap:
        """Intervals for the distances of one system; the identities are drawn once for all of them."""
        return IdentityBootstrap(distances, self.draws, self.confidence)

    @cached_property
    def draws(self) -> Resamples:
        """The resamples of the identities."""
        labels, pairs = self.pairs.labels, self.pairs
        identities = labels[pairs.genuine[:, 0]], labels[pairs.impostor], len(self.images.names)
        return Resamples(*identities, self.resamples, self.seed)


def calibrate_encoder(
    trained: TrainedEncoder, data: Dataset, config: CalibrationConfig | None = None, seed: int = 0
) -> Calibration:
    """Calibrate an encoder on the calibration identities.

    Of the test identities it takes how many images each has, never how these compare: expected rates are of as many
    identities with as many images.

    Args:
        trained: The encoder.
        data: Its images, prepared as the encoder reads them.
        config: Targets, default and intervals.
        seed: Of pairs, resamples and the joint level of the expected rates.

    Raises:
        DataError: A part has no genuine or no impostor pairs, also without the identities that trained the encoder.
    """
    config = config or CalibrationConfig()
    data = unseen_by(trained.trained_on, data, config.parts)
    calibrating, new = (HeldOut.of(data, part, config, seed) for part in config.parts)
    distances = calibrating.distances(RowEmbedder(trained.build(), data.store.images))
    return calibrate(distances, config, len(calibrating.images), seed, Concentration.of_pairs(new.pairs))
