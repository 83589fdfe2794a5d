from pathlib import Path

import numpy as np

from siamese_core.config import ImageConfig, SplitConfig
from siamese_core.data.read_dataset import read_dataset


def test_the_parts_hold_each_image_once_with_its_identity(glyphs: Path, tmp_path: Path) -> None:
    data = read_dataset(glyphs, tmp_path, ImageConfig(size=16, color="grey"), SplitConfig(salt="a"))
    parts = [data.part(name) for name in ("train", "calibration", "test")]
    rows = np.concatenate([part.rows for part in parts])
    assert sorted(rows.tolist()) == list(range(len(data.store)))
    for part in parts:
        assert part.names == sorted(part.names)
        assert [part.names[label] for label in part.labels] == data.manifest.ok["identity"].iloc[part.rows].tolist()
        assert part.paths == data.manifest.ok["path"].iloc[part.rows].tolist()
    assert not set(parts[0].names) & set(parts[2].names)


def test_taking_some_images_numbers_their_identities_anew(glyphs: Path, tmp_path: Path) -> None:
    data = read_dataset(glyphs, tmp_path, ImageConfig(size=16, color="grey"), SplitConfig(salt="a"))
    images = data.part("train")
    positions = np.flatnonzero(images.labels >= 3)[::2]
    some = images.take(positions)
    assert [some.names[label] for label in some.labels] == [images.names[label] for label in images.labels[positions]]
    assert set(some.labels.tolist()) == set(range(len(some.names)))
    assert [Path(path).parent.as_posix() for path in some.paths] == [some.names[label] for label in some.labels]
