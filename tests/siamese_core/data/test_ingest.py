"""Images of every kind, good and bad, through ingest."""

import hashlib
import io
import json
import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from siamese_core.config import ImageConfig
from siamese_core.data import images
from siamese_core.data.decoding_memory import DecodingMemory
from siamese_core.data.images import decode_image, load_image
from siamese_core.data.ingest import Ingested, IngestIndex, ingest
from siamese_core.data.manifest import Manifest
from siamese_core.data.store import ImageStore
from siamese_core.errors import DataError, ModelError, UnreadableImageError

GREY = ImageConfig(size=16, color="grey")
RGB = ImageConfig(size=16, color="rgb")


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(width: int = 40, height: int = 40) -> Image.Image:
    """Left half red, right half green, a blue band on top."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 200
    pixels[:, width // 2 :, 1] = 150
    pixels[: height // 4] = (0, 0, 250)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("RGB", "JPEG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGB", "PNG"), ("L", "PNG"), ("1", "PNG"), ("P", "PNG"),
        ("RGBA", "PNG"), ("LA", "PNG"), ("I;16", "PNG"), ("L", "PPM"), ("RGB", "PPM"), ("1", "PPM"), ("I", "PPM"),
        ("RGB", "BMP"), ("P", "BMP"), ("RGB", "WEBP"), ("RGBA", "WEBP"), ("RGB", "TIFF"), ("I;16", "TIFF"),
        ("1", "TIFF"), ("P", "GIF"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("config", [GREY, RGB], ids=["grey", "rgb"])
def test_every_format_and_mode_gives_the_same_picture(mode: str, kind: str, config: ImageConfig) -> None:
    # Black left, white right: what 1 bit, a palette and 16 bits can all hold.
    pixels = np.zeros((32, 32), np.uint8)
    pixels[:, 16:] = 255
    plain = Image.fromarray(pixels)
    if mode in ("I;16", "I"):
        image = Image.fromarray(pixels.astype(np.uint16) * 257)
        image = image.convert("I") if mode == "I" else image
    else:
        image = plain.convert(mode)
    decoded = decode_image(encode(image, kind), config)
    assert decoded.pixels.shape == (16, 16, config.channels)
    np.testing.assert_allclose(decoded.pixels, load_image(plain, config), atol=6)  # JPEG and WebP are lossy
    assert (decoded.width, decoded.height) == (32, 32)


def test_16_bits_keep_their_contrast() -> None:
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16)[None].repeat(64, 0)
    pixels = decode_image(encode(Image.fromarray(ramp), "PNG"), ImageConfig(size=64, color="grey")).pixels[..., 0]
    np.testing.assert_allclose(pixels[0], np.linspace(0, 255, 64), atol=2)


def test_transparency_is_laid_on_white() -> None:
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    assert (decode_image(encode(clear, "PNG"), RGB).pixels == 255).all()
    palette = Image.new("P", (20, 20), 0)
    assert (decode_image(encode(palette, "PNG", transparency=0), GREY).pixels == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(orientation: int) -> None:
    upright = photo(60, 40)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode_image(encode(stored, "JPEG", quality=95, exif=exif), RGB)
    assert (decoded.width, decoded.height) == (60, 40)
    np.testing.assert_allclose(decoded.pixels, load_image(upright, RGB), atol=30)


def test_crop_keeps_the_centre_and_invert_swaps() -> None:
    pixels = np.zeros((40, 80), np.uint8)
    pixels[10:30, 30:50] = 255
    image = Image.fromarray(pixels)
    centre = load_image(image, ImageConfig(size=20, color="grey", crop=0.5))
    assert (centre == 255).all()
    inverted = load_image(image, ImageConfig(size=20, color="grey", crop=0.5, invert=True))
    assert (inverted == 0).all()


def test_a_large_jpeg_and_its_small_copy_agree() -> None:
    # Decoded at reduced scale: the picture must not change.
    small = photo(120, 120)
    large = small.resize((1920, 1920), Image.Resampling.BICUBIC)
    a, b = (decode_image(encode(image, "JPEG", quality=95), RGB).pixels.astype(int) for image in (small, large))
    assert np.abs(a - b).mean() < 4


def bomb() -> bytes:
    """A PNG of 40,000 × 40,000 pixels in a few hundred bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def bad_files(folder: Path) -> dict[str, str]:
    """Writes every kind of bad file below identity `bad`; file name → a part of the reason."""
    good = encode(photo(), "PNG")
    contents = {
        "empty.png": (b"", "empty file"),
        "text.png": (b"this is no image", "not an image"),
        "truncated.jpg": (encode(photo(200, 200), "JPEG")[:900], "truncated"),
        "truncated.png": (good[:60], "cannot be decoded"),
        "bomb.png": (bomb(), "too large"),
        "large.png": (encode(Image.new("L", (300, 300)), "PNG"), "too large: 300×300"),
        "float.tiff": (encode(Image.fromarray(np.zeros((9, 9), np.float32)), "TIFF"), "floating-point"),
        "movie.mp4": (b"\x00\x00\x00\x18ftypmp42", "a video"),
    }
    (folder / "bad").mkdir(parents=True)
    for name, (data, _) in contents.items():
        (folder / "bad" / name).write_bytes(data)
    (folder / "bad" / "link.png").symlink_to("nowhere.png")
    os.mkfifo(folder / "bad" / "pipe.png")
    (folder / "stray.png").write_bytes(good)
    reasons = {f"bad/{name}": reason for name, (_, reason) in contents.items()}
    return reasons | {
        "bad/link.png": "broken link",
        "bad/pipe.png": "not a regular file",
        "stray.png": "lies directly in",
    }


