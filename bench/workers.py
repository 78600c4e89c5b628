"""``python -m bench workers``: how much more several workers carry than one process, on a machine without the cores to
show it.

The load generator, SIPp and rtpengine need more CPU than the proxy, so that on a small machine two busy workers can't
both have a core. What they would carry follows from what a call costs: a process is full when it needs a core. One
process that spends c milliseconds on a call carries 1000/c calls a second. Several are full when the busiest of them
is: when b milliseconds of each call (of all calls, on whatever worker) fall to it, they carry 1000/b. So

    ratio = c / b

at the same rate of calls, each in turn on the same machine. Everything is in b that having several costs: what passes
from one to another, and that the kernel does not share out the connections evenly. What the others spend is on other
cores; the generator, SIPp and rtpengine are in neither number. `even` is the ratio for connections that are shared out
evenly, as many of them are. The hub is a process like the others: where it is the busiest, it counts.

That this holds needs a look at the machine: `others` is the part that was busy with something else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median

from bench.compare import WARM_UP, title
from bench.load import Load, Result
from bench.stage import Stage

WANTED = 1.7
"""The ratio that two workers are to have."""


async def workers(loads: Sequence[Load], count: int, repeat: int, engines: int, keep: Path) -> bool:
    """Measure and print.

    :param count: workers.
    :param repeat: how often, the two in turn.
    :param engines: how many rtpengines.
    :param keep: the folder for the results as JSON, a line each.
    :returns: whether nothing failed.
    """
    stage = Stage(engines)
    keep.mkdir(parents=True, exist_ok=True)
    clean = True
    try:
        for load in loads:
            results = await _measure(stage, load, count, repeat)
            with (keep / "workers.jsonl").open("a") as file:
                file.writelines(json.dumps(asdict(result)) + "\n" for pair in results for result in pair)
            sys.stdout.write(f"\n{title(load)}, {repeat} times\n\n{_table(results)}\n")
            sys.stdout.flush()
            clean = clean and not any(result.failures for pair in results for result in pair)
    finally:
        stage.clear()
    return clean


async def _measure(stage: Stage, load: Load, count: int, repeat: int) -> list[tuple[Result, Result]]:
    labels = "webrtcproxy", f"webrtcproxy-{count}"
    for label in labels:
        await stage.play(replace(WARM_UP, mode="register" if load.mode == "register" else "calls"), label)
    return [(await stage.play(load, labels[0]), await stage.play(load, labels[1])) for _ in range(repeat)]


def ratio(one: Result, several: Result) -> float:
    """What several carry, in parts of what one carries."""
    return one.cpu / max(several.shares)


def even(one: Result, several: Result) -> float:
    """The same, if each worker had the same part of the calls."""
    hub, *workers = several.shares
    return one.cpu / max(hub, sum(workers) / len(workers))


def _table(results: Sequence[tuple[Result, Result]]) -> str:
    lines = ["one: CPU ms  several: CPU ms  of which hub  busiest  ratio  even  failures  others"]
    for one, several in results:
        if one.completed and several.completed:
            hub, *workers = several.shares
            lines.append(
                f"{one.cpu:11.2f}  {several.cpu:15.2f}  {hub:12.2f}  {max(workers):7.2f}  {ratio(one, several):5.2f}"
                f"  {even(one, several):4.2f}  {one.failures + several.failures:8d}"
                f"  {max(one.others, several.others):5.0%}"
            )
    good = [pair for pair in results if pair[0].completed and pair[1].completed]
    if good:
        middle, best = median(ratio(*pair) for pair in good), median(even(*pair) for pair in good)
        lines.append(f"ratio, median: {middle:.2f} ({WANTED} is wanted of two); even: {best:.2f}")
    return "\n".join(lines)
