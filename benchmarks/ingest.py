"""Claim: an ingest with 1 % new files is at least 20 times faster than the first.

Photos of 640×480 pixels, then one in a hundred replaced; both ingests one after the other in one process, on a warm
file cache. For context, the first ingest is compared with a plain loop over torchvision's ImageFolder, which reads,
decodes, resizes and keeps the pixels, but neither hashes nor writes.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.measure import Absent, Cost, Line, compare, growth, in_process, peak_memory
from siamese_core.config import ImageConfig
from siamese_core.data.ingest import Ingested, ingest

_PER_IDENTITY, _DISTINCT = 10, 100
_IMAGES = ImageConfig()
_CPU = torch.device("cpu")
FULL, QUICK = (1_000, 3_000, 10_000), (100, 200)


def lines(quick: bool) -> Iterator[Line]:
    """Measures both claims at every size."""
    counts = QUICK if quick else FULL
    first: list[Cost | Absent] = []
    again: list[Cost | Absent] = []
    loop: list[Cost | Absent] = []
    for count in counts:
        with tempfile.TemporaryDirectory() as name:
            write_photos(Path(name) / "data", count)
            loop.append(in_process(image_folder_loop, Path(name)))
            twice = in_process(ingest_twice, Path(name))
        slow, fast = (twice, twice) if isinstance(twice, Absent) else twice
        first.append(slow)
        again.append(fast)
        settings = f"JPEG 640×480 to {_IMAGES.size}×{_IMAGES.size} {_IMAGES.color}, {os.cpu_count()} decoding threads"
        yield compare(f"ingest of {count:,} photos; peer: ImageFolder loop", first[-1], loop[-1], settings)
        yield compare(f"re-ingest, 1 % of {count:,} new; peer: first ingest", again[-1], first[-1], settings)
    yield growth("ingest; peer: ImageFolder loop", counts, first, loop)
    yield growth("re-ingest; peer: first ingest", counts, again, first)


def ingest_twice(folder: Path) -> tuple[Cost, Cost]:
    """A first ingest of `folder/data`, and one after a hundredth of its files is new."""
    first, slow = _timed_ingest(folder, "first", None)
    new = sorted((folder / "data").rglob("*.jpg"))[::100]
    for number, path in enumerate(new):
        path.write_bytes(_photo(_DISTINCT + number))
    second, fast = _timed_ingest(folder, "second", first)
    assert second.reused == len(first.store) - len(new)
    return slow, fast


def image_folder_loop(folder: Path) -> Cost:
    """The same pixels by ImageFolder and Pillow, image after image, into one array."""
    from torchvision import datasets, transforms

    size = _IMAGES.size
    prepare = transforms.Compose([transforms.Resize(size), transforms.CenterCrop(size), transforms.PILToTensor()])
    with peak_memory(_CPU) as peak:
        start = time.perf_counter()
        dataset = datasets.ImageFolder(str(folder / "data"), prepare)
        images = np.empty((len(dataset), _IMAGES.channels, size, size), np.uint8)
        for row, (image, _) in enumerate(dataset):
            images[row] = image.numpy()
        seconds = time.perf_counter() - start
    return Cost(seconds, peak[0], "1 thread")


def _timed_ingest(folder: Path, name: str, previous: Ingested | None) -> tuple[Ingested, Cost]:
    (folder / name).mkdir()
    with peak_memory(_CPU) as peak:
        start = time.perf_counter()
        found = ingest(folder / "data", folder / name, _IMAGES, previous=previous)
        seconds = time.perf_counter() - start
    return found, Cost(seconds, peak[0])


def write_photos(data: Path, count: int) -> None:
    """Writes `count` photos, of which at most 100 are distinct, ten an identity."""
    photos = [_photo(seed) for seed in range(min(count, _DISTINCT))]
    for number in range(count):
        path = data / f"id{number // _PER_IDENTITY:05d}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photos[number % len(photos)])
        # Old enough to be recognised as unchanged.
        os.utime(path, (1_000_000, 1_000_000))


def _photo(seed: int) -> bytes:
    """A JPEG with the detail of a photo: smooth noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    with io.BytesIO() as file:
        Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        return file.getvalue()
