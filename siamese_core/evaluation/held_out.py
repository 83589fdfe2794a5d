"""The held-out images and pairs that every system is asked about."""

from __future__ import annotations

from siamese_core.arrays import Indices, labels_of
from siamese_core.config import CalibrationConfig
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split
from siamese_core.metrics.pairs import Pairs, few_of_each, make_pairs


def part_pairs(
    manifest: Manifest, split: Split, part: str, config: CalibrationConfig, seed: int
) -> tuple[Indices, Pairs]:
    """The images of a part and the pairs of them that are compared: the same for every model.

    Args:
        manifest: The images.
        split: Their parts.
        part: `calibration` or `test`.
        config: Caps on the images and pairs.
        seed: Of a sample, where a cap is reached.

    Returns:
        Rows of the image store, and pairs as positions in these rows.
    """
    rows = split.rows(manifest, part)
    labels, _ = labels_of(manifest.ok["identity"].iloc[rows].tolist())
    if config.max_images_per_identity is not None:
        kept = few_of_each(labels, config.max_images_per_identity, seed)
        rows, labels = rows[kept], labels[kept]
    return rows, make_pairs(labels, config.max_genuine_pairs, config.max_impostor_pairs, seed)
