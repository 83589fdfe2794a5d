"""The champion, and the challenger beside it on the same pairs of the same test identities."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from siamese_core.config import ImageConfig
from siamese_core.data.dataset import Dataset
from siamese_core.evaluation.gate import compare
from siamese_core.evaluation.held_out import HeldOut
from siamese_core.evaluation.protocols import measure_points
from siamese_core.evaluation.results import ChampionResult
from siamese_core.metrics.pairs import PairDistances
from siamese_core.network.embedding import RowEmbedder
from siamese_core.verifier import Verifier

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Champion:
    """The registered model that is in charge.

    Attributes:
        verifier: The model.
        version: Its version in the registry.
    """

    verifier: Verifier
    version: str

    def reads(self, images: ImageConfig) -> bool:
        """Whether it can be asked about images that were prepared this way."""
        return self.verifier.trained.images == images


def compare_with_champion(
    challenger: PairDistances, champion: Champion, data: Dataset, test: HeldOut
) -> ChampionResult:
    """Measure the champion at its own thresholds, and the challenger against it.

    Args:
        challenger: Its distances of the test pairs.
        champion: One that prepares images in another way cannot be measured on these.
        data: The images, and how they were prepared.
        test: The pairs of its test identities.
    """
    if not champion.reads(data.config):
        return ChampionResult(champion.version, None, {})
    logger.info("measuring the champion, version %s, on the same pairs", champion.version)
    verifier = champion.verifier
    present = test.distances(RowEmbedder(verifier.encoder, data.store.images))
    comparison = compare(challenger, present, test.confidence, test.seed)
    points = measure_points(verifier.calibration.thresholds, test.bootstrap(present).rates)
    return ChampionResult(champion.version, comparison, points)
