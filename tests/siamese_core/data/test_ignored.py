"""Files that lie beside images: ignored by a rule, listed, and counted as neither good nor bad."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from siamese_core.config import ImageConfig, ValidationConfig
from siamese_core.data.data_checks import failures
from siamese_core.data.ignored import ignored
from siamese_core.data.ingest import image_files, ingest
from siamese_core.data.manifest import Manifest
from siamese_core.data.quarantine import printable
from siamese_core.data.store import ImageStore
from siamese_core.errors import DataError
from siamese_core.report.data_page import data_page
from siamese_integrations.great_expectations_suite import run_checks

GREY = ImageConfig(size=16, color="grey")
SYSTEM = [
    "p0/._0.png", "__MACOSX/p0/._0.png", "__MACOSX/p0/0.png", ".DS_Store", "p0/.DS_Store", "p0/Thumbs.db",
    "thumbs.DB", "p1/desktop.ini", "p1/Desktop.ini", "p1/@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg", ".git/objects/aa",
    "p1/.ipynb_checkpoints/0-checkpoint.png", "$RECYCLE.BIN/x.jpg", "p2/.@__thumb/default0.png", "#recycle/p9/1.png",
    ".Trash-1000/files/0.png", "p2/__pycache__/a.pyc", "lost+found/1.png", "p2/~$notes.docx", "p2/Icon\r",
    "System Volume Information/x.png",
]  # fmt: skip
BESIDE = {
    "p0/0.json": b"{}", "p0/0.pts": b"version: 1", "p1/0.txt": b"48 20", "p1/0.XML": b"<a/>", "p2/empty.csv": b"",
    "p2/landmarks.npy": b"\x93NUMPY\x01\x00", "p2/0.mat": bytes(99), "README.md": b"# people", "list.txt": b"p0",
    "LICENSE": b"MIT", "p3/notes": "grüße".encode(), "archive.zip": b"PK\x03\x04", "p3/0.png.xmp": b"<x/>",
}  # fmt: skip
DAMAGED = {
    "p3/a.png": b"", "p3/b.jpg": b"no image", "p3/c.heic": b"no image", "p3/d.CR2": b"no image", "p3/e": bytes(40),
    "p3/face.0001": b"no image\0", "p3/J. Doe": b"\xff\xfe\0", "p3/clip.mp4": bytes(50), "stray.png": b"x",
}  # fmt: skip


def image(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (24, 24), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def write(folder: Path, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """8 identities of 3 images."""
    write(tmp_path / "images", {f"p{i}/{j}.png": image(10 * i + j) for i in range(8) for j in range(3)})
    return tmp_path / "images"


def manifest_of(folder: Path) -> Manifest:
    store = folder.parent / "store"
    store.mkdir(exist_ok=True)
    return ingest(folder, store, GREY).manifest


def test_what_systems_and_annotations_leave_spoils_no_clean_set(people: Path) -> None:
    clean = manifest_of(people)
    # Real images even: a thumbnail is a copy, and would be an identity of its own.
    write(people, dict.fromkeys(SYSTEM, image(0)) | BESIDE)
    manifest = manifest_of(people)
    assert manifest.ok.equals(clean.ok)
    assert manifest.sha256() != clean.sha256()
    assert set(manifest.ignored["path"]) == set(map(printable, {*SYSTEM, *BESIDE}))
    assert manifest.ignored["reason"].str.len().min() > 0
    assert manifest.quarantined.empty
    checks, _ = run_checks(manifest, ValidationConfig())
    assert [check.title for check in checks if not check.passed] == []
    assert manifest.summary()["ignored"] == len(SYSTEM) + len(BESIDE)
    page = data_page(checks, manifest, ImageStore.load(people.parent / "store"))
    assert "thumbnails of a NAS (@eaDir)" in page
    assert "0 files quarantined, 34 ignored" in page


def test_a_file_that_may_be_a_damaged_image_still_counts_as_one(people: Path) -> None:
    write(people, DAMAGED)
    manifest = manifest_of(people)
    assert set(manifest.quarantined["path"]) == set(DAMAGED)
    assert manifest.ignored.empty
    (warning,) = failures(run_checks(manifest, ValidationConfig())[0], "warning")
    assert "validation.warn_decodable" in warning.advice
    (error,) = failures(run_checks(manifest, ValidationConfig(min_decodable=0.9))[0], "error")
    assert "validation.min_decodable" in error.advice


def test_an_image_is_an_image_whatever_its_extension(people: Path) -> None:
    write(people, {"p0/scan.txt": image(77), "p0/scan": image(78), "p0/scan.0001": image(79)})
    assert len(manifest_of(people).ok) == 27


def test_the_rule_is_the_reason() -> None:
    assert ignored("a/@eaDir/x.jpg/y.jpg") == "thumbnails of a NAS (@eaDir)"
    assert ignored("a/THUMBS.db") == "thumbnails of Windows (Thumbs.db*)"
    assert ignored("a/.x") == "hidden (.*)"
    assert ignored("a/x.jpg") is None
    assert ignored("J. R. Tolkien/a.b.jpg") is None


def test_a_folder_of_nothing_but_such_files_is_a_clear_error(tmp_path: Path) -> None:
    write(tmp_path / "images", {"a/.x.png": image(0), "a/b.txt": b"1"})
    with pytest.raises(DataError, match=r"None of the 2 files.*\n  a/\.x\.png: hidden"):
        manifest_of(tmp_path / "images")


def test_commands_on_folders_leave_them_aside_too(people: Path) -> None:
    write(people, dict.fromkeys(SYSTEM, b"x"))
    assert [file.relative_to(people).as_posix() for file in image_files(people)] == [
        f"p{i}/{j}.png" for i in range(8) for j in range(3)
    ]
