import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from siamese_core.training.health import Health, effective_rank

HEALTHY = Health(10, 40.0, 1.4, 20.0, 0.3, 0.05)


@given(st.integers(2, 40), st.integers(1, 12), st.integers(0, 5))
def test_the_effective_rank_is_the_participation_ratio_of_the_eigenvalues(batch: int, dim: int, seed: int) -> None:
    points = torch.randn(batch, dim, generator=torch.Generator().manual_seed(seed))
    values = np.linalg.eigvalsh(np.cov(points.double().numpy().T, bias=True).reshape(dim, dim))
    assert float(effective_rank(points)) == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-3)


def test_the_effective_rank_of_a_line_is_1_of_a_ball_d_and_of_a_point_0() -> None:
    generator = torch.Generator().manual_seed(0)
    line = torch.outer(torch.randn(50, generator=generator), torch.ones(8))
    ball = torch.randn(20_000, 8, generator=generator)
    assert float(effective_rank(line)) == pytest.approx(1, abs=1e-4)
    assert float(effective_rank(ball)) == pytest.approx(8, abs=0.05)
    assert float(effective_rank(torch.ones(5, 8))) == 0


def test_conditions() -> None:
    assert HEALTHY.condition(margin=0.2) == "healthy"
    assert Health(1, 80.0, 0.001, 1.1, 1.0, 0.1999).condition(0.2) == "collapsed"
    # Near each other, but the loss still moves away from α: a warning, no more.
    assert Health(1, 80.0, 0.02, 8.0, 1.0, 0.1).condition(0.2) == "narrow"
    assert Health(1, 80.0, 1.0, 1.2, 0.5, 0.05).condition(0.2) == "narrow"


def test_means_count_each_part_with_its_batches() -> None:
    mean = Health.mean([Health(1, 10.0, 1.0, 4.0, 1.0, 0.2), Health(3, 2.0, 2.0, 8.0, 0.0, 0.0)])
    assert mean == Health(4, 4.0, 1.75, 7.0, 0.25, 0.05)
