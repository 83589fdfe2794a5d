"""Encoders: the network f that both towers of the Siamese network share."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from siamese_core.config import EncoderConfig
from siamese_core.errors import ModelError


class Encoder(nn.Module):
    """f: images to unit vectors.

    Takes uint8 or float images in 0…255 and standardises each by its own mean and deviation, so that the same
    preprocessing is part of training, calibration and serving.
    """

    def __init__(self, config: EncoderConfig, channels: int) -> None:
        """Builds the network with fresh weights, then loads `config.weights_file` where one is named.

        Args:
            config: Architecture and sizes.
            channels: 1 for grey images, 3 for rgb.

        Raises:
            ModelError: The weights file is missing, or shares no weight with this network.
        """
        super().__init__()
        self.config = config
        self.channels = channels
        self.body, features = _BODIES[config.architecture](config, channels)
        self.head = nn.Linear(features, config.embedding_dim)
        if config.weights_file:
            load_weights(self.body, Path(config.weights_file))

    def forward(self, images: Tensor) -> Tensor:
        """Embeds images.

        Args:
            images: (B, C, H, W) uint8 or float, 0 to 255.

        Returns:
            (B, D) float32 of length 1.
        """
        features = self.body(standardise(images))  # (B, F)
        return F.normalize(self.head(features).float(), dim=1)


def standardise(images: Tensor) -> Tensor:
    """Each image to mean 0 and deviation 1, over all its channels; a blank image to zeros.

    Args:
        images: (B, C, H, W) uint8 or float, 0 to 255.

    Returns:
        (B, C, H, W) float, channels last in memory (faster convolutions).
    """
    images = images.float() if images.dtype == torch.uint8 else images
    deviation, mean = torch.std_mean(images, dim=(1, 2, 3), keepdim=True, correction=0)
    return ((images - mean) / (deviation + 1.0)).contiguous(memory_format=torch.channels_last)


def make_encoder(config: EncoderConfig, channels: int, seed: int) -> Encoder:
    """A fresh encoder whose weights follow from the seed alone; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(config, channels)
    return encoder.to(memory_format=torch.channels_last)


def load_weights(body: nn.Module, path: Path) -> None:
    """Loads the weights that fit by name and shape, and says how many did.

    Raises:
        ModelError: The file is missing or unreadable, or not one weight fits.
    """
    if not path.is_file():
        raise ModelError(f"encoder.weights_file {path} does not exist.")
    try:
        state = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:  # a damaged or pickled file raises many types
        raise ModelError(f"encoder.weights_file {path} is not a plain state dict of tensors: {error}") from error
    own = body.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    if not fitting:
        raise ModelError(f"encoder.weights_file {path} has no weight whose name and shape fit this encoder.")
    body.load_state_dict(fitting, strict=False)
    print(f"encoder: {len(fitting)} of {len(own)} tensors from {path}; {len(state) - len(fitting)} of the file unused")


def _convnet(config: EncoderConfig, channels: int) -> tuple[nn.Module, int]:
    """Four convolutions, three halvings, and a 4×4 map: at any size the layout of the image is kept."""
    widths = [config.width, 2 * config.width, 4 * config.width, 4 * config.width]
    layers: list[nn.Module] = []
    for index, (before, after) in enumerate(zip([channels, *widths], widths, strict=False)):
        layers += [
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
        if index < 3:
            layers.append(nn.MaxPool2d(2))
    layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten()]
    return nn.Sequential(*layers), widths[-1] * 16


def _resnet18(config: EncoderConfig, channels: int) -> tuple[nn.Module, int]:
    from torchvision.models import (
        resnet18,
    )  # takes seconds to import, and the default encoder does not need it

    body = resnet18(weights=None)
    features = body.fc.in_features
    body.fc = nn.Identity()
    body.conv1 = _with_channels(body.conv1, channels)
    return body, features


def _mobilenet_v3(config: EncoderConfig, channels: int) -> tuple[nn.Module, int]:
    from torchvision.models import mobilenet_v3_small

    body = mobilenet_v3_small(weights=None)
    features = body.classifier[0].in_features
    body.classifier = nn.Identity()
    body.features[0][0] = _with_channels(body.features[0][0], channels)
    return body, features


def _with_channels(conv: nn.Conv2d, channels: int) -> nn.Conv2d:
    if conv.in_channels == channels:
        return conv
    return nn.Conv2d(
        channels,
        conv.out_channels,
        kernel_size=(conv.kernel_size[0], conv.kernel_size[1]),
        stride=(conv.stride[0], conv.stride[1]),
        padding=(int(conv.padding[0]), int(conv.padding[1])),
        bias=False,
    )


_BODIES = {"convnet": _convnet, "resnet18": _resnet18, "mobilenet_v3": _mobilenet_v3}
