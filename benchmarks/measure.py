"""What all benchmarks share: time, peak memory, growth with size, and the line that they print.

Each side of a comparison runs in a process of its own, so that neither finds the other's memory or caches.
Peak memory is read from Linux's /proc, or from PyTorch's allocator on a GPU.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import platform
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

from siamese_core.devices import choose_device

HEAD = ("case", "ours", "peer", "ratio", "peak, ours", "peak, peer", "ratio of peaks", "settings")
HOW_TO_INSTALL = "not installed: make bench, or uv pip install --constraint constraints.txt -e '.[bench]'"

_FEWEST_REPEATS, _MOST_REPEATS, _SECONDS_OF_REPEATS = 3, 50, 2.0
_UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))
_NONE = "–"


@dataclass(frozen=True)
class Cost:
    """What one side of a comparison took.

    Attributes:
        seconds: For the unit of work that the benchmark names.
        peak: Most memory in use at once during the work, above what was in use before it, in bytes.
        detail: What else the side tells of itself.
    """

    seconds: float
    peak: int
    detail: str = ""


@dataclass(frozen=True)
class Absent:
    """A side without a result.

    Attributes:
        reason: Why there is none, such as a time limit.
    """

    reason: str


@dataclass(frozen=True)
class Line:
    """One comparison as text, in the order of `HEAD`."""

    case: str
    ours: str
    peer: str
    ratio: str
    our_peak: str
    peer_peak: str
    peak_ratio: str
    settings: str

    def text(self) -> str:
        """For a terminal."""
        memory = f"peak memory {self.our_peak} / {self.peer_peak}, ratio {self.peak_ratio}"
        return f"{self.case} | ours {self.ours} | peer {self.peer} | ratio {self.ratio} | {memory} | {self.settings}"

    def cells(self) -> tuple[str, ...]:
        """For a table."""
        return astuple(self)


def compare(
    case: str, ours: Cost | Absent, peer: Cost | Absent, settings: str, show: Callable[[float], str] | None = None
) -> Line:
    """The line of two measured sides.

    Args:
        case: What was done.
        ours: Our side.
        peer: The other side.
        settings: What a reader needs to repeat it.
        show: Puts seconds in words; as a duration if not given.

    Returns:
        A line whose ratios are peer / ours: above 1, ours is faster or smaller.
    """
    show = show or duration
    parts = [
        settings,
        *(f"{name}: {_detail(side)}" for name, side in (("ours", ours), ("peer", peer)) if _detail(side)),
    ]
    return Line(
        case,
        _NONE if isinstance(ours, Absent) else show(ours.seconds),
        _NONE if isinstance(peer, Absent) else show(peer.seconds),
        _ratio(ours, peer, "seconds"),
        _NONE if isinstance(ours, Absent) else memory(ours.peak),
        _NONE if isinstance(peer, Absent) else memory(peer.peak),
        _ratio(ours, peer, "peak"),
        "; ".join(parts),
    )


def growth(case: str, sizes: Sequence[int], ours: Sequence[Cost | Absent], peer: Sequence[Cost | Absent]) -> Line:
    """The line of fitted exponents: cost ∝ size^exponent, for each side, in time and in peak memory."""
    our_time, peer_time = (_exponent_of(sizes, side, "seconds") for side in (ours, peer))
    our_peak, peer_peak = (_exponent_of(sizes, side, "peak") for side in (ours, peer))
    fitted = "fitted over " + ", ".join(f"{size:,}" for size in sizes)
    return Line(f"{case}: exponent of the cost", our_time, peer_time, _NONE, our_peak, peer_peak, _NONE, fitted)


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The e of cost ∝ size^e, by least squares on logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def duration(seconds: float) -> str:
    """Seconds in three digits, with a unit that fits."""
    unit, size = next(((unit, size) for unit, size in _UNITS if seconds >= size), _UNITS[-1])
    return f"{_three_digits(seconds / size)} {unit}"


def rate(seconds: float) -> str:
    """Seconds for one image as images a second."""
    return f"{_three_digits(1 / seconds)} images/s"


def memory(size: int) -> str:
    """Bytes in megabytes (10⁶)."""
    return f"{_three_digits(size / 1e6)} MB"


def in_process(function: Callable[..., Any], *arguments: Any, limit: float = 600.0) -> Any:
    """Calls a function of a module in a fresh process, which may use half of the memory that is free.

    Args:
        function: What to call; its standard output is dropped.
        arguments: What to pass.
        limit: Longest time, in seconds, imports included.

    Returns:
        What the function returned, or `Absent` where time or memory ran out or the peer is not installed.

    Raises:
        RuntimeError: The function failed; its traceback is on standard error.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, function, arguments))
    process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(limit) else Absent(f"not done within {limit:.0f} s")
    except EOFError:
        process.join()
        if process.exitcode is not None and process.exitcode < 0:
            return Absent(f"killed by signal {-process.exitcode}")
        raise RuntimeError(f"{function.__module__}.{function.__name__} failed; see above.") from None
    finally:
        process.kill()
        process.join()


