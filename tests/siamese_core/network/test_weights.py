import hashlib
import pickle
import zipfile
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import get_model

from siamese_core.config import EncoderConfig
from siamese_core.errors import ModelError
from siamese_core.network.encoders import Encoder, make_encoder
from siamese_core.network.weights import load_weights

SMALL = EncoderConfig("residual", embedding_dim=8, width=4)


def contiguous(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.contiguous() for name, value in module.state_dict().items()}


def save(content: Any, path: Path) -> Path:
    save_file(content, path) if path.suffix == ".safetensors" else torch.save(content, path)
    return path


def source(seed: int = 1, channels: int = 1) -> Encoder:
    return make_encoder(SMALL, channels, seed)


def loaded(path: Path, channels: int = 1, **changes: Any) -> Encoder:
    return make_encoder(replace(SMALL, weights_file=str(path), **changes), channels, seed=2)


def same_tensors(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    ("ours", "theirs", "classifier"),
    [
        ("resnet18", "resnet18", ("fc.weight", "fc.bias")),
        (
            "mobilenet_v3",
            "mobilenet_v3_small",
            tuple(f"classifier.{i}.{p}" for i in (0, 3) for p in ("weight", "bias")),
        ),
    ],
)
def test_torchvision_weights_fill_the_body_and_the_classifier_is_left_over(
    ours: str, theirs: str, classifier: tuple[str, ...], suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    torch.manual_seed(0)
    network = get_model(theirs, weights=None)
    path = save(contiguous(network), tmp_path / f"weights{suffix}")
    encoder = make_encoder(EncoderConfig(ours, weights_file=str(path)), 3, seed=2)  # type: ignore[arg-type]
    report = encoder.weights
    assert report is not None
    named = dict(encoder.body.named_parameters()) | dict(encoder.body.named_buffers())
    assert set(report.matched) == {name for name in named if not name.endswith("num_batches_tracked")}
    assert all(torch.equal(named[name], network.state_dict()[name]) for name in report.matched)
    assert set(report.unexpected) == set(classifier)
    assert (report.missing, report.wrong_shape, report.grey_from_rgb) == ((), (), ())
    assert report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    printed = caplog.text
    assert report.sha256 in printed
    assert f"{len(classifier)} unexpected, not used: " in printed
    assert all(name in printed for name in classifier)
    assert "missing" not in printed


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "backbone.", "encoder.", "body.", "module._orig_mod.body."]
)
@pytest.mark.parametrize("wrapper", [(), ("state_dict",), ("model",), ("net", "model_state_dict")])
def test_prefixes_and_wrappers_are_understood(prefix: str, wrapper: tuple[str, ...], tmp_path: Path) -> None:
    content: Any = OrderedDict((prefix + name, value) for name, value in contiguous(source().body).items())
    for key in wrapper:
        content = {key: content, "epoch": 3, "optimizer": {"lr": [0.1], "momentum": torch.zeros(2)}}
    encoder = loaded(save(content, tmp_path / "checkpoint.pth"))
    assert same_tensors(source().body, encoder.body)
    assert encoder.weights is not None
    assert encoder.weights.unexpected == ()


def test_an_encoder_of_ours_gives_its_body(tmp_path: Path) -> None:
    encoder = loaded(save(contiguous(source()), tmp_path / "encoder.safetensors"))
    assert same_tensors(source().body, encoder.body)
    assert encoder.weights is not None
    assert set(encoder.weights.unexpected) == {"head.weight", "head.bias"}


def test_what_does_not_fit_is_named_first_five_and_a_count(tmp_path: Path) -> None:
    state = contiguous(source().body)
    fresh = make_encoder(SMALL, 1, seed=2).body.state_dict()
    gone = [name for name in state if name.startswith(("4.", "5.")) and not name.endswith("num_batches_tracked")]
    for name in gone:
        del state[name]
    state["6.conv2.weight"] = torch.zeros(3, 3)
    state["extra.weight"] = torch.zeros(1)
    encoder = loaded(save(state, tmp_path / "part.pt"))
    report = encoder.weights
    assert report is not None
    assert list(report.missing) == gone
    assert report.wrong_shape == ("6.conv2.weight ((3, 3) in the file, not (16, 16, 3, 3) here)",)
    assert report.unexpected == ("extra.weight",)
    untouched = [*gone, "6.conv2.weight"]
    own = encoder.body.state_dict()
    assert all(torch.equal(own[name], fresh[name]) for name in untouched)
    assert all(torch.equal(own[name], state[name]) for name in report.matched)
    assert f"{len(gone)} missing, left as they were: {', '.join(gone[:5])} and {len(gone) - 5} more" in str(report)
    assert gone[5] not in str(report)


@pytest.mark.parametrize("architecture", ["residual", "mobilenet_v3"])
def test_rgb_kernels_are_summed_for_grey_images_and_give_the_same_embedding(architecture: str, tmp_path: Path) -> None:
    config = EncoderConfig(architecture, embedding_dim=8, width=4)  # type: ignore[arg-type]
    rgb = make_encoder(config, 3, seed=1).eval()
    path = save(contiguous(rgb.body), tmp_path / "rgb.safetensors")
    grey = make_encoder(replace(config, weights_file=str(path)), 1, seed=2).eval()
    grey.head.load_state_dict(rgb.head.state_dict())
    images = torch.randint(0, 256, (3, 1, 24, 24), dtype=torch.uint8)
    torch.testing.assert_close(grey(images), rgb(images.expand(-1, 3, -1, -1)), atol=1e-4, rtol=0)
    assert grey.weights is not None
    assert len(grey.weights.grey_from_rgb) == 1
    assert "1 rgb kernels summed for grey images" in str(grey.weights)


