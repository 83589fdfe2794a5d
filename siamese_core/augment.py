"""Augmentation of a whole batch on the device that trains: one affine and elastic warp, then light and contrast."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from siamese_core.config import AugmentConfig

_ELASTIC_GRID = 4  # control points a side; few, so that strokes bend and do not tear


def augment(images: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Changes each image of a batch at random.

    Args:
        images: (B, C, H, W) float, 0 to 255.
        config: How much.
        generator: Source of all random numbers (CPU), so that a seed gives the same batch on every device.

    Returns:
        (B, C, H, W) float, 0 to 255.
    """
    batch = len(images)
    grid = F.affine_grid(_affine(batch, config, generator).to(images.device), list(images.shape), align_corners=False)
    if config.elastic > 0:
        grid = grid + _elastic(batch, images.shape[-2:], config.elastic, generator, images.device)
    # Border padding: what moves in from outside continues the background, whatever its colour.
    warped = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return _photometric(warped, config, generator)


def _affine(batch: int, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """(B, 2, 3) matrices from output to input coordinates, both -1 to 1."""
    angle = _uniform(batch, math.radians(config.rotation), generator)
    scale = 1 + _uniform(batch, config.scale, generator)
    shear = _uniform(batch, config.shear, generator)
    mirror = torch.where(torch.rand(batch, generator=generator) < 0.5 * config.flip, -1.0, 1.0)
    shift_x, shift_y = (2 * _uniform(batch, config.shift, generator) for _ in "xy")
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    rows = [cos * mirror, cos * shear - sin, shift_x, sin * mirror, sin * shear + cos, shift_y]
    return torch.stack(rows, dim=1).view(batch, 2, 3)


def _elastic(batch: int, size: torch.Size, strength: float, generator: torch.Generator, device: torch.device) -> Tensor:
    """(B, H, W, 2) smooth displacements, from a coarse grid of random ones."""
    coarse = torch.rand(batch, 2, _ELASTIC_GRID, _ELASTIC_GRID, generator=generator) * 2 - 1
    coarse = (2 * strength * coarse).to(device)
    return F.interpolate(coarse, list(size), mode="bicubic", align_corners=True).permute(0, 2, 3, 1)


def _photometric(images: Tensor, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    batch, device = len(images), images.device
    brightness = (255 * _uniform(batch, config.brightness, generator)).view(-1, 1, 1, 1).to(device)
    contrast = (1 + _uniform(batch, config.contrast, generator)).view(-1, 1, 1, 1).to(device)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return ((images - mean) * contrast + mean + brightness).clamp(0, 255)


def _uniform(batch: int, limit: float, generator: torch.Generator) -> Tensor:
    """(B,) uniform between -limit and limit."""
    return (torch.rand(batch, generator=generator) * 2 - 1) * limit
