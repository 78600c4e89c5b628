"""The proxy itself, as its user starts it: `twistd -n webrtcproxy -c FILE`."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar
from urllib.request import urlopen

from twisted.internet.threads import deferToThread

from tests.support.exposition import samples
from tests.support.real.part import Part, pause, runs
from tests.support.real.ports import LOOPBACK, free_port, free_ports, listens_tcp, listens_udp

ROOT = Path(__file__).parents[3]
FAULTS = re.compile(r"Traceback \(most|Unhandled|#critical|#failure", re.IGNORECASE)


UP = re.compile(r"Worker (\d+) is up, process (\d+)")
REAL, TIME_OF_DAY, ALL_CLOCKS = "real", "time of day", "all clocks"
"""What of a process's time a test can set: nothing; the time of day, as NTP does; all clocks, as a suspension does."""
WORKERS = 4
"""Ports that are kept free for the sockets of workers."""


def without_media(trunk: str, sip: str = "", trunk_options: str = "", workers: int = 1) -> str:
    """A configuration of a proxy whose calls would have no media: one trunk, and no rtpengine.

    :param trunk: its address.
    :param sip: a further line of ``[sip] listen``.
    :param trunk_options: further lines of the trunk's section.
    """
    return (
        f"[wss]\nlisten = ssl:{{wss}}:interface={LOOPBACK}:privateKey=key.pem:certKey=cert.pem\n"
        f"[sip]\nlisten = udp:{{sip}}:interface={LOOPBACK}\n  {sip}\n[rtpengine]\nnodes = {LOOPBACK}:9\n"
        f"[trunk a]\nhost = {trunk}\n{trunk_options}\n[web]\nlisten = tcp:{{web}}:interface={LOOPBACK}\n"
        f"[proxy]\nworkers = {workers}\n"
    )


class Proxy(Part):
    """A running proxy with a configuration of the test's.

    :param text: the file, with the words {wss}, {sip}, {web} for the proxy's free ports.
    :param arguments: of its command line, beside the file.
    :param path: a folder that has plugins of somebody else.
    :param clock: what of its time `set_clock` sets.
    """

    name: ClassVar[str] = "proxy"

    def __init__(self, text: str, arguments: Sequence[str] = (), path: Path | None = None, clock: str = REAL) -> None:
        super().__init__()
        self._clock = clock
        self._arguments = tuple(arguments)
        self._path = path
        self.wss, self.sip, self.web = free_port(), free_ports(1 + WORKERS)[0], free_port()
        self.file = self.folder / "proxy.ini"
        for word in ("wss", "sip", "web"):
            text = text.replace(f"{{{word}}}", str(getattr(self, word)))
        self.file.write_text(text)
        found = re.search(r"^workers = (\d+)", text, re.MULTILINE)
        self.workers = int(found[1]) if found else 1

    @property
    def url(self) -> str:
        """Where browsers connect."""
        return f"wss://{LOOPBACK}:{self.wss}/"

    @property
    def address(self) -> tuple[str, int]:
        """Where its trunks send to."""
        return LOOPBACK, self.sip

    def command(self) -> Sequence[str]:
        """twistd of the interpreter that runs the tests."""
        make_certificate(self.folder)
        twistd = Path(sys.executable).with_name("twistd")
        return (str(twistd), "-n", "--pidfile=", "webrtcproxy", "-c", str(self.file), *self._arguments)

    def environment(self) -> dict[str, str]:
        """The package of this source tree, whatever is installed besides."""
        path = str(ROOT) if self._path is None else f"{ROOT}:{self._path}"
        return {**os.environ, "PYTHONPATH": path, **self._time()}

    def _time(self) -> dict[str, str]:
        """What lets libfaketime answer the process's questions for the time."""
        if self._clock == REAL:
            return {}
        found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
        assert found, "libfaketime is not installed: `sh etc/test.sh` installs what the tests need"
        self.set_clock(0)
        faked = {"LD_PRELOAD": str(found[0]), "FAKETIME_TIMESTAMP_FILE": str(self._time_file), "FAKETIME_NO_CACHE": "1"}
        return faked | ({"FAKETIME_DONT_FAKE_MONOTONIC": "1"} if self._clock == TIME_OF_DAY else {})

    @property
    def _time_file(self) -> Path:
        return self.folder / "time"

    def set_clock(self, seconds: int) -> None:
        """Set the clock of the process, while it runs, by so many seconds from the real time."""
        new = self.folder / "time.new"
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._time_file)

    def is_ready(self) -> bool:
        """Whether both sides listen, and where there are workers, all of them are up."""
        up = self.workers == 1 or len(self.worker_pids()) == self.workers
        return up and listens_tcp(self.wss) and listens_udp(self.sip)

    def worker_pids(self) -> dict[int, int]:
        """The process id of each worker that is up, by its log."""
        pids = {int(number): int(pid) for number, pid in UP.findall(self.log())}
        return {number: pid for number, pid in pids.items() if runs(pid)}

    async def samples(self) -> dict[str, float]:
        """What ``/metrics`` says now, our own names without their prefix."""

        def fetch() -> bytes:
            with urlopen(f"http://{LOOPBACK}:{self.web}/metrics", timeout=5) as response:
                return response.read()

        return samples(await deferToThread(fetch))

    async def assert_idle(self, kinds: tuple[str, ...], seconds: float) -> None:
        """Fail where anything of these kinds is left after `seconds`: names of gauges, without labels."""
        for _ in range(int(seconds * 10)):
            found = await self.samples()
            left = {name: many for name, many in found.items() if many and name.partition("{")[0] in kinds}
            if not left:
                return
            await pause(0.1)
        raise AssertionError(f"{left} left after {seconds} s")

    def assert_clean(self, since: int = 0) -> None:
        """Fail where it has logged a traceback or an unhandled failure since byte `since` of its log."""
        log = self.log(since)
        fault = FAULTS.search(log)
        assert fault is None, f"{fault and fault.group()} in the proxy's log:\n{log[-8000:]}"


def make_certificate(folder: Path) -> None:
    """A self-signed certificate for loopback, in key.pem and cert.pem of the folder."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
