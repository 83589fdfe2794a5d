"""Artifacts in a store on this machine: whole or not there, and never read once they are damaged."""

import logging
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from siamese_core.artifact import FolderArtifact
from siamese_core.config import ImageConfig
from siamese_core.data.ingest import Ingested, ingest
from siamese_core.errors import DataError
from siamese_integrations import previous_ingest
from siamese_integrations.zenml_materializer import FolderMaterializer

CONFIG = ImageConfig(size=16)


class Store:
    """A folder as ZenML keeps artifacts in it: the materializer's, with the hash that the database holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = SimpleNamespace(is_local=True)
        self.hashes: dict[str, str] = {}

    def materializer(self, name: str) -> Any:
        return FolderMaterializer(str(self.path / name), artifact_store=self)  # type: ignore[arg-type]

    def save(self, name: str, data: FolderArtifact) -> None:
        (self.path / name).mkdir(parents=True)
        materializer = self.materializer(name)
        materializer.save(data)
        self.hashes[name] = materializer.compute_content_hash(data)

    def load(self, name: str, kind: type[Any]) -> Any:
        materializer = self.materializer(name)
        materializer.expected_content_hash = self.hashes[name]
        return materializer.load(kind)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "artifacts")


@pytest.fixture
def first(tmp_path: Path, image_folder: Callable[[dict[str, int]], Path]) -> Ingested:
    (tmp_path / "first").mkdir()
    return ingest(image_folder({"a": 3, "b": 2}), tmp_path / "first", CONFIG)


NAMES = {"image_manifest": "manifest", "image_store": "store", "ingest_index": "index"}


def finished_step(store: Store, result: Ingested) -> Any:
    """A step of an earlier run, as ZenML's client gives it."""
    outputs = {}
    for name, part in NAMES.items():
        data = getattr(result, part)
        store.save(name, data)
        load = partial(store.load, name, type(data))
        outputs[name] = [SimpleNamespace(load=load, run_metadata={previous_ingest.PROVENANCE: "origin"})]
    return SimpleNamespace(outputs=outputs)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": cut,
    "flipped": flip,
    "empty": lambda path: os.truncate(path, 0),
    "gone": Path.unlink,
    "another": lambda path: path.with_name("other").touch(),
    "no folder": lambda path: shutil.rmtree(path.parent),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a broken link": lambda path: (path.unlink(), path.symlink_to("nowhere")),
}
FILES = [
    "image_manifest/manifest.parquet",
    "image_store/images.u8",
    "image_store/images.json",
    "ingest_index/index.parquet",
]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_last_ingest_is_read_again_in_words(
    store: Store,
    first: Ingested,
    file: str,
    damage: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    step = finished_step(store, first)
    monkeypatch.setattr(previous_ingest, "_completed", lambda: [step])
    sound = previous_ingest.find_previous("origin")
    assert sound
    assert sound.manifest.table.equals(first.manifest.table)
    DAMAGES[damage](store.path / file)
    with caplog.at_level(logging.WARNING):
        assert previous_ingest.find_previous("origin") is None
    (record,) = caplog.records
    assert record.getMessage().startswith("the last ingest cannot be read (")
    assert record.getMessage().endswith("): reading every file again")
    assert record.exc_info is None


@pytest.mark.parametrize("failure", [OSError(5, "Input/output error"), KeyError("x"), MemoryError(), ValueError("\n")])
def test_whatever_fails_reads_every_file_again(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise failure

    monkeypatch.setattr(previous_ingest, "_completed", fail)
    assert previous_ingest.find_previous("origin") is None
    assert caplog.records[0].getMessage().endswith("reading every file again")


def test_an_ingest_without_provenance_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for outputs in ({}, {"ingest_index": [SimpleNamespace(run_metadata={})]}):
        monkeypatch.setattr(previous_ingest, "_completed", lambda outputs=outputs: [SimpleNamespace(outputs=outputs)])
        assert previous_ingest.find_previous("None") is None


def test_an_artifact_that_was_not_finished_is_not_there(store: Store, first: Ingested) -> None:
    class Failing:
        def save(self, folder: Path) -> None:
            first.store.save(folder)
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        store.save("image_store", Failing())  # type: ignore[arg-type]
    files = [path for path in store.path.rglob("*") if path.is_file()]
    assert files == []


def test_an_unchanged_image_store_takes_no_room(store: Store, first: Ingested) -> None:
    store.save("1", first.store)
    again = store.load("1", type(first.store))
    store.save("2", again)
    one, two = (store.path / name / "images.u8" for name in "12")
    assert one.samefile(two)
    shutil.rmtree(store.path / "1")
    assert np.array_equal(store.load("2", type(first.store)).images, first.store.images)


def test_a_store_on_another_disk_is_copied(store: Store, first: Ingested, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    store.save("1", first.store)
    assert not (store.path / "1" / "images.u8").samefile(first.store.folder / "images.u8")
    assert np.array_equal(store.load("1", type(first.store)).images, first.store.images)


def test_a_damaged_artifact_names_its_place_and_the_way_out(store: Store, first: Ingested) -> None:
    store.save("1", first.manifest)
    flip(store.path / "1" / "manifest.parquet")
    with pytest.raises(DataError, match=r"/1 is damaged: .* `enable_cache: false`"):
        store.load("1", type(first.manifest))


def test_a_figure_that_is_none_is_left_out(store: Store) -> None:
    """ZenML refuses it, after the work of the step is done."""
    artifact = SimpleNamespace(summary=lambda: {"default": None, "eer": 0.0, "refused": {}})
    assert store.materializer("1").extract_metadata(artifact) == {"eer": 0.0, "refused": {}}
