"""Weights from a local checkpoint: read without running any code, matched by name and shape, and accounted for."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from siamese_core.artifact import hash_file
from siamese_core.errors import ModelError, first_line

# Trainers wrap a state dict in one of these; DDP, torch.compile and models with a head put prefixes before names.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
_PREFIXES = re.compile(r"^(?:(?:module|_orig_mod|model|backbone|encoder|body)\.)+")
# Batch norms count batches, and nothing reads the count: it must not pass for a weight that fits.
_COUNTER = "num_batches_tracked"
_SHOWN = 5


@dataclass(frozen=True)
class WeightsReport:
    """Account of the tensors that a checkpoint gave to a network, by their names in the network.

    Attributes:
        path: The file.
        sha256: Hash of its bytes, in hex.
        matched: Tensors of the network that it filled.
        missing: Tensors of the network that it does not have; they keep their values.
        unexpected: Tensors of the file that the network does not have; they are not used.
        wrong_shape: Tensors that both have, in different shapes, as `name (shape in the file, not shape here)`;
            they keep their values.
        grey_from_rgb: Those of the matched whose kernels were summed over the file's three input channels.
    """

    path: Path
    sha256: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong_shape: tuple[str, ...]
    grey_from_rgb: tuple[str, ...]

    def __str__(self) -> str:
        """One line, and one more for each kind of difference that there is."""
        total = len(self.matched) + len(self.missing) + len(self.wrong_shape)
        lines = [f"encoder: {len(self.matched)} of {total} tensors from {self.path}, sha256 {self.sha256}"]
        kinds = {
            "missing, left as they were": self.missing,
            "unexpected, not used": self.unexpected,
            "of another shape, left as they were": self.wrong_shape,
            "rgb kernels summed for grey images": self.grey_from_rgb,
        }
        lines += [f"  {len(names)} {kind}: {_some(names)}" for kind, names in kinds.items() if names]
        return "\n".join(lines)


def load_weights(network: nn.Module, path: Path) -> WeightsReport:
    """Load the tensors that fit by name and shape.

    Understands a state dict alone or inside `state_dict`, `model_state_dict`, `model` or `net`, and names that begin
    with `module.`, `_orig_mod.`, `model.`, `backbone.`, `encoder.` or `body.`, in any combination. A kernel for rgb
    images is summed over its input channels where the network reads grey ones: the same answer as the rgb network
    gives for the grey image in all three channels.

    Args:
        network: Changed in place.
        path: `.safetensors`, or a file of `torch.save`, read with `weights_only`.

    Returns:
        An account of what fitted and what did not.

    Raises:
        ModelError: The file is missing, damaged, holds Python objects or two values of a name, nothing in it fits, or
            a value is not finite.
    """
    if not path.is_file():
        raise ModelError(f"encoder.weights_file {path} does not exist.")
    state = _by_plain_name(_unwrap(_read(path), path), path)
    own = {name: value for name, value in network.state_dict().items() if not name.endswith(_COUNTER)}
    grey = [name for name, value in state.items() if name in own and _reads(value, 3, own[name], 1)]
    state |= {name: state[name].sum(dim=1, keepdim=True) for name in grey}
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    if not fitting:
        raise ModelError(
            f"encoder.weights_file {path} has no weight whose name and shape fit this encoder: it has "
            f"{_some(list(state))}; the encoder has {_some(list(own))}. Check encoder.architecture, width and depth."
        )
    check_finite(fitting, path)
    network.load_state_dict(fitting, strict=False)
    return WeightsReport(
        path=path,
        sha256=hash_file(path).hex(),
        matched=tuple(fitting),
        missing=tuple(name for name in own if name not in state),
        unexpected=tuple(name for name in state if name not in own),
        wrong_shape=tuple(
            _shapes(name, state[name], own[name]) for name in own if name in state and name not in fitting
        ),
        grey_from_rgb=tuple(grey),
    )


def check_finite(state: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights that hold NaN or infinity: every distance would be "different".

    Raises:
        ModelError: The message names the tensors.
    """
    bad = [name for name, value in state.items() if not bool(torch.isfinite(value).all())]
    if bad:
        raise ModelError(f"{path} holds values that are not finite numbers, in {_some(bad)}: use another copy of it.")


def _read(path: Path) -> Any:
    """The content of the file; code in it is never run."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        _refuse_bombs(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"encoder.weights_file {path} is damaged or holds Python objects, which could run code and are refused. "
            "Save its weights alone, with torch.save(model.state_dict(), …) or as .safetensors."
        ) from error
    except ModelError:
        raise
    except Exception as error:  # a damaged file raises many types
        raise ModelError(
            f"encoder.weights_file {path} is damaged, or not what its suffix says: {first_line(error)}"
        ) from error


def _refuse_bombs(path: Path) -> None:
    """Refuse an archive that unpacks to more than it is: PyTorch never compresses."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > path.stat().st_size:
        raise ModelError(
            f"encoder.weights_file {path} would unpack to {size:,} bytes from {path.stat().st_size:,}: it was not "
            "written by torch.save. Save its weights again, or as .safetensors."
        )


def _unwrap(content: Any, path: Path) -> Any:
    """The innermost state dict."""
    outer: set[int] = set()
    while isinstance(content, dict):
        if id(content) in outer:
            raise ModelError(
                f"encoder.weights_file {path} holds a dictionary that holds itself. Save its weights alone."
            )
        outer.add(id(content))
        inner = next((content[key] for key in _WRAPPERS if isinstance(content.get(key), dict)), None)
        if inner is None:
            break
        content = inner
    return content


def _by_plain_name(content: Any, path: Path) -> dict[str, Tensor]:
    """The tensors by their names without prefixes; what is no tensor (an epoch, say) is left out."""
    items = content.items() if isinstance(content, dict) else ()
    state: dict[str, Tensor] = {}
    for name, value in items:
        if not isinstance(value, Tensor) or str(name).endswith(_COUNTER):
            continue
        plain = _PREFIXES.sub("", str(name))
        if plain in state:
            raise ModelError(f"encoder.weights_file {path} holds two networks: {plain} is in it twice. Save one alone.")
        state[plain] = value
    if not state:
        raise ModelError(f"encoder.weights_file {path} is not a state dict: it holds no tensors by name.")
    return state


def _reads(value: Tensor, channels: int, own: Tensor, own_channels: int) -> bool:
    """Tell whether these are the same kernels (out, in, h, w) but for so many input channels in the file and here."""
    if value.ndim != 4 or own.ndim != 4:
        return False
    same = value.shape[0] == own.shape[0] and value.shape[2:] == own.shape[2:]
    return same and value.shape[1] == channels and own.shape[1] == own_channels


def _shapes(name: str, value: Tensor, own: Tensor) -> str:
    why = ", it reads grey images" if _reads(value, 1, own, 3) else ""
    return f"{name} ({tuple(value.shape)} in the file{why}, not {tuple(own.shape)} here)"


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
