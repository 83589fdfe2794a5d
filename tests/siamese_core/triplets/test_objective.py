"""The whole objective, every mining with every loss: against brute force, and what must hold for all."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from siamese_core.arrays import Labels
from siamese_core.config import TrainingConfig
from siamese_core.errors import ConfigError
from siamese_core.triplets.objective import Objective, objective
from tests.siamese_core import brute_force

RANKED = TrainingConfig(mining="batch_hard", hardest_positives=(1, 2), hardest_negatives=(2, 3), reduction="sum")
DETERMINISTIC = {
    "semi_hard": TrainingConfig(),
    "batch_hard": TrainingConfig(mining="batch_hard", reduction="mean_active"),
    "ranked": RANKED,
    "contrastive": TrainingConfig(mining="batch_hard", loss="selectively_contrastive"),
    "contrastive_semi_hard": TrainingConfig(loss="selectively_contrastive", reduction="mean_active"),
    "easy_positive": TrainingConfig(mining="easy_positive"),
    "batch_all": TrainingConfig(mining="batch_all"),
    "batch_all_mean": TrainingConfig(mining="batch_all", reduction="mean_active"),
}
EVERY = DETERMINISTIC | {"distance_weighted": TrainingConfig(mining="distance_weighted")}
each = pytest.mark.parametrize("config", EVERY.values(), ids=EVERY)
each_deterministic = pytest.mark.parametrize("config", DETERMINISTIC.values(), ids=DETERMINISTIC)


def run(embeddings: Tensor, labels: Labels, config: TrainingConfig, seed: int = 0) -> tuple[Objective, Tensor]:
    """The objective and its gradient."""
    leaf = embeddings.clone().requires_grad_()
    found = objective(leaf, labels, config, torch.Generator().manual_seed(seed))
    found.loss.backward()
    assert leaf.grad is not None
    return found, leaf.grad


def numbers(found: Objective) -> list[float]:
    return [float(torch.as_tensor(value).detach()) for value in found]


def random_batch(seed: int, size: int = 12, dimension: int = 4) -> tuple[Tensor, Labels]:
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(size, dimension, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 4, (size,), generator=generator).numpy()
    return torch.nn.functional.normalize(points), labels


def brute_force_triplets(distances: Tensor, labels: list[int], config: TrainingConfig) -> list[brute_force.Triplet]:
    if config.mining == "batch_all":
        return brute_force.all_triplets(labels)
    if config.mining == "batch_hard":
        return brute_force.batch_hard(distances, labels, config.hardest_positives, config.hardest_negatives)
    choose = {"semi_hard": brute_force.semi_hard, "easy_positive": brute_force.easy_positive}[config.mining]
    return choose(distances, labels)


@each_deterministic
@given(seed=st.integers(0, 10_000), size=st.integers(2, 10))
@settings(max_examples=20, deadline=None)
def test_loss_and_gradient_are_brute_force(config: TrainingConfig, seed: int, size: int) -> None:
    points, labels = random_batch(seed, size)
    exact = points.clone().requires_grad_()
    distances = brute_force.squared_distances(points)
    triplets = brute_force_triplets(distances, labels.tolist(), config)
    contrastive = config.loss == "selectively_contrastive"
    losses = brute_force.triplet_losses(exact, triplets, config.margin, contrastive)
    active = sum(loss.item() > 0 for loss in losses)
    expected = torch.stack([*losses, 0 * exact.sum()]).sum()
    expected = expected / (1 if config.reduction == "sum" else max(1, active))
    expected.backward()
    found, gradient = run(points.float(), labels, config)
    assert found.loss.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-5)
    assert found.triplets == len(losses)
    assert found.active_share.item() == pytest.approx(active / max(1, len(losses)))
    assert found.mean_distance.item() == pytest.approx(distances.sum().item() / (size * (size - 1)), rel=1e-4)
    assert exact.grad is not None
    np.testing.assert_allclose(gradient.numpy(), exact.grad.numpy(), atol=1e-4)


@st.composite
def grid_batches(draw: st.DrawFn) -> tuple[Tensor, Labels]:
    """Embeddings with exact distances, many of them equal, many images the same."""
    size = draw(st.integers(1, 9))
    grid = draw(hnp.arrays(np.int64, (size, 2), elements=st.integers(-2, 2)))
    return torch.from_numpy(grid).float() / 2, draw(hnp.arrays(np.int64, size, elements=st.integers(0, 3)))


@each_deterministic
@given(batch=grid_batches(), data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_batch_does_not_matter(
    config: TrainingConfig, batch: tuple[Tensor, Labels], data: st.DataObject
) -> None:
    points, labels = batch
    order = data.draw(st.permutations(range(len(labels))))
    straight, turned = run(points, labels, config)[0], run(points[order], labels[order], config)[0]
    assert numbers(turned) == pytest.approx(numbers(straight))


@each
@given(batch=grid_batches())
@settings(max_examples=40, deadline=None)
def test_equal_images_and_equal_distances_give_finite_numbers(
    config: TrainingConfig, batch: tuple[Tensor, Labels]
) -> None:
    found, gradient = run(*batch, config)
    assert all(map(math.isfinite, numbers(found)))
    assert torch.isfinite(gradient).all()
    assert 0 <= found.active_share.item() <= 1


@each
@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3], [0]], ids=["one identity", "singletons", "one image"])
def test_without_triplets_loss_and_gradient_are_zero(config: TrainingConfig, labels: list[int]) -> None:
    points, _ = random_batch(0, len(labels))
    found, gradient = run(points.float(), np.array(labels), config)
    assert (found.loss.item(), found.active_share.item(), found.triplets) == (0, 0, 0)
    assert (gradient == 0).all()


@each
def test_collapsed_embeddings_lose_the_margin_for_each_triplet_and_have_no_gradient(config: TrainingConfig) -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 3])
    found, gradient = run(torch.full((10, 4), 0.5), labels, config)
    triplets = 1 if config.reduction == "mean_active" else found.triplets
    assert found.loss.item() == pytest.approx(config.margin * triplets)
    assert found.active_share.item() == 1
    assert found.mean_distance.item() == 0
    assert (gradient.abs() < 1e-5).all()


@each
def test_it_is_float32_under_autocast(config: TrainingConfig) -> None:
    points, labels = random_batch(0, 24)
    plain, gradient = run(points.float(), labels, config)
    leaf = points.float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = objective(leaf, labels, config, torch.Generator().manual_seed(0))
        narrow = objective(points.bfloat16(), labels, config, torch.Generator().manual_seed(0))
    mixed.loss.backward()
    assert all(torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(plain, mixed, strict=True))
    assert leaf.grad is not None
    assert torch.equal(gradient, leaf.grad)
    assert {value.dtype for value in narrow[:3]} == {torch.float32}


@each
def test_nothing_is_read_back_from_the_device(config: TrainingConfig) -> None:
    """Fake tensors have no numbers: whatever asks for one, or for a size that depends on one, raises."""
    labels = np.repeat(np.arange(8), 3)
    with FakeTensorMode(allow_non_fake_inputs=True):
        embeddings = torch.randn(24, 4, requires_grad=True)
        found = objective(embeddings, labels, config, torch.Generator().manual_seed(0))
        found.loss.backward()
        with pytest.raises(Exception, match="_local_scalar_dense"):
            found.loss.item()


@each
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_without_waiting(config: TrainingConfig) -> None:
    points, labels = random_batch(0, 24)
    leaf = points.float().cuda().requires_grad_()
    objective(leaf, labels, config, torch.Generator().manual_seed(0)).loss.backward()  # loads kernels
    leaf.grad = None
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = objective(leaf, labels, config, torch.Generator().manual_seed(0))
        found.loss.backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected, gradient = run(points.float(), labels, config)
    assert found.loss.item() == pytest.approx(expected.loss.item(), rel=1e-4)
    assert leaf.grad is not None
    assert torch.allclose(leaf.grad.cpu(), gradient, atol=1e-4)


@each
def test_what_is_not_a_number_shows_in_the_loss(config: TrainingConfig) -> None:
    found, _ = run(torch.full((9, 4), torch.nan), np.repeat(np.arange(3), 3), config)
    assert math.isnan(found.loss.item())


def test_random_negatives_follow_the_generator() -> None:
    points, labels = random_batch(0, 40, 8)
    config = EVERY["distance_weighted"]
    first, again, other = (run(points.float(), labels, config, seed)[0].loss.item() for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mining": "hardest"}, "training.mining is 'hardest'.*semi_hard, batch_hard, batch_all"),
        ({"loss": "contrastive"}, "training.loss is 'contrastive'.*selectively_contrastive"),
        ({"mining": "batch_all", "loss": "selectively_contrastive"}, "training.loss.*mining is batch_all"),
        (
            {"hardest_negatives": (2, 3)},
            r"training.hardest_negatives is \(2, 3\).*unless training.mining is batch_hard",
        ),
        ({"mining": "batch_hard", "hardest_negatives": (3, 2)}, "a first and a last rank"),
        ({"mining": "batch_hard", "hardest_positives": (0, 2)}, r"hardest_positives\[0\] is 0, but must be between 1"),
        ({"mining": "batch_hard", "hardest_positives": (1, 2, 3)}, r"hardest_positives is \(1, 2, 3\), .* a list of 2"),
        ({"mining": "batch_hard", "hardest_positives": (4, 5)}, "from 3 .*or less"),
    ],
)
def test_what_cannot_be_mined_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(**fields)  # type: ignore[arg-type]
