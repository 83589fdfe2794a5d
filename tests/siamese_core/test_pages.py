"""The HTML pages in a real browser."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from siamese_core.manifest import Manifest
from siamese_core.quality import Check, data_page
from siamese_core.store import ImageStore

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)")


def shot(page: str, folder: Path, width: int, height: int = 1600, dark: bool = False) -> tuple[Image.Image, str]:
    """A screenshot of a page, and what the browser's console and network said."""
    assert CHROMIUM
    (folder / "page.html").write_text(page, encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--disable-quic", "--hide-scrollbars"]
    flags += ["--enable-logging=stderr", f"--user-data-dir={folder / 'profile'}", f"--window-size={width},{height}"]
    flags += ["--blink-settings=preferredColorScheme=0"] if dark else []
    done = subprocess.run(
        [CHROMIUM, *flags, f"--screenshot={folder / 'shot.png'}", (folder / "page.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    image = Image.open(folder / "shot.png").convert("RGB")
    return image, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.fixture(scope="module")
def page(ingested: tuple[Manifest, ImageStore]) -> str:
    manifest, store = ingested
    check = Check("every identity has at least 2 images", "warning", False, "1 of 60 are not", ["x" * 300], "Advice.")
    return data_page([check], manifest, store)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_page_renders_without_complaints_in_both_themes(page: str, tmp_path: Path, dark: bool) -> None:
    image, console = shot(page, tmp_path, 1100, dark=dark)
    assert console == ""
    pixels = np.asarray(image)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50
    background = pixels[5, 5].mean()
    assert background < 60 if dark else background > 230
