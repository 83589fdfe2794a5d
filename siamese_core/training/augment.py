"""Augmentation of a whole batch on the device that trains: one affine and elastic warp, then light and contrast.

The random numbers come from the host and travel with the batch, so that a seed gives the same changes on every
device and nothing on the device waits for the host.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from siamese_core.config import AugmentConfig

_ELASTIC_GRID = 4  # control points a side; few, so that strokes bend and do not tear
_NUMBERS = 8  # a column a change: rotation, scale, shear, shift x and y, mirror, brightness, contrast


def draw_changes(batch: int, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Draw the random numbers for one batch: (B, n) float32, uniform between 0 and 1."""
    columns = _NUMBERS + (2 * _ELASTIC_GRID**2 if config.elastic > 0 else 0)
    return torch.rand(batch, columns, generator=generator)


def augment(images: Tensor, changes: Tensor, config: AugmentConfig, symmetries: Tensor | None = None) -> Tensor:
    """Change each image of a batch.

    Args:
        images: (B, C, H, W) float, 0 to 255.
        changes: (B, n) from `draw_changes`, on the same device.
        config: Strength of each change.
        symmetries: (B,) symmetries of the square, 0 to 7, that come first: s % 4 quarter turns, and from 4 on a
            mirror image.

    Returns:
        (B, C, H, W) float, 0 to 255.
    """
    grid = F.affine_grid(_affine(changes, config, symmetries), list(images.shape), align_corners=False)  # (B, H, W, 2)
    if config.elastic > 0:
        grid = grid + _elastic(changes[:, _NUMBERS:], images.shape[-2:], config.elastic)
    # Border padding: what moves in from outside continues the background, whatever its colour.
    warped = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return _photometric(warped, changes, config)


def _affine(changes: Tensor, config: AugmentConfig, symmetries: Tensor | None) -> Tensor:
    """(B, 2, 3) matrices from output to input coordinates, both -1 to 1."""
    signed = 2 * changes - 1
    angle = signed[:, 0] * math.radians(config.rotation)
    scale = 1 + signed[:, 1] * config.scale
    shear = signed[:, 2] * config.shear
    shift_x, shift_y = (2 * config.shift * signed[:, 3:5]).unbind(1)
    mirror = torch.where(changes[:, 5] < 0.5 * config.flip, -1.0, 1.0)
    if symmetries is not None:
        angle = angle + (symmetries % 4) * (math.pi / 2)
        mirror = torch.where(symmetries >= 4, -mirror, mirror)
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    rows = [cos * mirror, cos * shear - sin, shift_x, sin * mirror, sin * shear + cos, shift_y]
    return torch.stack(rows, dim=1).view(-1, 2, 3)


def _elastic(changes: Tensor, size: torch.Size, strength: float) -> Tensor:
    """(B, H, W, 2) smooth displacements, from a coarse grid of random ones."""
    coarse = (2 * strength) * (2 * changes - 1).view(-1, 2, _ELASTIC_GRID, _ELASTIC_GRID)
    return F.interpolate(coarse, list(size), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)


def _photometric(images: Tensor, changes: Tensor, config: AugmentConfig) -> Tensor:
    signed = (2 * changes - 1)[:, :, None, None, None]  # (B, n, 1, 1, 1)
    brightness = 255 * config.brightness * signed[:, 6]
    contrast = 1 + config.contrast * signed[:, 7]
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return ((images - mean) * contrast + mean + brightness).clamp(0, 255)
