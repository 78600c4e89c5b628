"""``python -m bench workers``: how much more several workers carry than one process, on a machine without the cores to
show it.

The load generator, SIPp and rtpengine need more CPU than the proxy, so that on a small machine two busy workers can't
both have a core. What they would carry follows from what a call costs: a process is full when it needs a core. One
process that spends c milliseconds on a call carries 1000/c calls a second. Several are full when the busiest of them
is: when b milliseconds of each call (of all calls, on whatever worker) fall to it, they carry 1000/b. So

    ratio = c / b

each in turn on the same machine. Everything is in b that having several costs: what passes from one to another, and
that the kernel does not share out the connections evenly. What the others spend is on other cores; the generator, SIPp
and rtpengine are in neither number. The hub is a process like the others: where it is the busiest, it counts.

A call costs less where there is more to do: what comes in while another message is being handled costs no turn of the
reactor of its own. So one process is measured twice: at the rate of all (`same rate`: each of several has only a part
of the load then, which makes their calls dear) and at the rate that each of several has (`same load`). Near saturation,
where it counts, both are busy all the time; the truth is between the two. `even` is `same load` for connections that
are shared out evenly, as very many of them are.

That this holds needs a look at the machine: `others` is the part that was busy with something else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
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
                file.writelines(json.dumps(asdict(result)) + "\n" for trio in results for result in trio.all)
            sys.stdout.write(f"\n{title(load)}, {repeat} times\n\n{_table(results)}\n")
            sys.stdout.flush()
            clean = clean and not any(result.failures for trio in results for result in trio.all)
    finally:
        stage.clear()
    return clean


@dataclass(frozen=True, slots=True)
class Trio:
    """What belongs together.

    :ivar one: one process at the whole rate.
    :ivar slow: one process at the rate that each worker has.
    :ivar several: the workers at the whole rate.
    """

    one: Result
    slow: Result
    several: Result

    @property
    def all(self) -> tuple[Result, ...]:
        """All of them."""
        return self.one, self.slow, self.several

    @property
    def same_rate(self) -> float:
        """What several carry, in parts of what one carries that does as much alone."""
        return self.one.cpu / max(self.several.shares)

    @property
    def same_load(self) -> float:
        """The same, of one that is as busy as each of them."""
        return self.slow.cpu / max(self.several.shares)

    @property
    def even(self) -> float:
        """The same, if each worker had the same part of the calls."""
        hub, *workers = self.several.shares
        return self.slow.cpu / max(hub, sum(workers) / len(workers))


async def _measure(stage: Stage, load: Load, count: int, repeat: int) -> list[Trio]:
    one, several = "webrtcproxy", f"webrtcproxy-{count}"
    for label in (one, several):
        await stage.play(replace(WARM_UP, mode="register" if load.mode == "register" else "calls"), label)
    slow = replace(load, rate=load.rate / count)
    return [
        Trio(await stage.play(load, one), await stage.play(slow, one), await stage.play(load, several))
        for _ in range(repeat)
    ]


def _table(results: Sequence[Trio]) -> str:
    lines = ["one    slow   several  hub   busiest  same rate  same load  even  failures  others   (CPU ms per call)"]
    good = [trio for trio in results if all(result.completed for result in trio.all)]
    for trio in good:
        hub, *workers = trio.several.shares
        lines.append(
            f"{trio.one.cpu:5.2f}  {trio.slow.cpu:5.2f}  {trio.several.cpu:7.2f}  {hub:4.2f}  {max(workers):7.2f}"
            f"  {trio.same_rate:9.2f}  {trio.same_load:9.2f}  {trio.even:4.2f}"
            f"  {sum(result.failures for result in trio.all):8d}  {max(result.others for result in trio.all):6.0%}"
        )
    if good:
        rate, load = median(trio.same_rate for trio in good), median(trio.same_load for trio in good)
        lines.append(f"medians: {rate:.2f} at the same rate, {load:.2f} at the same load ({WANTED} is wanted of two)")
    return "\n".join(lines)
