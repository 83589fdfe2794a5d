import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from siamese_core.config import EncoderConfig, ImageConfig
from siamese_core.errors import ConfigError
from siamese_core.network.embedding import embed
from siamese_core.network.encoders import Encoder, make_encoder, standardise, trainable_parameters
from siamese_core.network.trained import TrainedEncoder

SMALL = EncoderConfig("residual", embedding_dim=8, width=4)
RESIDUAL_32 = 864_480  # as the docstring of `_residual` says


def pictures(count: int, channels: int, size: int, seed: int = 0) -> Tensor:
    """(count, channels, size, size) uint8 noise."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, size, size), dtype=torch.uint8, generator=generator)


def state_copy(module: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def trained_a_little(encoder: Encoder) -> Encoder:
    """Two optimisation steps: batch norms have statistics, and no scale is zero any more."""
    optimizer = torch.optim.SGD(trainable_parameters(encoder), lr=0.1, weight_decay=0.1)
    for seed in range(2):
        encoder.train()
        embeddings = encoder(pictures(8, encoder.channels, 16, seed))
        loss = (embeddings @ embeddings.T).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return encoder


@pytest.mark.parametrize("architecture", ["convnet", "residual", "resnet18", "resnet50", "mobilenet_v3"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_encoder_gives_unit_vectors_for_grey_and_rgb_at_any_size(architecture: str, channels: int) -> None:
    encoder = make_encoder(EncoderConfig(architecture, embedding_dim=24, width=8), channels, seed=0)  # type: ignore[arg-type]
    for size, training in ((16, True), (33, False), (64, True), (112, False)):
        with torch.no_grad():
            embeddings = encoder.train(training)(pictures(2, channels, size))
        assert embeddings.shape == (2, 24)
        assert embeddings.dtype == torch.float32
        torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))


def test_the_residual_net_is_as_large_as_its_docstring_says_and_grows_with_depth_and_width() -> None:
    def parameters(config: EncoderConfig) -> int:
        return sum(value.numel() for value in make_encoder(config, 1, 0).parameters())

    def counted(width: int, depth: int) -> int:
        """The sum over the layers of the architecture, by hand."""
        widths = [width, width, 2 * width, 4 * width, 4 * width]  # of the stem and the stages
        total = 9 * width + 2 * width
        for before, after in pairwise(widths):
            total += 9 * before * after + 9 * after * after + 4 * after
            total += (before * after + 2 * after) if before != after else 0
            total += (depth - 1) * (18 * after * after + 4 * after)
        return total + 128 * (16 * 4 * width + 1)

    assert parameters(EncoderConfig("residual")) == RESIDUAL_32 == counted(32, 1)
    assert parameters(EncoderConfig("residual", width=24, depth=3)) == counted(24, 3)


def test_a_deep_convnet_has_residual_blocks_after_its_second_and_third_halving() -> None:
    shallow, deep = (make_encoder(EncoderConfig(width=8, depth=depth), 1, seed=0) for depth in (1, 3))
    added = sum(value.numel() for value in deep.parameters()) - sum(value.numel() for value in shallow.parameters())
    assert added == sum(2 * (18 * width * width + 4 * width) for width in (16, 32))
    sizes = [
        layer(torch.rand(1, layer.conv1.in_channels, 8, 8)).shape for layer in deep.body if hasattr(layer, "conv1")
    ]
    assert [size[1] for size in sizes] == [16, 16, 32, 32]


def test_a_fresh_residual_block_is_its_shortcut_and_a_trained_one_is_not() -> None:
    encoder = make_encoder(replace(SMALL, depth=2), 1, seed=0)
    block = encoder.body[5]
    assert isinstance(block.shortcut, torch.nn.Sequential)
    assert len(block.shortcut) == 0
    features = torch.rand(2, 4, 8, 8)
    torch.testing.assert_close(block.eval()(features), features)
    trained_a_little(encoder)
    assert (block.eval()(features) - features).abs().max() > 1e-4


def test_a_block_is_the_textbook_formula() -> None:
    encoder = trained_a_little(make_encoder(SMALL, 1, seed=0)).eval()
    block, features = encoder.body[5], torch.rand(2, 4, 7, 9)  # the first that halves, at odd sizes too
    weights = block.state_dict()

    def norm(name: str, x: Tensor) -> Tensor:
        mean, variance, scale, shift = (
            weights[f"{name}.{part}"].view(1, -1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (variance + 1e-5).sqrt() * scale + shift

    inner = norm("norm1", F.conv2d(features, weights["conv1.weight"], stride=2, padding=1)).relu()
    inner = norm("norm2", F.conv2d(inner, weights["conv2.weight"], padding=1))
    means = torch.zeros(2, 4, 4, 5)
    for row in range(4):
        for column in range(5):
            patch = features[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            means[:, :, row, column] = patch.mean(dim=(2, 3))
    expected = (inner + norm("shortcut.2", F.conv2d(means, weights["shortcut.1.weight"]))).relu()
    torch.testing.assert_close(block(features), expected, atol=1e-5, rtol=1e-4)


def test_the_seed_gives_the_weights_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    a, b, c = (make_encoder(SMALL, 1, seed).state_dict() for seed in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], c[name]) for name in a)


def test_both_towers_are_one_network() -> None:
    encoder = make_encoder(EncoderConfig(width=4, embedding_dim=8), 1, seed=0).eval()
    image = torch.randint(0, 256, (1, 1, 16, 16), dtype=torch.uint8)
    torch.testing.assert_close(encoder(torch.cat([image, image]))[0], encoder(image)[0])


def test_standardise_removes_light_and_survives_blank_images() -> None:
    image = torch.rand(1, 1, 8, 8) * 100
    torch.testing.assert_close(standardise(image), standardise(image + 90), atol=1e-4, rtol=0)
    blank = standardise(torch.full((1, 3, 4, 4), 200, dtype=torch.uint8))
    assert (blank == 0).all()


def test_embedding_in_batches_is_embedding_at_once_and_keeps_the_mode() -> None:
    encoder = make_encoder(EncoderConfig(width=4, embedding_dim=8), 1, seed=0).train()
    images = np.random.default_rng(0).integers(0, 256, (10, 16, 16, 1), dtype=np.uint8)
    whole = embed(encoder, images)
    np.testing.assert_allclose(embed(encoder, images, batch_size=3), whole, atol=1e-6)
    np.testing.assert_allclose(embed(encoder, images, np.array([7, 2])), whole[[7, 2]], atol=1e-6)
    assert embed(encoder, images, np.array([], np.int64)).shape == (0, 8)
    assert encoder.training


@settings(max_examples=20, deadline=None)
@given(contrast=st.floats(0.5, 1.0), brightness=st.floats(0, 60), seed=st.integers(0, 100))
@pytest.mark.parametrize("channels", [1, 3])
def test_the_embedding_ignores_the_light(contrast: float, brightness: float, seed: int, channels: int) -> None:
    encoder = _light_encoder(channels)
    images = pictures(2, channels, 16, seed).float() * 0.75
    with torch.inference_mode():
        plain = encoder(images)
        torch.testing.assert_close(encoder(images + brightness), plain, atol=1e-4, rtol=0)
        # Not exactly: the deviation is kept from zero by adding 1 of 255.
        torch.testing.assert_close(encoder(images * contrast), plain, atol=0.04, rtol=0)


@cache
def _light_encoder(channels: int) -> Encoder:
    return trained_a_little(make_encoder(SMALL, channels, seed=0)).eval()


@pytest.mark.parametrize("test_time", ["none", "flip", "shifts"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_bytes_and_floats_of_the_same_picture_have_the_same_embedding(test_time: str, dtype: torch.dtype) -> None:
    encoder = make_encoder(replace(SMALL, test_time=test_time), 3, seed=0).eval()  # type: ignore[arg-type]
    images = pictures(4, 3, 20)
    assert torch.equal(encoder(images), encoder(images.to(dtype)))


def test_embeddings_are_float32_under_bfloat16_autocast() -> None:
    for test_time in ("none", "flip", "shifts"):
        encoder = make_encoder(replace(SMALL, test_time=test_time), 1, seed=0)  # type: ignore[arg-type]
        for mode in (True, False):
            with torch.autocast("cpu", torch.bfloat16):
                embeddings = encoder.train(mode)(pictures(4, 1, 16))
            assert embeddings.dtype == torch.float32
            torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(4))


def test_flip_is_blind_to_mirroring_and_is_the_mean_of_both_views() -> None:
    plain = trained_a_little(make_encoder(SMALL, 1, seed=0)).eval()
    flipped = make_encoder(replace(SMALL, test_time="flip"), 1, seed=0).eval()
    flipped.load_state_dict(plain.state_dict())
    images = pictures(4, 1, 17)
    mirrored = torch.from_numpy(images.numpy()[..., ::-1].copy())
    expected = F.normalize((plain(images) + plain(mirrored)) / 2, dim=1)
    torch.testing.assert_close(flipped(images), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(flipped(mirrored), flipped(images), atol=1e-5, rtol=0)
    assert (plain(mirrored) - plain(images)).abs().max() > 1e-3


@pytest.mark.parametrize(("size", "step"), [(16, 1), (33, 1), (64, 2)])
def test_shifts_is_the_mean_over_five_places(size: int, step: int) -> None:
    plain = trained_a_little(make_encoder(SMALL, 3, seed=0)).eval()
    shifted = make_encoder(replace(SMALL, test_time="shifts"), 3, seed=0).eval()
    shifted.load_state_dict(plain.state_dict())
    images = pictures(2, 3, size)
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (step, step), (step, step)), mode="edge")
    places = [(step, step), (0, step), (2 * step, step), (step, 0), (step, 2 * step)]
    views = [padded[:, :, top : top + size, left : left + size].copy() for top, left in places]
    expected = F.normalize(torch.stack([plain(torch.from_numpy(view)) for view in views]).mean(dim=0), dim=1)
    torch.testing.assert_close(shifted(images), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("test_time", ["flip", "shifts"])
def test_views_are_averaged_outside_training_only(test_time: str) -> None:
    plain = make_encoder(SMALL, 1, seed=0)
    averaged = make_encoder(replace(SMALL, test_time=test_time), 1, seed=0)  # type: ignore[arg-type]
    images = pictures(4, 1, 16)
    assert torch.equal(averaged.train()(images), plain.train()(images))
    assert (averaged.eval()(images) - plain.eval()(images)).abs().max() > 1e-4


def test_dropout_acts_in_training_only() -> None:
    encoder = make_encoder(replace(SMALL, dropout=0.5), 1, seed=0)
    without = make_encoder(SMALL, 1, seed=0)
    images = pictures(4, 1, 16)
    assert (encoder.train()(images) - encoder(images)).abs().max() > 1e-3
    without.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder.eval()(images), without.eval()(images))


@pytest.mark.parametrize("architecture", ["residual", "mobilenet_v3"])
def test_a_frozen_body_keeps_its_weights_and_statistics_and_the_head_learns(architecture: str) -> None:
    frozen = make_encoder(EncoderConfig(architecture, 8, 4, freeze="body"), 1, seed=0)  # type: ignore[arg-type]
    assert not any(module.training for module in frozen.body.modules())
    before = state_copy(frozen)
    trained_a_little(frozen)
    after = frozen.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"head.weight", "head.bias"}
    assert trainable_parameters(frozen) == list(frozen.head.parameters())
    assert all(parameter.grad is None for parameter in frozen.body.parameters())
    assert frozen.training
    assert frozen.dropout.training


def test_a_free_body_learns_with_its_statistics() -> None:
    encoder = make_encoder(SMALL, 1, seed=0)
    before = state_copy(encoder)
    trained_a_little(encoder)
    after = encoder.state_dict()
    unchanged = {name for name in before if torch.equal(before[name], after[name])}
    assert unchanged == set()
    assert len(trainable_parameters(encoder)) == len(list(encoder.parameters()))


def test_an_artifact_of_before_depth_and_dropout_still_loads(tmp_path: Path) -> None:
    config = EncoderConfig(width=4, embedding_dim=8)
    encoder = make_encoder(config, 1, seed=0).eval()
    TrainedEncoder(encoder.state_dict(), config, ImageConfig(size=16, color="grey"), [], 0).save(tmp_path)
    saved = json.loads((tmp_path / "encoder.json").read_text())
    old = {"architecture", "embedding_dim", "width", "weights_file"}
    saved["encoder"] = {name: value for name, value in saved["encoder"].items() if name in old}
    (tmp_path / "encoder.json").write_text(json.dumps(saved))
    loaded = TrainedEncoder.load(tmp_path)
    assert loaded.encoder == config
    assert torch.equal(loaded.build()(pictures(2, 1, 16)), encoder(pictures(2, 1, 16)))


def test_an_artifact_keeps_its_freeze_and_views_without_the_file_it_started_from(tmp_path: Path) -> None:
    config = replace(SMALL, freeze="body", test_time="flip")
    encoder = make_encoder(config, 1, seed=0).eval()
    gone = replace(config, weights_file=str(tmp_path / "gone.pt"))
    TrainedEncoder(encoder.state_dict(), gone, ImageConfig(size=16, color="grey"), [], 0).save(tmp_path)
    loaded = TrainedEncoder.load(tmp_path)
    assert asdict(loaded.encoder) == asdict(gone)
    assert torch.equal(loaded.build()(pictures(2, 1, 16)), encoder(pictures(2, 1, 16)))


def wrong_configs() -> Iterator[tuple[str, object]]:
    yield from [("architecture", "resnet"), ("depth", 0), ("width", -1), ("embedding_dim", 0)]
    yield from [("dropout", 1.0), ("dropout", -0.1), ("freeze", "head"), ("test_time", "mirror")]


@pytest.mark.parametrize(("name", "value"), wrong_configs())
def test_a_value_outside_its_range_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"encoder.{name} is"):
        EncoderConfig(**{name: value})  # type: ignore[arg-type]