def require(package: str) -> None:
    """Asks for a peer, before anything else is done.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    if importlib.util.find_spec(package) is None:
        raise ModuleNotFoundError(package, name=package)


def measure(call: Callable[[], object], device: torch.device) -> Cost:
    """Peak memory of the first call, then the time of the fastest of the next: at least 3, for 2 s, at most 50.

    The fastest, since all that else runs on the machine can only add. Let a small call go before, so that what is
    loaded once is not counted.
    """
    with peak_memory(device) as peak:
        call()
    seconds: list[float] = []
    while len(seconds) < _FEWEST_REPEATS or (sum(seconds) < _SECONDS_OF_REPEATS and len(seconds) < _MOST_REPEATS):
        seconds.append(timed(call, device))
    return Cost(min(seconds), peak[0])


def timed(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of one call, to the end of what it started on the device."""
    synchronize(device)
    start = time.perf_counter()
    call()
    synchronize(device)
    return time.perf_counter() - start


def synchronize(device: torch.device) -> None:
    """Waits until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def peak_memory(device: torch.device) -> Iterator[list[int]]:
    """Measures the memory of the `with` block: of the GPU's tensors, or of this process.

    Yields:
        A list that holds, after the block, the peak above the start, in bytes.
    """
    peak: list[int] = []
    before = _start_of_peak(device)
    yield peak
    synchronize(device)
    peak.append((torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _resident_peak()) - before)


def median_cost(costs: Sequence[Cost | Absent]) -> Cost | Absent:
    """Of several rounds the one with the median time; the reason, where a round has no result."""
    absent = [cost for cost in costs if isinstance(cost, Absent)]
    measured = [cost for cost in costs if isinstance(cost, Cost)]
    return absent[0] if absent else sorted(measured, key=lambda cost: cost.seconds)[len(measured) // 2]


def machine() -> str:
    """Processor, cores, threads, releases and GPU."""
    device = choose_device("auto")
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    return (
        f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} PyTorch threads, {gpu}, "
        f"Python {platform.python_version()}, PyTorch {torch.__version__}"
    )


def _answer(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (open until the process ends)
    limit = _limit_memory()
    try:
        answer = function(*arguments)
    except ModuleNotFoundError as error:
        answer = Absent(f"{error.name} {HOW_TO_INSTALL}")
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        answer = Absent(f"more than {memory(limit)}")
    sender.send(answer)


def _limit_memory() -> int:
    """An allocation fails early rather than that the system ends some process, maybe another one."""
    if torch.cuda.is_available():  # CUDA reserves addresses that count
        return torch.cuda.get_device_properties(0).total_memory
    free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    resource.setrlimit(resource.RLIMIT_DATA, (free // 2, free // 2))
    return free // 2


def _is_out_of_memory(error: Exception) -> bool:
    known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
    return known or "can't allocate memory" in str(error)  # PyTorch's allocator for the CPU


def _start_of_peak(device: torch.device) -> int:
    if device.type == "cuda":
        synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again at what is resident now
    return _resident_peak()


def _resident_peak() -> int:
    """VmHWM: most resident memory of this process, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", path.read_text()) if path.exists() else None
    return found[1].strip() if found else platform.machine()


def _detail(side: Cost | Absent) -> str:
    return side.reason if isinstance(side, Absent) else side.detail


def _ratio(ours: Cost | Absent, peer: Cost | Absent, name: str) -> str:
    if isinstance(ours, Absent) or isinstance(peer, Absent) or min(getattr(ours, name), getattr(peer, name)) <= 0:
        return _NONE
    return f"{_three_digits(getattr(peer, name) / getattr(ours, name))}×"


def _exponent_of(sizes: Sequence[int], costs: Sequence[Cost | Absent], name: str) -> str:
    known = [(size, getattr(cost, name)) for size, cost in zip(sizes, costs, strict=True) if isinstance(cost, Cost)]
    positive = [(size, value) for size, value in known if value > 0]
    return f"{exponent(*zip(*positive, strict=True)):.2f}" if len(positive) > 1 else _NONE


def _three_digits(value: float) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"
