"""Calibrate: thresholds and the probability of "same", from the calibration identities."""

import logging
from typing import Annotated

from zenml import step

from siamese_core.calibration.expected_rates import Concentration
from siamese_core.calibration.operating_points import Calibration
from siamese_core.calibration.operating_points import calibrate as fit
from siamese_core.config import CalibrationConfig
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split
from siamese_core.data.store import ImageStore
from siamese_core.evaluation.held_out import part_pairs
from siamese_core.metrics.pairs import pair_distances
from siamese_core.network.embedding import embed
from siamese_core.network.trained import TrainedEncoder
from siamese_integrations.zenml_cache import depends_on_code

logger = logging.getLogger(__name__)


@step(cache_policy=depends_on_code(__file__))
def calibrate(
    manifest: Manifest,
    store: ImageStore,
    split: Split,
    encoder: TrainedEncoder,
    calibration: CalibrationConfig,
    seed: int,
) -> Annotated[Calibration, "calibration"]:
    """Finds the operating points."""
    rows, pairs = part_pairs(manifest, split, "calibration", calibration, seed)
    distances = pair_distances(embed(encoder.build(), store.images, rows), pairs)
    _, to_come = part_pairs(manifest, split, "test", calibration, seed)
    calibrated = fit(distances, calibration, len(rows), seed, Concentration.of_pairs(to_come))
    for name, point in calibrated.points.items():
        logger.info(
            f"{name:>9}: threshold {point.threshold:.4f}, FMR {point.fmr.value:.3%}, FNMR {point.fnmr.value:.3%}"
        )
        logger.info(f"{'':>9}  expected of the test identities: FMR {point.expected_fmr}, FNMR {point.expected_fnmr}")
    for name, why in calibrated.refused.items():
        logger.info(f"{name:>9}: refused. {why}")
    if calibrated.caution:
        logger.info(f"{'caution':>9}: {calibrated.caution}")
    return calibrated
