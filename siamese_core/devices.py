"""Where tensors are computed."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from siamese_core.errors import ConfigError, first_line


def choose_device(name: str) -> torch.device:
    """The device of a name; `auto` is a GPU where there is one.

    Raises:
        ConfigError: There is no such device on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"training.device {name!r} is not available here: {first_line(error)}") from error
    return device


def describe_device(device: torch.device) -> str:
    """A device in words."""
    if device.type == "cuda":
        return f"{device}, {torch.cuda.get_device_name(device)}"
    return "the CPU" if torch.cuda.is_available() else "the CPU: no GPU is visible"


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16; elsewhere it would be emulated, and slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not hasattr(torch.cpu, "get_capabilities"):  # older releases do not tell
        return False
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def send(values: npt.NDArray[Any] | Tensor, device: torch.device) -> Tensor:
    """An array of the host as a tensor on a device, without waiting for the device."""
    tensor = torch.as_tensor(values)
    if device.type == "cuda":
        tensor = tensor.pin_memory()  # from pageable memory the copy would wait
    return tensor.to(device, non_blocking=True)
