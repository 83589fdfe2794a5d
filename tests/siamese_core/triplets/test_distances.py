import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from siamese_core.triplets.distances import paired_squared_distances, squared_distances

POINTS = hnp.arrays(np.float32, (5, 3), elements=st.floats(-2, 2, width=32))


@given(POINTS)
def test_squared_distances_are_the_definition(x: np.ndarray) -> None:
    points = torch.from_numpy(x)
    found = squared_distances(points, points[:2])
    expected = ((x[:, None, :].astype(np.float64) - x[None, :2, :]) ** 2).sum(-1)
    assert found.shape == (5, 2)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)
    assert torch.equal(points, torch.from_numpy(x))


@given(POINTS)
def test_paired_squared_distances_are_the_definition(x: np.ndarray) -> None:
    points = torch.from_numpy(x.copy())
    first, second = torch.tensor([0, 4, 2, 2]), torch.tensor([1, 0, 2, 3])
    expected = ((x[first].astype(np.float64) - x[second]) ** 2).sum(-1)
    np.testing.assert_allclose(paired_squared_distances(points, first, second).numpy(), expected, rtol=1e-5, atol=1e-30)
    assert torch.equal(points, torch.from_numpy(x))


def test_distances_stay_in_float32_under_autocast() -> None:
    x, rows = torch.randn(4, 8), torch.arange(4)
    plain = squared_distances(x, x), paired_squared_distances(x, rows, rows.flip(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(squared_distances(x, x), plain[0])
        assert torch.equal(paired_squared_distances(x, rows, rows.flip(0)), plain[1])
        assert squared_distances(x.bfloat16(), x.bfloat16()).dtype == torch.float32
        assert paired_squared_distances(x.bfloat16(), rows, rows).dtype == torch.float32


@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_those_of_the_definition(seed: int) -> None:
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(seed)).double()
    first, second = torch.tensor([0, 1, 1, 5]), torch.tensor([2, 1, 3, 0])
    weights = torch.randn(6, 6, generator=torch.Generator().manual_seed(seed + 9))
    ours = x.float().requires_grad_()
    ((squared_distances(ours, ours) * weights).sum() + paired_squared_distances(ours, first, second).sum()).backward()
    exact = x.clone().requires_grad_()
    all_pairs = ((exact[:, None] - exact[None]) ** 2).sum(-1)
    ((all_pairs * weights).sum() + ((exact[first] - exact[second]) ** 2).sum()).backward()
    assert ours.grad is not None
    assert exact.grad is not None
    assert torch.allclose(ours.grad.double(), exact.grad, atol=1e-4)


def test_gradients_are_the_same_bits_with_any_number_of_threads() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(128, 64, generator=random)
    first, second = torch.randint(0, 128, (2, 6000), generator=random)
    threads = torch.get_num_threads()
    try:
        one, two, again = (_gradient(x, first, second, threads) for threads in (1, 2, 2))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(one, two)
    assert torch.equal(two, again)


def _gradient(x: torch.Tensor, first: torch.Tensor, second: torch.Tensor, threads: int) -> torch.Tensor:
    torch.set_num_threads(threads)
    points = x.clone().requires_grad_()
    paired_squared_distances(points, first, second).sum().backward()
    assert points.grad is not None
    return points.grad