@dataclass(frozen=True)
class Mixed:
    """A folder of good and bad files.

    Attributes:
        folder: Three identities with two good images each, and bad files.
        reasons: Path of each bad file → a part of its reason.
    """

    folder: Path
    reasons: dict[str, str]


@pytest.fixture
def mixed(tmp_path: Path) -> Mixed:
    folder = tmp_path / "images"
    reasons = bad_files(folder)
    for identity in ("a", "deep/er/b", "naïve ☃"):
        (folder / identity).mkdir(parents=True)
        for i in range(2):
            (folder / identity / f"{i}.png").write_bytes(encode(photo(30 + i), "PNG"))
    return Mixed(folder, reasons)


def run(folder: Path, target: Path, config: ImageConfig) -> Ingested:
    target.mkdir()
    return ingest(folder, target, config)


def test_nothing_is_dropped_and_every_reason_is_given(mixed: Mixed, tmp_path: Path) -> None:
    os.close(os.open(bytes(mixed.folder / "a") + b"/\xff.png", os.O_CREAT | os.O_WRONLY))
    result = run(mixed.folder, tmp_path / "store", ImageConfig(size=16, max_pixels=50_000))
    manifest = result.manifest
    reasons = dict(zip(manifest.quarantined["path"], manifest.quarantined["reason"], strict=True))
    for path, reason in mixed.reasons.items():
        assert reason in reasons.pop(path)
    assert list(reasons.items()) == [("a/\\xff.png", "its name is not valid UTF-8")]
    assert manifest.ok["identity"].tolist() == ["a", "a", "deep/er/b", "deep/er/b", "naïve ☃", "naïve ☃"]
    assert len(result.store) == 6
    assert len(manifest.table) == 6 + len(mixed.reasons) + 1


def test_the_store_is_in_manifest_order_and_is_what_scoring_sees(mixed: Mixed, tmp_path: Path) -> None:
    config = ImageConfig(size=16)
    result = run(mixed.folder, tmp_path / "store", config)
    images = result.manifest.ok
    for row, (path, digest) in enumerate(zip(images["path"], images["sha256"], strict=True)):
        assert np.array_equal(result.store.images[row], load_image(mixed.folder / path, config))
        assert hashlib.sha256((mixed.folder / path).read_bytes()).hexdigest() == digest
    assert isinstance(result.store.images, np.memmap)


