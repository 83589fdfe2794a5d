"""Split: which identities train, calibrate and test, and the user's protocols held against it."""

import logging
from pathlib import Path
from typing import Annotated

from zenml import step

from siamese_core.calibration.support import support
from siamese_core.config import CalibrationConfig, SplitConfig
from siamese_core.data.image_metadata import read_metadata
from siamese_core.data.listed_test_pairs import read_held_out_pairs
from siamese_core.data.manifest import Manifest
from siamese_core.data.pair_lists import PairList
from siamese_core.data.split import Split, make_split
from siamese_core.evaluation.one_shot_layout import one_shot_paths
from siamese_core.input_file import InputFile
from siamese_integrations.zenml_cache import depends_on_code

logger = logging.getLogger(__name__)


@step(cache_policy=depends_on_code(__file__))
def split(
    manifest: Manifest,
    split: SplitConfig,
    split_file: InputFile | None,
    pairs: InputFile | None,
    one_shot: int,
    metadata: InputFile | None,
    calibration: CalibrationConfig,
) -> tuple[Annotated[Split, "split"], Annotated[PairList, "pairs"]]:
    """Assign every identity to a part, and read the user's pairs.

    Mistakes in the protocols and the metadata end the run here, before anything is trained, and operating points that
    so few identities cannot support are named. The pairs travel on as an artifact: the machine that evaluates may see
    neither the file nor the images.
    """
    parts = make_split(manifest, split, Path(split_file.path) if split_file else None)
    logger.info("identities: " + ", ".join(f"{count:,} {part}" for part, count in parts.summary().items()))
    supported = support(parts.images(manifest), split, calibration, from_file=split_file is not None)
    logger.info(f"operating points that the calibration identities support: {', '.join(supported.offered)}")
    for name, reason in supported.refused.items():
        level = logging.WARNING if name == calibration.operating_point else logging.INFO
        logger.log(level, f"{name} will be refused. {reason}")
    pair_list = read_held_out_pairs(Path(pairs.path), manifest, parts) if pairs else PairList.empty()
    if pairs:
        logger.info(f"{pairs.path}: " + ", ".join(f"{count:,} {kind}" for kind, count in pair_list.summary().items()))
    if one_shot:
        one_shot_paths(manifest, parts)
    if metadata:
        read_metadata(Path(metadata.path), manifest, parts.rows(manifest, calibration.parts[1]))
    return parts, pair_list
