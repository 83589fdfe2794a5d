"""The model that a report or a card is about, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Origin:
    """A model by name, with the way it was made.

    Attributes:
        name: Name of the model.
        lineage: Data, code, run and seed, by name.
        configuration: All parameters of the run, as text.
    """

    name: str
    lineage: Mapping[str, str] = field(default_factory=dict)
    configuration: str = ""
