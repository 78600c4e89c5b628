"""What one operation costs in instructions, which no neighbour on the machine disturbs: the proxy under callgrind, and
peers that do one thing after the other. What the kernel does is not counted."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from bench.gateways import Webrtcproxy
from bench.peers import Browser, Engine, Trunk, inbound, outbound, register
from bench.table import layout
from tests.support.ngnode import BROWSER_SDP

Operation = Callable[[Browser, Trunk], None]
OPERATIONS: dict[str, Operation] = {"calls": outbound, "register": register, "inbound": inbound}
WARM_UP = 30
"""Operations before the counting begins."""
BROWSERS = 5

_summary = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)


class Counted(Webrtcproxy):
    """The proxy under callgrind, with hashes that are the same every time."""

    start_seconds: ClassVar[float] = 300

    def command(self) -> Sequence[str]:
        """The same, under valgrind; nothing is counted while it starts."""
        out = f"--callgrind-out-file={self.folder}/callgrind.out"
        return (
            "valgrind",
            "--quiet",
            "--tool=callgrind",
            "--instr-atstart=no",
            out,
            sys.executable,
            *super().command(),
        )

    def environment(self) -> dict[str, str]:
        """With hashes that are the same every time."""
        return {**super().environment(), "PYTHONHASHSEED": "0"}

    def control(self, *words: str) -> None:
        """Tell callgrind something."""
        subprocess.run(["callgrind_control", *words, str(self.pid)], check=True, capture_output=True)

    def dump(self) -> tuple[int, Path]:
        """The instructions since the last time, and the file that has where they went."""
        before = set(self.folder.glob("callgrind.out.*"))
        self.control("-d")
        (made,) = set(self.folder.glob("callgrind.out.*")) - before
        return int(_summary.findall(made.read_text())[-1]), made


async def instructions(modes: Sequence[str], variants: Sequence[str], turns: int, keep: Path) -> bool:
    """Count and print.

    :param modes: of OPERATIONS.
    :param variants: of `Webrtcproxy`: empty for what is compiled, ``pure``.
    :param turns: operations that are counted.
    :param keep: the folder for callgrind's files.
    """
    keep.mkdir(parents=True, exist_ok=True)
    rows = [["operation", *(variant or "compiled" for variant in variants)], *([mode] for mode in modes)]
    engine, trunk = Engine(BROWSER_SDP % {b"port": 40000, b"version": 1}), Trunk()
    for variant in variants:
        proxy = Counted([engine.address], trunk.address, variant)
        trunk.gateway = proxy.sip
        try:
            await proxy.start()
            proxy.control("-i", "on")
            browsers = [Browser(proxy.wss, trunk.address) for _ in range(BROWSERS)]
            for browser in browsers:
                register(browser, trunk)
            for row, mode in zip(rows[1:], modes, strict=True):
                _play(OPERATIONS[mode], browsers, trunk, WARM_UP)
                proxy.dump()
                _play(OPERATIONS[mode], browsers, trunk, turns)
                count, file = proxy.dump()
                file.rename(keep / f"callgrind-{mode}-{variant or 'compiled'}.out")
                row.append(f"{count / turns / 1e6:.3f}")
        finally:
            proxy.stop()
    sys.stdout.write(f"millions of instructions per operation\n\n{layout(rows)}\nWhere they went: {keep}/callgrind-*\n")
    return True


def _play(operation: Operation, browsers: Sequence[Browser], trunk: Trunk, turns: int) -> None:
    for turn in range(turns):
        operation(browsers[turn % len(browsers)], trunk)
