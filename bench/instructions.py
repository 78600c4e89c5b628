"""What one operation costs in instructions, which no neighbour on the machine disturbs: the proxy under callgrind, and
peers that do one thing after the other. What the kernel does is not counted.

And what it touches: how much code and data of 64 octets each has to be fetched from memory for it where nothing is left
in the caches, as it is with a process that has waited for some milliseconds. For that callgrind imitates a cache that
holds everything, and forgets it before each operation.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from bench.gateways import Floor, Webrtcproxy
from bench.peers import Browser, Engine, Trunk, inbound, outbound, register
from bench.table import layout
from tests.support.ngnode import BROWSER_SDP

Operation = Callable[[Browser, Trunk], None]
OPERATIONS: dict[str, Operation] = {"calls": outbound, "register": register, "inbound": inbound}
WARM_UP = 30
"""Operations before the counting begins."""
BROWSERS = 5
COLD = 20
"""Operations that each begin with empty caches."""
LINE = 64
"""Octets that a cache fetches at once."""
FETCHES = ("ILmr", "DLmr", "DLmw")
"""Callgrind's names of what the last cache lacks: instructions, data to be read, data to be written."""

_events = re.compile(r"^events: (.*)", re.MULTILINE)
_summary = re.compile(r"^(?:summary|totals): ([\d ]+)", re.MULTILINE)


class Counted(Webrtcproxy):
    """The proxy under callgrind, with hashes that are the same every time."""

    start_seconds: ClassVar[float] = 300

    def command(self) -> Sequence[str]:
        """The same, under valgrind; nothing is counted while it starts."""
        out = f"--callgrind-out-file={self.folder}/callgrind.out"
        program = super().command()
        return (
            "valgrind",
            "--quiet",
            "--tool=callgrind",
            "--instr-atstart=no",
            "--cache-sim=yes",
            f"--LL={1 << 26},16,{LINE}",
            out,
            *([] if program[0] == sys.executable else [sys.executable]),
            *program,
        )

    def environment(self) -> dict[str, str]:
        """With hashes that are the same every time."""
        return {**super().environment(), "PYTHONHASHSEED": "0"}

    def control(self, *words: str) -> None:
        """Tell callgrind something."""
        subprocess.run(["callgrind_control", *words, str(self.pid)], check=True, capture_output=True)

    def forget(self) -> None:
        """Empty the caches."""
        self.control("-i", "off")
        self.control("-i", "on")

    def dump(self) -> tuple[dict[str, int], Path]:
        """What was counted since the last time, by callgrind's names, and the file that has where it was."""
        before = set(self.folder.glob("callgrind.out.*"))
        self.control("-d")
        (made,) = set(self.folder.glob("callgrind.out.*")) - before
        text = made.read_text()
        counts = _summary.findall(text)[-1].split()
        return dict(zip(_events.findall(text)[-1].split(), map(int, counts), strict=False)), made


class CountedFloor(Counted, Floor):
    """The floor under callgrind."""


async def instructions(modes: Sequence[str], variants: Sequence[str], turns: int, keep: Path) -> bool:
    """Count and print.

    :param modes: of OPERATIONS.
    :param variants: of `Webrtcproxy`: empty for what is compiled, ``pure``; or ``floor``.
    :param turns: operations that are counted.
    :param keep: the folder for callgrind's files.
    """
    keep.mkdir(parents=True, exist_ok=True)
    names = [variant or "compiled" for variant in variants]
    rows = [["operation", *(word for name in names for word in (name, "cold kB"))], *([mode] for mode in modes)]
    engine, trunk = Engine(BROWSER_SDP % {b"port": 40000, b"version": 1}), Trunk()
    for variant in variants:
        proxy: Counted = (
            CountedFloor([engine.address]) if variant == "floor" else Counted([engine.address], trunk.address, variant)
        )
        trunk.gateway = proxy.sip
        try:
            await proxy.start()
            proxy.control("-i", "on")
            browsers = [Browser(proxy.wss, trunk.address) for _ in range(BROWSERS)]
            for browser in browsers:
                register(browser, trunk)
            for row, mode in zip(rows[1:], modes, strict=True):
                if variant == "floor" and mode != "register":
                    row += ["-", "-"]  # the trunk here wants the ACK at once: only what ends calls sends it so
                    continue
                _play(OPERATIONS[mode], browsers, trunk, WARM_UP)
                proxy.dump()
                _play(OPERATIONS[mode], browsers, trunk, turns)
                counts, file = proxy.dump()
                file.rename(keep / f"callgrind-{mode}-{variant or 'compiled'}.out")
                for turn in range(COLD):
                    proxy.forget()
                    OPERATIONS[mode](browsers[turn % len(browsers)], trunk)
                cold, file = proxy.dump()
                file.rename(keep / f"callgrind-{mode}-{variant or 'compiled'}-cold.out")
                fetched = sum(cold[name] for name in FETCHES) * LINE / COLD
                row += [f"{counts['Ir'] / turns / 1e6:.3f}", f"{fetched / 1000:.0f}"]
        finally:
            proxy.stop()
    sys.stdout.write(
        "millions of instructions per operation, and what it fetches with empty caches\n\n"
        f"{layout(rows)}\nWhere that is: {keep}/callgrind-*\n"
    )
    return True


def _play(operation: Operation, browsers: Sequence[Browser], trunk: Trunk, turns: int) -> None:
    for turn in range(turns):
        operation(browsers[turn % len(browsers)], trunk)
