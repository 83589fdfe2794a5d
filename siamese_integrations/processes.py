"""Processes of this machine and of others: which one it is, and whether it is gone."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_BOOT, _NAMESPACE = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")


@dataclass(frozen=True)
class Process:
    """One process, told from a later one with the same number by its start.

    Attributes:
        machine: Host name, and on Linux the name space of the process numbers: two containers may share a host name.
        pid: Its number there.
        started: The moment of its start, as text that stays the same while it runs.
    """

    machine: str
    pid: int
    started: str

    @classmethod
    def this(cls) -> Self:
        """This process."""
        pid = os.getpid()
        return cls(_machine(), pid, _start_of(pid) or "")

    @property
    def here(self) -> bool:
        """Whether it is one of this machine, so that `gone` can tell."""
        return self.machine == _machine()

    @property
    def gone(self) -> bool:
        """Whether it is one of this machine and has ended."""
        return self.here and _start_of(self.pid) != self.started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.machine.partition(' ')[0]}"


def _machine() -> str:
    namespace = f" {os.readlink(_NAMESPACE)}" if _NAMESPACE.exists() else ""
    return socket.gethostname() + namespace


def _start_of(pid: int) -> str | None:
    """The start of a running process of this machine; None if there is none, or if only its parent has to take note."""
    if not _BOOT.exists():
        done = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True)
        state, _, start = done.stdout.strip().partition(" ")
        return None if not state or state.startswith("Z") else start.strip()
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, ticks = fields[0], fields[19]
    return None if state in "ZX" else f"{_BOOT.read_text().strip()} {ticks}"
