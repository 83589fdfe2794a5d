"""The champion: the registered model that is in charge.

Few imports, since the steps that train start from it and are cached by the code that they reach.
"""

from __future__ import annotations

from dataclasses import dataclass

from siamese_core.config import ImageConfig
from siamese_core.verifier import Verifier


@dataclass(frozen=True, eq=False)
class Champion:
    """A verifier and its place in the registry.

    Attributes:
        verifier: The model.
        version: Its version in the registry.
    """

    verifier: Verifier
    version: str

    def reads(self, images: ImageConfig) -> bool:
        """Whether it can be asked about images that were prepared this way."""
        return self.verifier.trained.images == images
