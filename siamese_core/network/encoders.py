"""Encoders: the network f that both towers of the Siamese network share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from siamese_core.config import EncoderConfig
from siamese_core.errors import ModelError
from siamese_core.network.weights import WeightsReport, load_weights

logger = logging.getLogger(__name__)

Weights = dict[str, Tensor]
"""The tensors of a network by name."""


class Encoder(nn.Module):
    """f: images to unit vectors.

    Takes uint8 or float images in 0…255 and standardises each by its own mean and deviation, so that the same
    preprocessing is part of training, calibration and serving. So is averaging over views of an image
    (`config.test_time`), which happens outside training.

    Attributes:
        config: Architecture and sizes.
        channels: 1 for grey images, 3 for rgb.
        body: Images (B, C, H, W) to features (B, F).
        head: Features to embeddings that are not yet of length 1.
        weights: Report on the tensors that `config.weights_file` gave to the body; None if no file is named.
    """

    def __init__(self, config: EncoderConfig, channels: int) -> None:
        """Build the network with fresh weights, then load `config.weights_file` into the body if one is named.

        Args:
            config: Architecture and sizes.
            channels: 1 for grey images, 3 for rgb.

        Raises:
            ModelError: The weights file cannot be read or shares no weight with this network, or the body is frozen
                and not all of it is in the file.
        """
        super().__init__()
        self.config = config
        self.channels = channels
        self.body, features = _BODIES[config.architecture](config, channels)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(features, config.embedding_dim)
        self.weights = self._load(Path(config.weights_file)) if config.weights_file else None
        self.body.requires_grad_(config.freeze != "body")
        self.train()

    def forward(self, images: Tensor) -> Tensor:
        """Embed images.

        Args:
            images: (B, C, H, W) uint8 or float, 0 to 255.

        Returns:
            (B, D) float32 of length 1.
        """
        if self.training or self.config.test_time == "none":
            return self._embed(images)
        views = _VIEWS[self.config.test_time](images)
        total = torch.stack([self._embed(view) for view in views]).sum(dim=0)  # (B, D)
        return F.normalize(total, dim=1)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all but a frozen body, which stays in evaluation mode."""
        super().train(mode)
        if self.config.freeze == "body":
            self.body.eval()  # batch norms use their statistics, and do not change them
        return self

    def _embed(self, images: Tensor) -> Tensor:
        features = self.dropout(self.body(standardise(images)))  # (B, F)
        return F.normalize(self.head(features).float(), dim=1)  # (B, D)

    def _load(self, path: Path) -> WeightsReport:
        report = load_weights(self.body, path)
        logger.info(report)
        unfilled = report.missing + report.wrong_shape
        if self.config.freeze == "body" and unfilled:
            raise ModelError(
                f"encoder.freeze is 'body', but {len(unfilled)} of its tensors are not in {path} and would stay random "
                f"for good, such as {unfilled[0]}. Name a file with all of them, or set encoder.freeze to none."
            )
        return report


def standardise(images: Tensor) -> Tensor:
    """Each image to mean 0 and deviation 1, over all its channels; a blank image to zeros.

    Args:
        images: (B, C, H, W) uint8 or float, 0 to 255.

    Returns:
        (B, C, H, W) float, channels last in memory (faster convolutions).
    """
    images = images.float()
    deviation, mean = torch.std_mean(images, dim=(1, 2, 3), keepdim=True, correction=0)
    return ((images - mean) / (deviation + 1.0)).contiguous(memory_format=torch.channels_last)


