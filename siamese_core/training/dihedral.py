"""Dihedral copies: turned and mirrored images as separate identities, which gives more of them to learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from siamese_core.arrays import Indices, labels_of
from siamese_core.data.dataset import Images


@dataclass(frozen=True, eq=False)
class DihedralImages:
    """Images in S copies each: copy s of image i is sample i · S + s, of class label · S + s.

    Attributes:
        images: The upright images; there are N of I identities.
        copies: S: 1 (upright alone), 4 (rotations) or 8 (rotations and reflections).
    """

    images: Images
    copies: int

    def labels(self) -> Indices:
        """(N · S,) int64, the class of each sample."""
        return self.of_each(self.images.labels).ravel()

    def siblings(self) -> Indices:
        """(I · S,) int64, the group of each class: identities below the same folder, in the same copy."""
        folders, _ = labels_of([name.rpartition("/")[0] for name in self.images.names])
        return self.of_each(folders).ravel()

    def of_each(self, numbers: Indices) -> Indices:
        """(..., S) int64, the samples of images, the classes of identities or the copies of any other numbers."""
        return numbers[..., np.newaxis] * self.copies + np.arange(self.copies)
