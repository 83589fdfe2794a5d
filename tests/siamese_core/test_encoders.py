from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from siamese_core.config import EncoderConfig
from siamese_core.embedding import embed
from siamese_core.encoders import make_encoder, standardise
from siamese_core.errors import ModelError


@pytest.mark.parametrize("architecture", ["convnet", "resnet18", "mobilenet_v3"])
@pytest.mark.parametrize(("channels", "size"), [(1, 32), (3, 50)])
def test_every_encoder_gives_unit_vectors_for_grey_and_rgb_at_any_size(
    architecture: str, channels: int, size: int
) -> None:
    encoder = make_encoder(EncoderConfig(architecture, embedding_dim=24, width=8), channels, seed=0).eval()  # type: ignore[arg-type]
    images = torch.randint(0, 256, (3, channels, size, size), dtype=torch.uint8)
    embeddings = encoder(images)
    assert embeddings.shape == (3, 24)
    assert embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))


def test_the_seed_gives_the_weights_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    config = EncoderConfig(width=4, embedding_dim=8)
    a, b, c = (make_encoder(config, 1, seed).state_dict() for seed in (5, 5, 6))
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


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_come_from_a_local_file(tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_encoder(EncoderConfig("resnet18"), 3, seed=1)
    state = {name: value.contiguous() for name, value in source.body.state_dict().items()}
    state["fc.weight"] = torch.zeros(1000, 512)  # a classifier's head does not fit and is not needed
    path = tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    loaded = make_encoder(EncoderConfig("resnet18", weights_file=str(path)), 3, seed=2)
    assert torch.equal(loaded.body.conv1.weight, source.body.conv1.weight)
    assert "of the file unused" in capsys.readouterr().out


def test_missing_foreign_and_pickled_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        make_encoder(EncoderConfig(weights_file=str(tmp_path / "no.pt")), 1, 0)
    save_file({"other": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="no weight whose name and shape fit"):
        make_encoder(EncoderConfig(weights_file=str(tmp_path / "other.safetensors")), 1, 0)
    torch.save(torch.nn.Linear(2, 2), tmp_path / "pickled.pt")
    with pytest.raises(ModelError, match="not a plain state dict"):
        make_encoder(EncoderConfig(weights_file=str(tmp_path / "pickled.pt")), 1, 0)
