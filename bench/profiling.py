"""Where the proxy's time goes under a load: py-spy's samples as a flame graph and as tables.

py-spy and not perf: it knows the functions of every Python, and with native frames what C does for them too.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

from bench.compare import WARM_UP, title
from bench.flame import Stacks, is_ours, place, svg
from bench.load import Load
from bench.stage import Stage
from bench.table import layout

SAMPLES = 200
"""A second."""
ROWS = 15
STARTS = 1.0
"""Seconds in which py-spy has begun, and the end of the load for which it does not look."""


class Spy:
    """Samples a process while a load is on it.

    :param seconds: how long that is.
    :param file: for the stacks, a line each: frames with ``;`` between them, and how many samples had them.
    """

    def __init__(self, pid: int, seconds: float, file: Path) -> None:
        self._command = (
            str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid), "--native", "--function",
            "--rate", str(SAMPLES), "--duration", str(max(1, round(seconds - STARTS))), "--format", "raw",
            "--output", str(file),
        )  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process is not None
        if error is not None:
            self._process.terminate()
        if self._process.wait() and error is None:
            raise RuntimeError("py-spy found nothing")


async def profile(loads: Sequence[Load], engines: int, keep: Path) -> bool:
    """Sample the proxy under each load and print where its time went.

    :param engines: how many rtpengines.
    :param keep: the folder for stacks and flame graphs.
    :returns: whether nothing failed.
    """
    stage = Stage(engines)
    keep.mkdir(parents=True, exist_ok=True)
    clean = True
    try:
        await stage.play(WARM_UP, "webrtcproxy")
        for load in loads:
            file = keep / f"profile-{load.mode}-{load.rate:g}.txt"
            file.unlink(missing_ok=True)
            gateway = await stage.gateway("webrtcproxy")
            result = await stage.play(load, "webrtcproxy", Spy(gateway.pid, load.seconds, file))
            clean = clean and not result.failures and file.exists()
            if file.exists():
                stacks = Stacks.read(file.read_text())
                file.with_suffix(".svg").write_text(svg(stacks, title(load)))
                sys.stdout.write(f"\n{title(load)}\n\n{tables(stacks)}\nIn {file} and {file.with_suffix('.svg')}.\n")
    finally:
        stage.clear()
    return clean


def tables(stacks: Stacks) -> str:
    """The parts and functions that took most: themselves, and with what they called."""
    own: Counter[str] = Counter()
    places: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for stack, count in stacks.counts.items():
        own[stack[-1]] += count
        places[place(stack[-1])] += count
        whole.update(dict.fromkeys(stack, count))
    ours = Counter({frame: count for frame, count in whole.items() if is_ours(frame)})
    parts = (
        ("by package, itself", places),
        ("by function, itself", own),
        ("of the proxy, with what it calls", ours),
        ("of libraries, with what they call", whole - ours),
    )
    return "\n".join(_table(head, counts.most_common(ROWS), stacks.total) for head, counts in parts)


def _table(head: str, counts: Iterable[tuple[str, int]], total: int) -> str:
    return layout([["share", head], *([f"{count / total * 100:.1f} %", what] for what, count in counts)]) + "\n"