def make_encoder(config: EncoderConfig, channels: int, seed: int) -> Encoder:
    """A fresh encoder whose weights follow from the seed alone; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(config, channels)
    return encoder.to(memory_format=torch.channels_last)


def trainable_parameters(encoder: nn.Module) -> list[nn.Parameter]:
    """The parameters that an optimizer changes: all but the frozen ones."""
    return [parameter for parameter in encoder.parameters() if parameter.requires_grad]


def _flips(images: Tensor) -> list[Tensor]:
    """The images and their mirror images, each (B, C, H, W)."""
    return [images, images.flip(-1)]


def _shifts(images: Tensor) -> list[Tensor]:
    """The images, and the images moved by 1/32 of their side (at least a pixel) each way, each (B, C, H, W)."""
    down, right = (max(1, round(side / 32)) for side in images.shape[-2:])
    moves = [(0, 0), (down, 0), (-down, 0), (0, right), (0, -right)]
    return [_shifted(images, rows, columns) for rows, columns in moves]


def _shifted(images: Tensor, down: int, right: int) -> Tensor:
    """Moved images; the border is repeated, so that what moves in continues the background."""
    height, width = images.shape[-2:]
    rows = (torch.arange(height, device=images.device) - down).clamp(0, height - 1)
    columns = (torch.arange(width, device=images.device) - right).clamp(0, width - 1)
    return images[:, :, rows[:, None], columns]


_VIEWS: dict[str, Callable[[Tensor], list[Tensor]]] = {"flip": _flips, "shifts": _shifts}


def _convnet(config: EncoderConfig, channels: int) -> tuple[nn.Module, int]:
    """Four convolutions, three halvings, and a 4×4 map: at any size the layout of the image is kept.

    An image is halved before it is normalised, on a quarter of the numbers; and the first layer, whose maps are the
    largest, is narrow. Both cost nothing in quality and together make a step twice as fast (docs/experiments.md).
    With a depth above 1 residual blocks follow the second and the third halving, where maps are small.
    """
    widths = [max(1, config.width // 2), 2 * config.width, 4 * config.width, 4 * config.width]
    layers: list[nn.Module] = []
    for index, (before, after) in enumerate(zip([channels, *widths], widths, strict=False)):
        layers.append(nn.Conv2d(before, after, 3, padding=1, bias=False))
        if index < 3:
            layers.append(nn.MaxPool2d(2))
        layers += [nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        if index in (1, 2):
            layers += [_Block(after, after, 1) for _ in range(config.depth - 1)]
    layers += [nn.AdaptiveAvgPool2d(4), nn.Flatten()]
    return nn.Sequential(*layers), widths[-1] * 16


class _Block(nn.Module):
    """Two 3×3 convolutions around a shortcut (He et al., 2016, "Deep residual learning", fig. 5 left).

    A block that halves the image averages 2×2 pixels in its shortcut, where a strided 1×1 convolution would skip
    three of four (He et al., 2019, "Bag of tricks", ResNet-D). The last scale starts at zero, so that each block
    starts as its shortcut (Goyal et al., 2017, section 5.1).
    """

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(after)
        nn.init.zeros_(self.norm2.weight)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.append(nn.AvgPool2d(stride, ceil_mode=True))  # as large as the strided convolution's
        if before != after:
            self.shortcut.extend([nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after)])

    def forward(self, images: Tensor) -> Tensor:
        """(B, before, H, W) to (B, after, ⌈H / stride⌉, ⌈W / stride⌉)."""
        inner = F.relu(self.norm1(self.conv1(images)), inplace=True)
        return F.relu(self.norm2(self.conv2(inner)) + self.shortcut(images), inplace=True)


def _residual(config: EncoderConfig, channels: int) -> tuple[nn.Module, int]:
    """A 3×3 stem, four stages of residual blocks, three halvings, and a 4×4 map as in `_convnet`.

    With the default width, depth and embedding the encoder has 864,480 parameters for grey images.
    """
    widths = [config.width, 2 * config.width, 4 * config.width, 4 * config.width]
    layers: list[nn.Module] = [
        nn.Conv2d(channels, config.width, 3, padding=1, bias=False),
        nn.BatchNorm2d(config.width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    ]
    before = config.width
    for after, stride in zip(widths, [1, 2, 2, 1], strict=True):
        layers.append(_Block(before, after, stride))
        layers += [_Block(after, after, 1) for _ in range(config.depth - 1)]
        before = after
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten()), before * 16


def _resnet(config: EncoderConfig, channels: int) -> tuple[nn.Module, int]:
    from torchvision.models import get_model  # takes seconds to import, and the default encoder does not need it

    body = get_model(config.architecture, weights=None)
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
    side = conv.kernel_size[0]  # all these backbones begin with a strided convolution of odd side
    return nn.Conv2d(channels, conv.out_channels, side, stride=2, padding=side // 2, bias=False)


_BODIES: dict[str, Callable[[EncoderConfig, int], tuple[nn.Module, int]]] = {
    "convnet": _convnet,
    "residual": _residual,
    "resnet18": _resnet,
    "resnet50": _resnet,
    "mobilenet_v3": _mobilenet_v3,
}
