"""A trained encoder as an artifact: weights as safetensors, the rest as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_file, save_file

from siamese_core.artifact import read_json, write_json
from siamese_core.config import EncoderConfig, ImageConfig
from siamese_core.errors import ModelError
from siamese_core.network.encoders import Encoder, make_encoder


@dataclass(frozen=True)
class TrainedEncoder:
    """A trained encoder as plain values.

    Attributes:
        state: Weights by name.
        encoder: Architecture.
        images: How its images are prepared.
        history: A row for each validation: `step`, the means of `training.health.Health` since the last one,
            `learning_rate` and `validation_eer`.
        best_step: The step whose weights were kept.
        events: What the collapse monitor saw: `step`, `kind` (warning, collapse or recovery) and `message`.
    """

    state: dict[str, torch.Tensor]
    encoder: EncoderConfig
    images: ImageConfig
    history: list[dict[str, float]]
    best_step: int
    events: list[dict[str, Any]] = field(default_factory=list)

    def build(self, device: str = "cpu") -> Encoder:
        """The encoder with these weights, ready to embed.

        Raises:
            ModelError: They were trained by a version whose network has another layout.
        """
        # The weights are all here: a file that they once started from is not needed any more.
        config = EncoderConfig(**{**asdict(self.encoder), "weights_file": None})
        encoder = make_encoder(config, self.images.channels, seed=0)
        try:
            encoder.load_state_dict(self.state)
        except RuntimeError as error:
            raise ModelError(
                f"The weights do not fit the {config.architecture} of this version of siamese-pipelines: they were "
                "trained by another version. Use that version, or train again under another model_name."
            ) from error
        return encoder.to(device).eval()

    def save(self, folder: Path) -> None:
        """Writes `encoder.safetensors` (weights), `encoder.json` (configuration), `history.json` and `events.json`."""
        state = {name: value.contiguous() for name, value in self.state.items()}
        save_file(state, folder / "encoder.safetensors")
        config = {"encoder": asdict(self.encoder), "images": asdict(self.images), "best_step": self.best_step}
        write_json(folder / "encoder.json", config)
        write_json(folder / "history.json", self.history)
        write_json(folder / "events.json", self.events)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""
        config = read_json(folder / "encoder.json")
        return cls(
            state=load_file(folder / "encoder.safetensors"),
            encoder=EncoderConfig(**config["encoder"]),
            images=ImageConfig(**config["images"]),
            history=read_json(folder / "history.json"),
            best_step=config["best_step"],
            events=read_json(folder / "events.json") if (folder / "events.json").exists() else [],
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
