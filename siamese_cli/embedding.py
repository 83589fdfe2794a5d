"""Embeddings of many files, a block at a time."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from siamese_cli.models import load_verifier
from siamese_core.arrays import Embeddings
from siamese_core.artifact import whole_file
from siamese_core.data.images import load_image
from siamese_core.data.ingest import image_files
from siamese_core.errors import DataError, UnreadableImageError
from siamese_core.progress import track
from siamese_core.verifier import Verifier

_BLOCK = 256


def embed_files(inputs: Iterable[Path], output: Path, model: str | None) -> tuple[int, dict[str, str]]:
    """Embed files and the files below folders, and write `paths` and `embeddings`.

    Args:
        inputs: Files and folders that exist.
        output: An `.npz` file; written whole or not at all.
        model: Its name or folder; None for the only champion.

    Returns:
        Number of files that were embedded, and the reason for each that was not.

    Raises:
        DataError: There is no folder for the output, or nothing could be embedded.
    """
    if not output.parent.is_dir():
        raise DataError(f"The folder of {output} does not exist.")
    files = [path for item in inputs for path in _files(item)]
    paths, failed, embeddings = embed_readable(load_verifier(model), files)
    if not paths:
        raise DataError(
            f"None of the {len(files)} files could be read; the first: {next(iter(failed.items()), 'none')}"
        )
    _write(output, [str(path) for path in paths], embeddings)
    return len(paths), {str(path): reason for path, reason in failed.items()}


def embed_readable(verifier: Verifier, files: Sequence[Path]) -> tuple[list[Path], dict[Path, str], Embeddings]:
    """Embed the files that can be read, with the decoded images of one block in memory at a time.

    Returns:
        The n files that were embedded, the reason for each that was not, and (n, D) float32 embeddings.
    """
    paths: list[Path] = []
    failed: dict[Path, str] = {}
    parts = [verifier.embed_prepared([])]
    with track("embed", len(files), "files") as progress:
        for start in range(0, len(files), _BLOCK):
            pixels = []
            for path in files[start : start + _BLOCK]:
                try:
                    pixels.append(load_image(path, verifier.trained.images))
                    paths.append(path)
                except UnreadableImageError as error:
                    failed[path] = str(error)
                progress.advance()
            parts.append(verifier.embed_prepared(pixels))
    return paths, failed, np.concatenate(parts)


def _files(item: Path) -> list[Path]:
    return image_files(item) if item.is_dir() else [item]


def _write(output: Path, paths: list[str], embeddings: np.ndarray) -> None:
    with whole_file(output) as partial, partial.open("wb") as file:
        np.savez(file, paths=np.array(paths), embeddings=embeddings)
