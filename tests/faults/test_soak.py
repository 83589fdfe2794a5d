"""Fifty nights in one store cost what the first ones cost."""

from pathlib import Path
from statistics import median

import pytest

from tests.faults.soak import compare, nights


@pytest.mark.slow
@pytest.mark.timeout(2 * 3600)
@pytest.mark.usefixtures("fork_server")
def test_fifty_retrainings(session_folder: Path) -> None:
    done = list(nights(50, session_folder / "soak"))
    print(compare(done))
    assert median(n.grown for n in done[-10:]) <= 1.2 * median(n.grown for n in done[1:11])
