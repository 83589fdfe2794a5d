"""From a folder of images to a data set, in one call."""

from __future__ import annotations

from pathlib import Path

from siamese_core.config import DataConfig, ImageConfig, SplitConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.ingest import ingest
from siamese_core.data.split import make_split


def read_dataset(
    data_dir: Path,
    folder: Path,
    images: ImageConfig | None = None,
    split: SplitConfig | None = None,
    split_file: Path | None = None,
    data: DataConfig | None = None,
) -> Dataset:
    """Read a folder of images, one folder an identity, and split the identities.

    Args:
        data_dir: The images.
        folder: An empty folder for the prepared images; the data set reads from it as long as it lives.
        images: Their preparation.
        split: Shares of the parts.
        split_file: CSV `identity,split` that wins over the shares.
        data: The way from folders to identities.

    Raises:
        DataError: There is no usable image, or a part has too few identities.
    """
    result = ingest(data_dir, folder, images or ImageConfig(), data=data)
    return Dataset(result.manifest, result.store, make_split(result.manifest, split or SplitConfig(), split_file))
