"""CPU time and memory of processes and all their descendants, from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICK = 1000 / os.sysconf("SC_CLK_TCK")
"""Milliseconds of a clock tick."""


def cpu(root: int) -> float:
    """CPU milliseconds that a process and its living descendants have used: exact, to the nanosecond."""
    return sum(cpu_of_each(root).values())


def cpu_of_each(root: int) -> dict[int, float]:
    """The same for each of these processes."""
    return {
        pid: sum(int(schedstat.split()[0]) for schedstat in _read_all(PROC / str(pid) / "task", "schedstat")) / 1e6
        for pid in _family(root)
    }


def memory(root: int) -> int:
    """Proportional set size of a process and its descendants in kB: pages that several share count once."""
    total = 0
    for pid in _family(root):
        for line in _read(PROC / str(pid) / "smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


@dataclass(frozen=True, slots=True)
class Machine:
    """What the whole machine has done so far, in milliseconds over all cores.

    :ivar total: that there were.
    :ivar busy: that it worked.
    :ivar ours: that this process, its descendants, and those that it has waited for, worked. In whole clock ticks.
    """

    total: float
    busy: float
    ours: float

    @staticmethod
    def now() -> Machine:
        """Until now."""
        user, nice, system, idle, wait, irq, softirq, steal = map(int, _read(PROC / "stat").split()[1:9])
        busy = user + nice + system + irq + softirq + steal
        ours = 0
        for pid in _family(os.getpid()):
            fields = _fields(pid)
            ours += sum(map(int, fields[11:15] if pid == os.getpid() else fields[11:13]))
        return Machine((busy + idle + wait) * TICK, busy * TICK, ours * TICK)

    def others(self, since: Machine) -> float:
        """The part of the machine that others took since then, 0 to 1. What counts as interrupt is in it."""
        taken = (self.busy - since.busy) - (self.ours - since.ours)
        return max(0.0, taken / max(1.0, self.total - since.total))


def _family(root: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _fields(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def _fields(pid: int) -> list[str]:
    """The fields of `stat` after the name, from the state on; none where the process is gone."""
    return _read(PROC / str(pid) / "stat").rpartition(") ")[2].split()


def _read_all(folder: Path, name: str) -> Iterator[str]:
    try:
        entries = list(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if text := _read(entry / name):
            yield text


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
