"""The data set: every image with its identity and its part."""

from __future__ import annotations

from dataclasses import dataclass

from siamese_core.arrays import Indices, Labels, Pixels, labels_of
from siamese_core.config import ImageConfig, Part
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split
from siamese_core.data.store import ImageStore


@dataclass(frozen=True, eq=False)
class Images:
    """Prepared images and whom they show.

    Attributes:
        pixels: (S, H, W, C) uint8, the whole store, memory-mapped.
        rows: (N,) int64 rows of `pixels`, ascending.
        labels: (N,) int64, the identity of each, 0 to I − 1.
        names: The I identities, sorted.
        paths: The N files, below `data_dir`.
    """

    pixels: Pixels
    rows: Indices
    labels: Labels
    names: list[str]
    paths: list[str]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, positions: Indices) -> Images:
        """Some of the images, (n,) int64 positions; their identities are numbered anew."""
        labels, names = labels_of([self.names[label] for label in self.labels[positions]])
        paths = [self.paths[position] for position in positions]
        return Images(self.pixels, self.rows[positions], labels, names, paths)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with their identities, in three parts.

    Attributes:
        manifest: Every file below `data_dir`.
        store: The readable images, prepared.
        split: Which identities train, calibrate and test.
    """

    manifest: Manifest
    store: ImageStore
    split: Split

    @property
    def config(self) -> ImageConfig:
        """Preparation of the images."""
        return self.store.config

    def part(self, name: Part) -> Images:
        """The images of a part's identities."""
        rows = self.split.rows(self.manifest, name)
        table = self.manifest.ok.iloc[rows]
        labels, names = labels_of(table["identity"].tolist())
        return Images(self.store.images, rows, labels, names, table["path"].tolist())
