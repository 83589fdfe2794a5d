"""Decoding in bounded memory: the same pixels, and never more bytes reserved than there are."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from siamese_core.config import ImageConfig
from siamese_core.data import images
from siamese_core.data.decoding_memory import DecodingMemory
from siamese_core.data.images import decode_image, load_image, prepare
from siamese_core.data.links import Links
from siamese_core.data.quarantine import read_or_quarantine
from siamese_core.errors import UnreadableImageError


class Counted(DecodingMemory):
    """Counts the bytes that are held at once."""

    def __init__(self, total: int) -> None:
        super().__init__(total, strict=False)
        self.most = 0

    def seen(self) -> None:
        self.most = max(self.most, self.total - self._free)


@given(st.lists(st.integers(1, 150), min_size=1, max_size=40))
def test_threads_together_stay_within_it(sizes: list[int]) -> None:
    memory = Counted(100)

    def work(size: int) -> None:
        with memory.reserve(size):
            memory.seen()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, sizes))
    assert 0 < memory.most <= 100
    assert memory._free == 100


def test_a_picture_waits_for_another_to_end() -> None:
    memory, second = DecodingMemory(100, strict=False), threading.Event()

    def work() -> None:
        with memory.reserve(1000):  # more than there is: alone
            second.set()

    with memory.reserve(1):
        thread = threading.Thread(target=work)
        thread.start()
        assert not second.wait(0.1)
    thread.join(60)
    assert second.is_set()


def test_what_never_fits_is_refused_and_an_error_gives_the_memory_back() -> None:
    memory = DecodingMemory(5_000_000, strict=True)
    with (
        pytest.raises(UnreadableImageError, match="needs 7 MB of memory, more than the 5 MB here"),
        memory.reserve(7_000_000),
    ):
        pass
    with pytest.raises(ZeroDivisionError), memory.reserve(5_000_000):
        raise ZeroDivisionError
    with memory.reserve(5_000_000):
        pass


def test_the_header_alone_decides() -> None:
    """A picture of one colour: hundreds of megabytes of pixels in a small file."""
    buffer = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(buffer, "PNG")
    assert len(buffer.getvalue()) < 20_000
    config = ImageConfig(color="grey")
    with pytest.raises(UnreadableImageError, match="too large: decoding needs 267 MB"):
        decode_image(buffer.getvalue(), config, DecodingMemory(100_000_000, strict=True))


def _modes(rng: np.random.Generator) -> list[Image.Image]:
    rgb = Image.fromarray(rng.integers(0, 256, (41, 29, 3), dtype=np.uint8))
    rgba = Image.fromarray(rng.integers(0, 256, (41, 29, 4), dtype=np.uint8))
    wide = Image.fromarray(rng.integers(0, 65536, (41, 29), dtype=np.uint16))
    keyed = rgb.copy()
    keyed.info["transparency"] = (0, 0, 0)
    modes = ("1", "L", "P", "CMYK", "YCbCr", "HSV")
    return [rgb, rgba, wide, keyed, rgba.convert("LA"), rgba.quantize(9), *(rgb.convert(mode) for mode in modes)]


@pytest.mark.parametrize("framing", ["center", "content"])
@pytest.mark.parametrize("color", ["grey", "rgb"])
def test_bands_give_the_same_pixels(
    framing: str, color: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ImageConfig(size=16, framing=framing, color=color)  # type: ignore[arg-type]
    whole = [prepare(image, config) for image in _modes(np.random.default_rng(0))]
    for band in (1, 29, 100, 1000):
        monkeypatch.setattr(images, "_BAND", band)
        for image, expected in zip(_modes(np.random.default_rng(0)), whole, strict=True):
            np.testing.assert_array_equal(prepare(image, config), expected, err_msg=f"{image.mode} {band}")


@pytest.mark.parametrize("shape", [(20, 3000), (3000, 20)])
def test_the_frame_around_a_long_strip_is_bounded(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The square around a strip has many times its pixels."""
    strip = np.full(shape, 255, np.uint8)
    strip[5:-5, 5:-5] = 0
    config = ImageConfig(size=32, framing="content", color="grey")
    whole = prepare(Image.fromarray(strip), config)
    monkeypatch.setattr(images, "_LARGEST_FRAME", 1_000_000)
    largest = []
    expand = images.ImageOps.expand
    monkeypatch.setattr(images.ImageOps, "expand", lambda *args: largest.append(expand(*args)) or largest[-1])
    reduced = prepare(Image.fromarray(strip), config)
    assert all(image.width * image.height <= 1_100_000 for image in largest)
    assert np.abs(reduced.astype(int) - whole).mean() < 2


def test_a_file_that_no_image_needs_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    with (tmp_path / "ada" / "video.mp4").open("wb") as file:
        file.truncate(10**12)  # without using any disk
    row, pixels = read_or_quarantine(tmp_path, "ada/video.mp4", ImageConfig(), Links(tmp_path, follow=False))
    assert pixels is None
    assert row["reason"] == "too large: 1,000,000 MB, more than the 800 MB of an image"
    with pytest.raises(UnreadableImageError, match="more than the 64 MB"):
        load_image(tmp_path / "ada" / "video.mp4", ImageConfig(max_pixels=100))
