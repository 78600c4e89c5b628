"""The parts of the proxy, each for itself, in microseconds of CPU.

A loop of our own: pyperf would run each part in some twenty processes, minutes for one table, and each of them would
have to set up a proxy, a WebSocket or an rtpengine first. Its idea is here: the number of turns is found out, the
median of several runs counts, and their spread tells how far to trust it.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from bench.parts import PARTS, Operation
from bench.table import layout

RUN = 0.1
"""Seconds of CPU that one run takes at least."""
RUNS = 9
ALONE = 30
"""Operations of one run where there is a rest before each."""


def report(names: Sequence[str], gap: float = 0, run: float = RUN, runs: int = RUNS) -> None:
    """Measure and print.

    :param names: the parts; all where there are none.
    :param gap: milliseconds that nothing is done before each operation, in which the caches go cold: that is how a
        process meets a message that does not follow upon another one.
    :param run: seconds of CPU for one run.
    :param runs: how many.
    :raises SystemExit: there is no such part.
    """
    if unknown := sorted(set(names) - PARTS.keys()):
        raise SystemExit(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    rows = [["part", "us", "from", "to", "spread", "turns"]]
    for name in names or PARTS:
        sys.stderr.write(f"{name}\n")
        with ExitStack() as stack:
            operation = PARTS[name](stack)
            if gap:
                row = _row(alone(operation, gap / 1000), ALONE, runs)
            else:
                row = _row(operation, _turns(operation, run), runs)
            rows.append([name, *row])
    each = f", {gap:g} ms apart" if gap else ""
    sys.stdout.write(f"CPU per operation{each}, medians of {runs}\n\n{layout(rows)}\n")


def log_to_nowhere() -> None:
    """Have what is logged written as it is for a user, at level info, but to no file."""
    nowhere = Path(os.devnull).open("w")  # noqa: SIM115  # for as long as there is a log
    predicate = LogLevelFilterPredicate(LogLevel.info)
    observer = FilteringLogObserver(textFileLogObserver(nowhere), [predicate])
    globalLogBeginner.beginLoggingTo([observer], discardBuffer=True, redirectStandardIO=False)


def _row(operation: Operation, turns: int, runs: int) -> list[str]:
    times = sorted(_timed(operation, turns) for _ in range(runs))
    middle = median(times)
    spread = f"{(times[-1] - times[0]) / middle * 100:.0f} %"
    return [*(f"{value * 1e6:.2f}" for value in (middle, times[0], times[-1])), spread, str(turns)]


def alone(operation: Operation, seconds: float, rest: Callable[[float], None] = time.sleep) -> Operation:
    """The operation, each turn some time after the one before; it is warm, as far as Python goes.

    :param rest: waits so many seconds.
    """
    operation(ALONE)

    def spaced(turns: int) -> float:
        spent = 0.0
        for _ in range(turns):
            rest(seconds)
            spent += operation(1)
        return spent

    return spaced


def _turns(operation: Operation, run: float) -> int:
    """So many turns that they take long enough to be measured; the operation is warm then."""
    turns = 1
    while operation(turns) < run:
        turns *= 2
    return turns


def _timed(operation: Operation, turns: int) -> float:
    gc.collect()
    return operation(turns) / turns
