"""Times, peaks and exponents of work whose cost is known."""

import os
import re
import time

import numpy as np
import pytest
import torch

from benchmarks.measure import (
    HEAD,
    Absent,
    Cost,
    compare,
    duration,
    exponent,
    growth,
    in_process,
    measure,
    median_cost,
    memory,
    peak_memory,
    rate,
    require,
)

_CPU = torch.device("cpu")
_MEGABYTE = 1_000_000


def test_the_exponent_of_a_power_law_is_found() -> None:
    sizes = np.array([256, 1024, 4096])
    assert exponent(sizes.tolist(), (3e-9 * sizes**2.5).tolist()) == pytest.approx(2.5)


def test_the_peak_counts_memory_that_was_given_back() -> None:
    with peak_memory(_CPU) as peak:
        np.ones(50 * _MEGABYTE, np.uint8).sum()
    assert 48 * _MEGABYTE < peak[0] < 80 * _MEGABYTE


def test_the_peak_leaves_out_earlier_memory() -> None:
    np.ones(200 * _MEGABYTE, np.uint8).sum()
    with peak_memory(_CPU) as peak:
        np.ones(10 * _MEGABYTE, np.uint8).sum()
    assert peak[0] < 50 * _MEGABYTE


def test_the_work_is_repeated_after_the_call_that_measures_memory() -> None:
    calls: list[int] = []
    cost = measure(lambda: (calls.append(1), time.sleep(0.01)), _CPU)
    assert cost.seconds >= 0.01
    assert 1 + 3 <= len(calls) <= 1 + 50


def test_a_line_says_how_often_the_peers_cost_is_ours() -> None:
    line = compare("work", Cost(0.5, 2 * _MEGABYTE, "3 triplets"), Cost(20.0, 5 * _MEGABYTE), "d = 4")
    assert line.cells() == (
        "work", "500 ms", "20.0 s", "40.0×", "2.00 MB", "5.00 MB", "2.50×", "d = 4; ours: 3 triplets",
    )  # fmt: skip
    assert len(line.cells()) == len(HEAD)


def test_a_side_without_a_result_gives_its_reason_and_no_ratio() -> None:
    line = compare("work", Cost(0.5, 0), Absent("not done within 3 s"), "d = 4")
    assert line.ratio == line.peer == "–"
    assert "peer: not done within 3 s" in line.settings


def test_growth_is_fitted_over_what_was_measured() -> None:
    ours = [Cost(1e-3, 100), Cost(4e-3, 400), Cost(16e-3, 1600)]
    peer = [Cost(1e-3, 0), Cost(8e-3, 0), Absent("not done within 3 s")]
    line = growth("work", [10, 20, 40], ours, peer)
    assert (line.ours, line.peer, line.our_peak, line.peer_peak) == ("2.00", "3.00", "2.00", "–")


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.3, "12.3 s"), (1.0, "1.00 s"), (0.0421, "42.1 ms"), (3e-8, "0.03 µs")]
)
def test_durations_have_a_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_rates_and_memory() -> None:
    assert rate(1 / 1234) == "1,234 images/s"
    assert memory(1_234_000_000) == "1,234 MB"


def test_the_median_round_counts() -> None:
    assert median_cost([Cost(3, 0), Cost(1, 0), Cost(2, 0)]) == Cost(2, 0)
    assert median_cost([Cost(3, 0), Absent("killed")]) == Absent("killed")


def test_time_runs_out() -> None:
    assert in_process(time.sleep, 60, limit=0.2) == Absent("not done within 0 s")


def test_memory_runs_out() -> None:
    needed = 2 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    found = in_process(torch.zeros, needed, limit=60)
    assert isinstance(found, Absent)
    assert re.fullmatch(r"more than [\d,]+ MB", found.reason)


def test_a_peer_that_is_not_installed_tells_how_to_install_it() -> None:
    found = in_process(require, "no_such_peer")
    assert isinstance(found, Absent)
    assert "no_such_peer not installed: make bench" in found.reason


def test_a_failure_is_not_taken_for_a_result() -> None:
    with pytest.raises(RuntimeError, match="sqrt failed"):
        in_process(np.emath.sqrt)
