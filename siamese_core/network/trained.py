"""A trained encoder as an artifact: weights as safetensors, the rest as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from safetensors.torch import load_file, save_file

from siamese_core.artifact import read_json, read_record, write_json, write_record
from siamese_core.config import EncoderConfig, ImageConfig
from siamese_core.errors import ModelError
from siamese_core.network.encoders import Encoder, Weights, make_encoder
from siamese_core.network.trained_on import TrainedOn
from siamese_core.network.weights import check_finite

_FORMAT = 1


@dataclass(frozen=True)
class _Record:
    """The content of `encoder.json`; attributes as in `TrainedEncoder`."""

    encoder: EncoderConfig
    images: ImageConfig
    best_step: int


@dataclass(frozen=True)
class TrainedEncoder:
    """A trained encoder as plain values.

    Attributes:
        state: Weights by name.
        encoder: Architecture.
        images: Preparation of its images.
        history: A row for each validation: `step`, the means of `training.health.Health` since the last one,
            `learning_rate` and `validation_eer`.
        best_step: The step whose weights were kept.
        events: All that the collapse monitor saw: `step`, `kind` (warning, collapse or recovery) and `message`.
        trained_on: The identities that trained these weights; None where nobody has recorded them.
    """

    state: Weights
    encoder: EncoderConfig
    images: ImageConfig
    history: list[dict[str, float]]
    best_step: int
    events: list[dict[str, Any]] = field(default_factory=list)
    trained_on: TrainedOn | None = None

    def build(self, device: str = "cpu") -> Encoder:
        """Build the encoder with these weights, ready to embed.

        Raises:
            ModelError: They were trained by a version whose network has another layout.
        """
        # The weights are all here: a file that they once started from is not needed any more.
        encoder = make_encoder(replace(self.encoder, weights_file=None), self.images.channels, seed=0)
        try:
            encoder.load_state_dict(self.state)
        except RuntimeError as error:
            raise ModelError(
                f"The weights do not fit the {self.encoder.architecture} of this version of siamese-pipelines: they "
                "were trained by another version. Use that version, or train again under another model_name."
            ) from error
        return encoder.to(device).eval()

    def save(self, folder: Path) -> None:
        """Write the weights as `encoder.safetensors`, and the rest as JSON files, one an attribute."""
        state = {name: value.contiguous() for name, value in self.state.items()}
        save_file(state, folder / "encoder.safetensors")
        write_record(folder / "encoder.json", _Record(self.encoder, self.images, self.best_step), _FORMAT)
        write_json(folder / "history.json", self.history)
        write_json(folder / "events.json", self.events)
        if self.trained_on:
            self.trained_on.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelError: Another version wrote it in another format, or a weight is not finite.
        """
        record = read_record(_Record, folder / "encoder.json", _FORMAT)
        state = load_file(weights := folder / "encoder.safetensors")
        check_finite(state, weights)
        return cls(
            state=state,
            encoder=record.encoder,
            images=record.images,
            history=read_json(folder / "history.json"),
            best_step=record.best_step,
            events=read_json(folder / "events.json"),
            trained_on=TrainedOn.find(folder),
        )

    def summary(self) -> dict[str, Any]:
        """Size of the network and its best validation EER."""
        best = [row["validation_eer"] for row in self.history if row["step"] == self.best_step]
        return {
            "architecture": self.encoder.architecture,
            "parameters": sum(value.numel() for value in self.state.values()),
            "best_step": self.best_step,
            "validation_eer": best[0] if best else float("nan"),
        }
