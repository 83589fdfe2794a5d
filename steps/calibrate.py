"""Calibrate: thresholds and the probability of "same", from the calibration identities."""

import logging
from typing import Annotated

from zenml import step

from siamese_core.calibration.operating_points import Calibration
from siamese_core.config import CalibrationConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split
from siamese_core.data.store import ImageStore
from siamese_core.evaluation.held_out import calibrate_encoder
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
    """Find the operating points."""
    data = Dataset(manifest, store, split)
    calibrated = calibrate_encoder(encoder, data, calibration, seed)
    for name, point in calibrated.points.items():
        logger.info(
            f"{name:>9}: threshold {point.threshold:.4f}, FMR {point.fmr.value:.3%}, FNMR {point.fnmr.value:.3%}"
        )
        logger.info(f"{'':>9}  expected of the test identities: FMR {point.expected_fmr}, FNMR {point.expected_fnmr}")
    for name, why in calibrated.refused.items():
        logger.info(f"{name:>9}: refused. {why}")
    logger.info(f"{'default':>9}: {calibrated.default_in_words}")
    if calibrated.caution:
        logger.info(f"{'caution':>9}: {calibrated.caution}")
    return calibrated
