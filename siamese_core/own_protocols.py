"""The user's own protocols as part of an evaluation: listed pairs and one-shot tasks, of test identities."""

from __future__ import annotations

from siamese_core.calibration import Calibration
from siamese_core.config import CalibrationConfig
from siamese_core.embedding import Embedder
from siamese_core.held_out import one_shot_paths, rows_of
from siamese_core.manifest import Manifest
from siamese_core.one_shot import OneShotResult, evaluate_one_shot
from siamese_core.pair_files import PairList
from siamese_core.protocols import PairsResult, evaluate_pairs
from siamese_core.split import Split


def measure_pairs(
    embedder: Embedder,
    listed: PairList,
    manifest: Manifest,
    calibration: Calibration,
    config: CalibrationConfig,
    seed: int,
) -> PairsResult | None:
    """What an encoder does on the listed pairs at its calibrated thresholds, or None where none are listed."""
    if not len(listed.pairs):
        return None
    embeddings = embedder(rows_of(manifest, listed.images))
    return evaluate_pairs(embeddings, listed, calibration, config.confidence, config.bootstrap, seed)


def measure_one_shot(embedder: Embedder, manifest: Manifest, split: Split, way: int, seed: int) -> OneShotResult | None:
    """What an encoder does in one-shot tasks among the test identities, or None for a `way` of 0."""
    if way == 0:
        return None
    return evaluate_one_shot(embedder(split.rows(manifest, "test")), one_shot_paths(manifest, split), way, seed)
