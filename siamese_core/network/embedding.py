"""Embeddings of many images, in batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from siamese_core.arrays import Embeddings, Pixels
from siamese_core.network.encoders import Encoder
from siamese_core.progress import Progress, track

# (n,) int64 rows of the image store to (n, D) vectors to compare.
Embedder = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.floating]]


def to_tensor(images: Pixels) -> Tensor:
    """Copy an (N, H, W, C) uint8 array into an (N, C, H, W) uint8 tensor."""
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2)


def embed(
    encoder: Encoder,
    images: Pixels,
    rows: npt.NDArray[np.int64] | None = None,
    batch_size: int = 256,
    progress: Progress | None = None,
) -> Embeddings:
    """Embed images; memory use does not grow with their number, but for the result.

    Args:
        encoder: The encoder; it is left in the mode (training or not) that it was in.
        images: (N, H, W, C) uint8, may be memory-mapped.
        rows: (n,) int64 rows of `images` to embed, in this order; all if not given.
        batch_size: Images at a time.
        progress: Where images are counted.

    Returns:
        (n, D) float32 of length 1.
    """
    rows = np.arange(len(images)) if rows is None else rows
    device = next(encoder.parameters()).device
    was_training = encoder.training
    encoder.eval()
    parts = [np.empty((0, encoder.config.embedding_dim), np.float32)]
    with torch.inference_mode():
        for start in range(0, len(rows), batch_size):
            batch = to_tensor(images[rows[start : start + batch_size]]).to(device)
            parts.append(encoder(batch).cpu().numpy())
            if progress is not None:
                progress.advance(len(batch))
    encoder.train(was_training)
    return np.concatenate(parts)


class RowEmbedder:
    """Encoder over an image store that embeds each row once, however often it is asked."""

    def __init__(self, encoder: Encoder, images: Pixels) -> None:
        """Take the encoder and the store's (N, H, W, C) uint8 images."""
        self._encoder, self._images = encoder, images
        self._rows = np.empty(0, np.int64)
        self._embeddings = np.empty((0, encoder.config.embedding_dim), np.float32)

    def __call__(self, rows: npt.NDArray[np.int64]) -> Embeddings:
        """(n, D) float32 of length 1, for (n,) rows in any order."""
        new = np.setdiff1d(rows, self._rows)
        if len(new):
            rows_of_all = np.concatenate([self._rows, new])
            order = np.argsort(rows_of_all)
            with track("embed", len(new), "images") as progress:
                embeddings = embed(self._encoder, self._images, new, progress=progress)
            self._embeddings = np.concatenate([self._embeddings, embeddings])[order]
            self._rows = rows_of_all[order]
        wanted: Embeddings = self._embeddings[np.searchsorted(self._rows, rows)]
        return wanted