def test_grey_kernels_for_rgb_images_stay_fresh_and_it_says_why(tmp_path: Path) -> None:
    encoder = loaded(save(contiguous(source().body), tmp_path / "grey.pt"), channels=3)
    assert encoder.weights is not None
    expected = "0.weight ((4, 1, 3, 3) in the file, it reads grey images, not (4, 3, 3, 3) here)"
    assert encoder.weights.wrong_shape == (expected,)
    assert torch.equal(encoder.body[0].weight, make_encoder(SMALL, 3, seed=2).body[0].weight)


def test_half_precision_weights_become_float32(tmp_path: Path) -> None:
    state = {name: value.bfloat16() for name, value in contiguous(source().body).items()}
    encoder = loaded(save(state, tmp_path / "half.safetensors"))
    assert {value.dtype for value in encoder.parameters()} == {torch.float32}
    assert torch.equal(encoder.body[0].weight, source().body[0].weight.bfloat16().float())


def test_a_frozen_body_must_be_in_the_file_as_a_whole(tmp_path: Path) -> None:
    state = contiguous(source().body)
    whole = save({n: v for n, v in state.items() if not n.endswith("num_batches_tracked")}, tmp_path / "whole.pt")
    assert same_tensors(source().body, loaded(whole, freeze="body").body)
    del state["4.conv1.weight"]
    part = save(state, tmp_path / "part.pt")
    with pytest.raises(ModelError, match=r"freeze is 'body', but 1 of its tensors .* such as 4\.conv1\.weight"):
        loaded(part, freeze="body")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.95])
def test_a_truncated_file_is_refused_by_name(suffix: str, share: float, tmp_path: Path) -> None:
    path = save(contiguous(source().body), tmp_path / f"weights{suffix}")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelError, match=rf"weights{suffix} is damaged"):
        loaded(path)


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".safetensors"])
def test_code_in_a_file_is_never_run(writer: str, suffix: str, tmp_path: Path) -> None:
    path, target = tmp_path / f"weights{suffix}", tmp_path / "ran"
    content = {"state_dict": contiguous(source().body), "args": Bomb(target)}
    if writer == "torch":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(ModelError, match=r"refused|damaged"):
        loaded(path)
    assert not target.exists()


def test_a_whole_pickled_network_is_refused_with_the_way_out(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "network.pt")
    with pytest.raises(ModelError, match=r"network\.pt .* could run code and are refused\. Save its weights alone"):
        loaded(tmp_path / "network.pt")


def test_files_that_cannot_help_are_refused(tmp_path: Path) -> None:
    body = source().body
    with pytest.raises(ModelError, match="does not exist"):
        load_weights(body, tmp_path / "no.pt")
    foreign = save({"other": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(
        ModelError, match=r"no weight whose name and shape fit this encoder: it has other; .* 0\.weight"
    ):
        load_weights(body, foreign)
    for content in ([torch.zeros(1)], torch.zeros(1), {"epoch": 3}, {"state_dict": {}}):
        with pytest.raises(ModelError, match="holds no tensors by name"):
            load_weights(body, save(content, tmp_path / "list.pt"))
    state = contiguous(body)
    two = {f"module.{name}": value for name, value in state.items()} | state
    with pytest.raises(ModelError, match=r"holds two networks: 0\.weight is in it twice"):
        load_weights(body, save(two, tmp_path / "two.pt"))


def test_another_width_fits_nowhere_although_the_names_and_the_counters_do(tmp_path: Path) -> None:
    wide = make_encoder(replace(SMALL, width=8), 1, seed=0)
    with pytest.raises(ModelError, match=r"Check encoder\.architecture, width and depth"):
        loaded(save(contiguous(wide.body), tmp_path / "wide.pt"))


@pytest.mark.parametrize("way", [("model",), ("state_dict", "net"), ("net", "net", "model")])
def test_a_dictionary_that_holds_itself_is_refused(way: tuple[str, ...], tmp_path: Path) -> None:
    """Content whose innermost state dict is never reached."""
    content: dict[str, Any] = {"epoch": 3}
    inner = content
    for name in way[:-1]:
        inner = inner.setdefault(name, {})
    inner[way[-1]] = content
    with pytest.raises(ModelError, match="holds a dictionary that holds itself"):
        loaded(save(content, tmp_path / "loop.pt"))


@pytest.mark.parametrize("content", [[], {}, {"weights": []}], ids=["list", "dict", "list inside"])
def test_other_content_that_holds_itself_is_no_state_dict(content: Any, tmp_path: Path) -> None:
    inner = content["weights"] if content else content
    inner.append(content) if isinstance(inner, list) else inner.update(more=content)
    with pytest.raises(ModelError, match="is not a state dict"):
        loaded(save(content, tmp_path / "loop.pt"))


def test_an_archive_that_unpacks_to_more_than_it_is_is_refused(tmp_path: Path) -> None:
    small = save({"weight": torch.zeros(1_000_000)}, tmp_path / "honest.pt")
    with zipfile.ZipFile(small) as honest, zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
        for name in honest.namelist():
            bomb.writestr(name, honest.read(name))
    assert (tmp_path / "bomb.pt").stat().st_size < 20_000
    with pytest.raises(ModelError, match=r"bomb\.pt would unpack to 4,\d+,\d+ bytes"):
        loaded(tmp_path / "bomb.pt")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_one_value_that_is_not_finite_is_refused(value: float, suffix: str, tmp_path: Path) -> None:
    state = contiguous(source())
    name = next(name for name in state if name.endswith("weight"))
    state[name].view(-1)[0] = value
    with pytest.raises(ModelError, match=r"holds values that are not finite numbers, in \S+weight:"):
        loaded(save(state, tmp_path / f"weights{suffix}"))
