"""The comparison: each load on each gateway in turn, several times, and the tables of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from bench.gateways import Engine
from bench.load import Load, Result
from bench.stage import Stage
from bench.table import table

WARM_UP = Load("calls", rate=20, seconds=3)
"""What a gateway does before it is measured: Python's caches and Kamailio's memory are filled then."""


async def compare(loads: Sequence[Load], labels: Sequence[str], repeat: int, engines: int, keep: Path) -> bool:
    """Measure and print.

    :param labels: the gateways. They are taken in turn, so that what else the machine does meets all of them.
    :param repeat: how often.
    :param engines: how many rtpengines.
    :param keep: the folder for the results as JSON, a line each.
    :returns: whether nothing failed.
    """
    if (most := max(load.held for load in loads)) > engines * Engine.capacity():
        raise SystemExit(
            f"{most} calls need --engines {-(-most // Engine.capacity())}: each may open so many files only"
        )
    stage = Stage(engines)
    keep.mkdir(parents=True, exist_ok=True)
    clean = True
    try:
        for load in loads:
            results = await _measure(stage, load, labels, repeat)
            with (keep / "results.jsonl").open("a") as file:
                file.writelines(json.dumps(asdict(result)) + "\n" for result in results)
            sys.stdout.write(f"\n{title(load)}, medians of {repeat}\n\n{table(results)}\n")
            sys.stdout.flush()
            clean = clean and not any(result.failures for result in results)
    finally:
        stage.clear()
    return clean


def title(load: Load) -> str:
    """What is done, for a headline."""
    held = f", {load.held} more held" if load.held else ""
    what = {
        "calls": f"calls from browsers, {load.rate:g}/s{held}",
        "register": f"REGISTER, {load.rate:g}/s",
        "inbound": f"calls to browsers, {load.rate:g}/s",
        "idle": "idle registered clients",
    }[load.mode]
    return f"{what}: {load.clients} clients, {load.seconds:g} s"


async def _measure(stage: Stage, load: Load, labels: Sequence[str], repeat: int) -> list[Result]:
    results = []
    for turn in range(repeat):
        for label in labels:
            if load.mode == "idle":
                # A used process has free memory in hand.
                stage.dismiss(label)
            elif turn == 0:
                mode = "register" if load.mode == "register" else "calls"
                await stage.play(replace(WARM_UP, mode=mode), label)
            sys.stderr.write(f"{label}: {title(load)}, number {turn + 1}\n")
            results.append(await stage.play(load, label))
    return results
