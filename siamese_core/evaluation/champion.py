"""Challenger and champion on the same pairs of the same test identities."""

from __future__ import annotations

from functools import partial

from siamese_core.config import CalibrationConfig
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split
from siamese_core.data.store import ImageStore
from siamese_core.evaluation.gate import compare
from siamese_core.evaluation.held_out import part_pairs
from siamese_core.evaluation.protocols import measure_points
from siamese_core.evaluation.results import ChampionResult
from siamese_core.metrics.bootstrap import IdentityBootstrap
from siamese_core.metrics.pairs import pair_distances
from siamese_core.network.embedding import Embedder, embed
from siamese_core.verifier import Verifier


def compare_with_champion(
    embedder: Embedder,
    champion: Verifier,
    version: str,
    manifest: Manifest,
    store: ImageStore,
    split: Split,
    config: CalibrationConfig,
    seed: int,
) -> ChampionResult:
    """Measures the champion at its own thresholds, and the challenger against it.

    Args:
        embedder: The challenger.
        champion: The present champion.
        version: Its version in the registry.
        manifest: All files.
        store: The prepared images; a champion that prepares them in another way cannot be measured on them.
        split: Which identities test.
        config: Caps and intervals, as in the evaluation.
        seed: Of samples and bootstrap.
    """
    if champion.trained.images != store.config:
        return ChampionResult(version, None, {})
    rows, pairs = part_pairs(manifest, split, "test", config, seed)
    present = pair_distances(embed(champion.trained.build(), store.images, rows), pairs)
    comparison = compare(pair_distances(embedder(rows), pairs), present, config.confidence, seed)
    rates = partial(IdentityBootstrap(present, config.bootstrap, seed).rates, confidence=config.confidence)
    return ChampionResult(version, comparison, measure_points(champion.calibration, rates))