def test_store_manifest_and_index_round_trip(mixed: Mixed, tmp_path: Path) -> None:
    result = run(mixed.folder, tmp_path / "store", GREY)
    (tmp_path / "copy").mkdir()
    for artifact in (result.manifest, result.store, result.index):
        artifact.save(tmp_path / "copy")
    store = ImageStore.load(tmp_path / "copy")
    assert np.array_equal(store.images, result.store.images)
    assert store.config == GREY
    assert Manifest.load(tmp_path / "copy").table.equals(result.manifest.table)
    assert Manifest.load(tmp_path / "copy").sha256() == result.manifest.sha256()
    index = IngestIndex.load(tmp_path / "copy")
    assert index.table.equals(result.index.table)
    assert index.listed_ns == result.index.listed_ns


def test_a_store_of_another_format_is_refused(mixed: Mixed, tmp_path: Path) -> None:
    spec = run(mixed.folder, tmp_path / "store", GREY).store.folder / "images.json"
    values = json.loads(spec.read_text())
    spec.write_text(json.dumps(values | {"format": values["format"] + 1}))
    with pytest.raises(ModelError, match=r"images\.json has format 2; .* reads format 1"):
        ImageStore.load(spec.parent)


def test_one_worker_and_many_agree(mixed: Mixed, tmp_path: Path) -> None:
    for workers in (1, 4):
        (tmp_path / str(workers)).mkdir()
    one = ingest(mixed.folder, tmp_path / "1", GREY, workers=1)
    many = ingest(mixed.folder, tmp_path / "4", GREY, workers=4)
    assert one.manifest.table.equals(many.manifest.table)
    assert np.array_equal(one.store.images, many.store.images)


def make_old(folder: Path) -> None:
    """Sets times back: a file of this very second may still change within the clock's resolution."""
    for path in folder.rglob("*"):
        if not path.is_symlink():
            os.utime(path, (1_000_000, 1_000_000))


