"""A user's protocols held against the manifest and the split."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from siamese_core.config import EncoderConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.listed_test_pairs import read_held_out_pairs
from siamese_core.data.manifest import COLUMNS, Manifest, make_table
from siamese_core.data.pair_lists import PairList, rows_of
from siamese_core.data.split import Split
from siamese_core.data.store import ImageStore
from siamese_core.errors import DataError
from siamese_core.evaluation.one_shot_layout import one_shot_paths
from siamese_core.evaluation.one_shot_tasks import measure_one_shot
from siamese_core.evaluation.protocols import measure_pairs
from siamese_core.network.embedding import RowEmbedder, embed
from siamese_core.network.encoders import make_encoder
from tests.siamese_core.evaluation.untrained import CONFIG, untrained

HEADER = "path_a,path_b,same\n"


def people(*paths: str, reasons: dict[str, str] | None = None) -> Manifest:
    """Files of a data folder; those with a reason are in quarantine."""
    rows = [
        dict.fromkeys((name for name, kind in COLUMNS.items() if kind != "str"), 0)
        | {"identity": path.rpartition("/")[0], "path": path, "sha256": "", "mode": "", "format": ""}
        | {"status": "quarantined" if path in (reasons or {}) else "ok", "reason": (reasons or {}).get(path, "")}
        for path in paths
    ]
    return Manifest(make_table(rows))


MANIFEST = people(
    "test/Al_Bo/Al_Bo_0001.jpg",
    "test/Al_Bo/Al_Bo_0002.jpg",
    "test/Al_Bo/Al_Bo_0003.jpg",
    "test/Cy/Cy_0001.jpg",
    "train/Dee/Dee_0001.jpg",
    "train/Eve/Eve_0001.jpg",
    reasons={"test/Al_Bo/Al_Bo_0003.jpg": "truncated"},
)
SPLIT = Split(
    pd.DataFrame(
        {
            "identity": ["test/Al_Bo", "test/Cy", "train/Dee", "train/Eve"],
            "split": ["test", "test", "train", "calibration"],
        }
    )
)
GOOD = "test/Al_Bo/Al_Bo_0001.jpg,test/Al_Bo/Al_Bo_0002.jpg,1\ntest/Al_Bo/Al_Bo_0001.jpg,test/Cy/Cy_0001.jpg,0\n"


def read(folder: Path, text: str) -> PairList:
    (folder / "pairs.txt").write_text(text)
    return read_held_out_pairs(folder / "pairs.txt", MANIFEST, SPLIT)


def test_both_formats_find_the_images_without_their_files(tmp_path: Path) -> None:
    by_path = read(tmp_path, HEADER + GOOD)
    assert by_path.images == ["test/Al_Bo/Al_Bo_0001.jpg", "test/Al_Bo/Al_Bo_0002.jpg", "test/Cy/Cy_0001.jpg"]
    by_name = read(tmp_path, "1\nAl_Bo\t1\t2\nAl_Bo\t1\tCy\t1\n")  # their folders lie below test/
    assert by_name.images == by_path.images
    assert np.array_equal(by_name.pairs, by_path.pairs)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("test/Al_Bo/Al_Bo_0003.jpg,test/Cy/Cy_0001.jpg,0", r"Al_Bo_0003.jpg \(line 4, in quarantine: truncated\)"),
        ("test/Cy/Cy_0009.jpg,test/Al_Bo/Al_Bo_0001.jpg,0", r"1 of the 4 .*Cy_0009.jpg \(line 4, no such image\)"),
        ("Cy/Cy_0001.jpg,test/Al_Bo/Al_Bo_0001.jpg,0", r"no such folder\).*as it is below data_dir, such as test/Al_B"),
        (
            "train/Dee/Dee_0001.jpg,test/Cy/Cy_0001.jpg,0",
            r"3 identities, of which 1 are not held out for testing: train/Dee \(train\)",
        ),
        ("test/Cy/Cy_0001.jpg,train/Eve/Eve_0001.jpg,0", r"train/Eve \(calibration\).* as test in split_file"),
    ],
)
def test_what_cannot_be_measured_is_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, HEADER + GOOD + row + "\n")
    assert "pairs.txt" in str(caught.value)


def test_one_shot_tasks_that_cannot_be_made_are_refused_with_the_setting() -> None:
    with pytest.raises(DataError, match=r"evaluation.one_shot: .* at least 2 images. Set evaluation.one_shot to 0"):
        one_shot_paths(MANIFEST, SPLIT)


def test_pairs_are_measured_on_the_rows_of_their_images(
    dataset: Dataset, tmp_path: Path, rng: np.random.Generator
) -> None:
    manifest, store, split = dataset.manifest, dataset.store, dataset.split
    images = manifest.ok.iloc[split.rows(manifest, "test")]
    chosen = rng.permutation(len(images))
    pairs = [(images.iloc[a], images.iloc[b]) for a, b in itertools.pairwise(chosen)]
    first = images.groupby("identity").head(2).groupby("identity")["path"].agg(list)
    lines = [f"{a.path},{b.path},{a.identity == b.identity}" for a, b in pairs] + [f"{a},{b},1" for a, b in first]
    (tmp_path / "pairs.csv").write_text(HEADER + "\n".join(lines))
    listed = read_held_out_pairs(tmp_path / "pairs.csv", manifest, split)
    assert manifest.ok["path"].iloc[rows_of(manifest, listed.images)].tolist() == listed.images

    verifier = untrained(dataset)
    encoder, calibration = verifier.encoder, verifier.calibration
    embedder = RowEmbedder(encoder, store.images)
    found = measure_pairs(embedder, listed, manifest, calibration, CONFIG, 0)
    assert found
    every = embed(encoder, store.images).astype(np.float64)
    row_of = {path: row for row, path in enumerate(manifest.ok["path"])}
    distance = np.array(
        [((every[row_of[a]] - every[row_of[b]]) ** 2).sum() for a, b in np.array(listed.images)[listed.pairs]]
    )
    for name, point in calibration.points.items():
        assert found.points[name].fmr.errors == (distance[~listed.same] < point.threshold).sum()
        assert found.points[name].fnmr.errors == (distance[listed.same] >= point.threshold).sum()
    assert found.metrics()["pairs_accuracy"] == found.points["accuracy"].accuracy
    assert measure_pairs(embedder, PairList.empty(), manifest, calibration, CONFIG, 0) is None

    shot = measure_one_shot(embedder, dataset, 5, 0)
    assert shot
    assert (shot.way, shot.identities, shot.images) == (5, len(first), len(images))
    assert shot.groups == {".": shot.error}
    assert shot.smallest_group == len(first)
    assert measure_one_shot(embedder, dataset, 0, 0) is None


@pytest.mark.parametrize("folds", [None, np.array([3, 4], np.int32)])
def test_a_list_of_pairs_is_an_artifact(folds: np.ndarray | None, tmp_path: Path) -> None:
    listed = PairList(["a/ü.png", "b, c.png"], np.array([[0, 1], [1, 0]], np.int32), np.array([True, False]), folds, 7)
    for number, written in enumerate((listed, PairList.empty())):
        (tmp_path / str(number)).mkdir()
        written.save(tmp_path / str(number))
        found = PairList.load(tmp_path / str(number))
        assert (found.images, found.duplicates) == (written.images, written.duplicates)
        for one, other in ((found.pairs, written.pairs), (found.same, written.same), (found.folds, written.folds)):
            assert (one is None) == (other is None)
            assert one is None or other is None or (np.array_equal(one, other) and one.dtype == other.dtype)
    assert listed.summary() == {"genuine": 1, "impostor": 1, "images": 2}


def test_rows_that_were_embedded_are_not_embedded_again(ingested: tuple[Manifest, ImageStore]) -> None:
    _, store = ingested
    encoder = make_encoder(EncoderConfig(width=4, embedding_dim=8), 1, seed=0)
    runs = []
    encoder.register_forward_hook(lambda _, inputs, __: runs.append(len(inputs[0])))
    embedder = RowEmbedder(encoder, store.images)
    expected = embed(encoder, store.images)
    runs.clear()
    for rows in ([5, 3, 9], [3, 3], [9, 0, 5, 7], []):
        np.testing.assert_allclose(embedder(np.array(rows, np.int64)), expected[rows], atol=1e-6)
    assert sum(runs) == 5
