"""`images.framing: content`: where a drawing lies on its paper, and how large, does not matter."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from siamese_core.arrays import Pixels
from siamese_core.config import ImageConfig
from siamese_core.data.images import load_image

CONTENT = ImageConfig(size=32, color="grey", framing="content")


def drawing(x: int, y: int, side: int, paper: tuple[int, int] = (200, 160), **options: Any) -> Image.Image:
    """A triangle and a bar in a square of this side at (x, y)."""
    image = Image.new(options.get("mode", "L"), paper, options.get("background", 255))
    draw = ImageDraw.Draw(image)
    ink = options.get("ink", 0)
    draw.polygon([(x, y), (x + side - 1, y), (x, y + side - 1)], fill=ink)
    draw.rectangle((x + side - side // 8, y + side // 2, x + side - 1, y + side - 1), fill=ink)
    return image


def difference(a: Pixels, b: Pixels) -> float:
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@settings(max_examples=25, deadline=None)
@given(x=st.integers(1, 110), y=st.integers(1, 70), side=st.integers(48, 88))
def test_place_and_size_on_the_paper_do_not_matter(x: int, y: int, side: int) -> None:
    found = load_image(drawing(x, y, side), CONTENT)
    assert difference(found, load_image(drawing(30, 30, 80), CONTENT)) < 12
    assert difference(found, np.flip(found, 0)) > 40  # so 12 is little


def test_the_content_fills_the_frame_up_to_its_margin() -> None:
    pixels = load_image(drawing(150, 20, 40), CONTENT)[..., 0]
    used = np.flatnonzero((pixels < 128).any(axis=0))
    assert (used[0], used[-1]) == (2, 29)  # 32 / 1.15 = 28 pixels of 32


def test_what_lies_outside_the_paper_is_background_too() -> None:
    image = drawing(0, 0, 60, mode="RGB", background=(250, 240, 200), ink=(0, 0, 120))
    pixels = load_image(image, ImageConfig(size=32, framing="content"))
    assert pixels[0, 0].tolist() == [250, 240, 200]
    assert pixels[31, 0].tolist() == [250, 240, 200]


def test_a_dot_keeps_some_paper_around_it() -> None:
    image = Image.new("L", (100, 100), 255)
    ImageDraw.Draw(image).rectangle((70, 70, 73, 73), fill=0)
    dark = (load_image(image, CONTENT) < 128).mean()
    assert 0.01 < dark < 0.04  # (4 / (25 · 1.15))² = 0.019


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_blank_paper_is_read_as_it_is(shade: int) -> None:
    image = Image.new("L", (50, 40), shade)
    assert (load_image(image, CONTENT) == shade).all()


def test_light_on_dark_and_inversion_go_together() -> None:
    dark = drawing(20, 20, 60, background=0, ink=255)
    inverted = ImageConfig(size=32, color="grey", framing="content", invert=True)
    assert difference(load_image(dark, inverted), load_image(drawing(20, 20, 60), CONTENT)) < 2