def test_a_second_ingest_reads_only_what_changed_and_equals_a_first_one(
    mixed: Mixed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = mixed.folder
    for name in ("1", "2", "3"):
        (tmp_path / name).mkdir()
    make_old(folder)
    first = ingest(folder, tmp_path / "1", GREY)
    # One of each: new, changed, removed, mended.
    (folder / "a" / "new.png").write_bytes(encode(photo(50), "PNG"))
    (folder / "deep/er/b" / "0.png").write_bytes(encode(photo(77), "PNG"))
    (folder / "naïve ☃" / "1.png").unlink()
    (folder / "bad" / "empty.png").write_bytes(encode(photo(33), "PNG"))
    read: list[str] = []
    from siamese_core.data import quarantine as module

    original = module.read_file
    monkeypatch.setattr(module, "read_file", lambda path, config: read.append(path.name) or original(path, config))
    second = ingest(folder, tmp_path / "2", GREY, previous=first)
    # Whatever could not be read is looked at again: it may be there now.
    again = {"link.png", "pipe.png"}
    assert {"0.png", "empty.png", "new.png"} <= set(read) <= {"0.png", "empty.png", "new.png", "stray.png"} | again
    assert second.reused >= len(second.manifest.table) - 6
    monkeypatch.undo()
    whole = ingest(folder, tmp_path / "3", GREY)
    assert second.manifest.table.equals(whole.manifest.table)
    assert np.array_equal(second.store.images, whole.store.images)
    assert second.index.table.equals(whole.index.table)


def test_a_file_of_this_very_moment_is_read_again(mixed: Mixed, tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    make_old(mixed.folder)
    (mixed.folder / "a" / "0.png").touch()
    first = ingest(mixed.folder, tmp_path / "1", GREY)
    second = ingest(mixed.folder, tmp_path / "2", GREY, previous=first)
    unread = int((first.manifest.table["sha256"] == "").sum())
    assert second.reused == len(first.manifest.table) - unread - 1


def test_with_nothing_changed_no_store_is_written(mixed: Mixed, tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    make_old(mixed.folder)
    first = ingest(mixed.folder, tmp_path / "1", GREY)
    second = ingest(mixed.folder, tmp_path / "2", GREY, previous=first)
    assert list((tmp_path / "2").iterdir()) == []
    assert second.manifest.table.equals(first.manifest.table)
    assert second.store.folder == first.store.folder


@pytest.mark.parametrize("change", ["removed", "added", "renamed", "first", "last", "spoiled", "swapped"])
def test_any_change_of_an_image_gives_the_store_of_a_first_ingest(mixed: Mixed, tmp_path: Path, change: str) -> None:
    for name in ("1", "2", "3"):
        (tmp_path / name).mkdir()
    make_old(mixed.folder)
    first = ingest(mixed.folder, tmp_path / "1", GREY)
    one, other = sorted(mixed.folder.glob("a/*.png"))
    match change:
        case "removed":
            one.unlink()
        case "renamed":
            one.rename(one.with_name("z.png"))
        case "spoiled":
            other.write_bytes(b"no image")
        case "swapped":
            one.rename(one.with_name("aside.png"))
            other.rename(one)
            one.with_name("aside.png").rename(other)
        case _:
            place = {"added": "a/00.png", "first": "A/0.png", "last": "ü/0.png"}[change]
            (mixed.folder / place).parent.mkdir(exist_ok=True)
            (mixed.folder / place).write_bytes(encode(photo(51), "PNG"))
    second = ingest(mixed.folder, tmp_path / "2", GREY, previous=first)
    whole = ingest(mixed.folder, tmp_path / "3", GREY)
    assert second.manifest.table.equals(whole.manifest.table)
    assert np.array_equal(second.store.images, whole.store.images)
    assert not second.manifest.table.equals(first.manifest.table)


def test_two_files_of_equal_size_and_time_that_change_places_are_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for name, level in (("a", 10), ("b", 200)):
        (folder / name).mkdir(parents=True)
        Image.new("L", (20, 20), level).save(folder / name / "0.bmp")
    make_old(folder)
    first = run(folder, tmp_path / "1", GREY)
    (folder / "a" / "0.bmp").rename(tmp_path / "aside")
    (folder / "b" / "0.bmp").rename(folder / "a" / "0.bmp")
    (tmp_path / "aside").rename(folder / "b" / "0.bmp")
    (tmp_path / "2").mkdir()
    second = ingest(folder, tmp_path / "2", GREY, previous=first)
    assert second.reused == 0
    assert np.array_equal(second.store.images, first.store.images[::-1])


FAILURES = [PermissionError(13, "Permission denied"), OSError(5, "Input/output error"), MemoryError()]


@pytest.mark.parametrize("failure", FAILURES, ids=["rights", "disk", "memory"])
@pytest.mark.parametrize("place", ["read_bytes", "decode"])
def test_a_failure_that_passes_is_forgotten(
    mixed: Mixed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception, place: str
) -> None:
    """Reading fails once, for one file that stays as it is; the next ingest has it."""
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
    make_old(mixed.folder)
    broken = mixed.folder / "a" / "0.png"
    content = broken.read_bytes()
    read_bytes, decode = Path.read_bytes, images._decode

    def fail_reading(path: Path) -> bytes:
        if path == broken:
            raise failure
        return read_bytes(path)

    def fail_decoding(data: bytes, config: ImageConfig, memory: DecodingMemory) -> images.DecodedImage:
        if data == content:
            raise MemoryError
        return decode(data, config, memory)

    with monkeypatch.context() as patch:
        if place == "decode":
            patch.setattr(images, "_decode", fail_decoding)
        else:
            patch.setattr(Path, "read_bytes", fail_reading)
        first = ingest(mixed.folder, tmp_path / "1", GREY)
    assert "a/0.png" in set(first.manifest.quarantined["path"])
    second = ingest(mixed.folder, tmp_path / "2", GREY, previous=first)
    assert "a/0.png" in set(second.manifest.ok["path"])


def test_a_huge_sparse_file_is_not_read(mixed: Mixed, tmp_path: Path) -> None:
    with (mixed.folder / "a" / "sparse.png").open("wb") as file:
        file.truncate(50 * 2**30)
    result = run(mixed.folder, tmp_path / "store", GREY)
    rows = result.manifest.quarantined.set_index("path")
    assert rows.loc["a/sparse.png", "reason"].startswith("too large: 53,687 MB, more than the ")


def test_a_folder_that_cannot_be_listed_is_quarantined(mixed: Mixed, tmp_path: Path) -> None:
    """Its path is longer than the system takes: no right of root helps."""
    here = os.open(mixed.folder, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=here)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    reasons = run(mixed.folder, tmp_path / "store", GREY).manifest.quarantined["reason"].tolist()
    assert "cannot be read: File name too long" in reasons


@pytest.mark.parametrize("target", ["loop.png", "other.png"])
def test_links_in_a_circle_are_quarantined(mixed: Mixed, tmp_path: Path, target: str) -> None:
    (mixed.folder / "a" / "loop.png").symlink_to(target)
    (mixed.folder / "a" / "other.png").symlink_to("loop.png")
    rows = run(mixed.folder, tmp_path / "store", GREY).manifest.quarantined
    assert {"a/loop.png", "a/other.png"} <= set(rows["path"])


def test_a_folder_that_vanishes_while_it_is_read_is_quarantined(
    mixed: Mixed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = os.walk

    def remove_then_go_on(*arguments: Any, **options: Any) -> Iterator[tuple[str, list[str], list[str]]]:
        for folder, below, names in walk(*arguments, **options):
            if Path(folder).name == "a":
                shutil.rmtree(folder)
            if "er" in below:
                shutil.rmtree(Path(folder) / "er")
            yield folder, below, names

    monkeypatch.setattr(os, "walk", remove_then_go_on)
    rows = run(mixed.folder, tmp_path / "store", GREY).manifest.quarantined.set_index("path")["reason"]
    assert rows["a/0.png"] == "no such file"
    assert rows["deep/er"] == "no such file"


def test_parts_of_two_ingests_do_not_pass_for_one(mixed: Mixed, tmp_path: Path) -> None:
    first = run(mixed.folder, tmp_path / "1", GREY)
    first.check()
    (mixed.folder / "a" / "0.png").unlink()
    second = run(mixed.folder, tmp_path / "2", GREY)
    for mixture in (replace(first, store=second.store), replace(first, index=second.index)):
        with pytest.raises(DataError, match="not of one ingest"):
            mixture.check()


def test_a_folder_link_that_loops_ends(mixed: Mixed, tmp_path: Path) -> None:
    (mixed.folder / "a" / "loop").symlink_to(mixed.folder, target_is_directory=True)
    result = run(mixed.folder, tmp_path / "store", ImageConfig(size=16, max_pixels=50_000))
    assert len(result.manifest.ok) == 6


def test_missing_empty_and_hopeless_folders_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        ingest(tmp_path / "nowhere", tmp_path, GREY)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file"):
        ingest(tmp_path / "file", tmp_path, GREY)
    (tmp_path / "empty" / "folder").mkdir(parents=True)
    with pytest.raises(DataError, match="has no files"):
        ingest(tmp_path / "empty", tmp_path, GREY)
    (tmp_path / "bad" / "x").mkdir(parents=True)
    (tmp_path / "bad" / "x" / "a.png").touch()
    with pytest.raises(DataError, match=r"None of the 1 files .* usable image:\n  x/a.png: empty file"):
        ingest(tmp_path / "bad", tmp_path, GREY)


@pytest.mark.parametrize("source", [np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4)), b"", Path("/nowhere/x.png")])
def test_bad_sources_give_a_reason(source: object) -> None:
    with pytest.raises(UnreadableImageError):
        load_image(source, GREY)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["\x1b[2Jclear.png", "a\nb.png", "tab\t.png", "gpj.\u202egnp"])
def test_a_name_that_a_terminal_obeys_is_quarantined_and_written_out(tmp_path: Path, name: str) -> None:
    good = encode(photo(1), "PNG")
    for folder in ("ada", f"bob{name}"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        (tmp_path / "in" / folder / "good.png").write_bytes(good)
    (tmp_path / "in" / "ada" / name).write_bytes(good)
    manifest = run(tmp_path / "in", tmp_path / "store", GREY).manifest
    assert manifest.ok["path"].tolist() == ["ada/good.png"]
    assert manifest.quarantined["reason"].tolist() == ["its name has control characters"] * 2
    assert all(path.isprintable() for path in manifest.table["path"])
