import pytest
import torch

from siamese_core.config import AugmentConfig
from siamese_core.training.augment import augment as apply
from siamese_core.training.augment import draw_changes

NOTHING = AugmentConfig(rotation=0, scale=0, shear=0, shift=0, elastic=0, brightness=0, contrast=0, flip=False)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def augment(images: torch.Tensor, config: AugmentConfig, generator: torch.Generator) -> torch.Tensor:
    return apply(images, draw_changes(len(images), config, generator), config)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(6, 3, 20, 20, generator=seeded(9)) * 255


def test_nothing_configured_changes_nothing(images: torch.Tensor) -> None:
    torch.testing.assert_close(augment(images, NOTHING, seeded()), images, atol=1e-2, rtol=0)


def test_the_seed_decides_and_every_image_gets_its_own_change(images: torch.Tensor) -> None:
    same = images[:1].repeat(4, 1, 1, 1)
    config = AugmentConfig(elastic=0.05)
    first = augment(same, config, seeded(1))
    assert torch.equal(first, augment(same, config, seeded(1)))
    assert not torch.equal(first, augment(same, config, seeded(2)))
    assert not torch.equal(first[0], first[1])
    assert first.shape == same.shape
    assert first.min() >= 0
    assert first.max() <= 255


def test_flip_mirrors_about_half(images: torch.Tensor) -> None:
    from dataclasses import replace

    many = images[:1].repeat(200, 1, 1, 1)
    found = augment(many, replace(NOTHING, flip=True), seeded())
    mirrored = (found - many.flip(3)).abs().amax(dim=(1, 2, 3)) < 0.1
    straight = (found - many).abs().amax(dim=(1, 2, 3)) < 0.1
    assert (mirrored | straight).all()
    assert 70 < int(mirrored.sum()) < 130


def test_a_shift_moves_a_point_by_at_most_the_limit() -> None:
    from dataclasses import replace

    images = torch.zeros(100, 1, 40, 40)
    images[:, :, 20, 20] = 255
    found = augment(images, replace(NOTHING, shift=0.1), seeded())
    columns = torch.arange(40.0)
    where = (found[:, 0].sum(1) * columns).sum(1) / found[:, 0].sum((1, 2))
    assert (where - 20).abs().max() <= 4.01
    assert (where - 20).abs().max() > 3


def test_brightness_moves_the_mean_and_contrast_does_not() -> None:
    from dataclasses import replace

    images = torch.full((50, 1, 8, 8), 100.0)
    images[:, :, :4] = 120
    brighter = augment(images, replace(NOTHING, brightness=0.1), seeded()).mean((1, 2, 3))
    assert (brighter - 110).abs().max() <= 25.6
    assert brighter.std() > 5
    contrast = augment(images, replace(NOTHING, contrast=0.5), seeded())
    torch.testing.assert_close(contrast.mean((1, 2, 3)), torch.full((50,), 110.0))
    assert contrast.std((1, 2, 3)).std() > 1


@pytest.mark.parametrize("symmetry", range(8))
def test_a_symmetry_is_exact(images: torch.Tensor, symmetry: int) -> None:
    changes = draw_changes(len(images), NOTHING, seeded())
    found = apply(images, changes, NOTHING, torch.full((len(images),), float(symmetry)))
    expected = torch.rot90(images, symmetry % 4, (2, 3))
    torch.testing.assert_close(found, expected.flip(3) if symmetry >= 4 else expected, atol=1e-2, rtol=0)
