"""The rtpengine of a test run, and the question which sessions it holds."""

import re
import signal
import subprocess
from collections.abc import Sequence
from os import kill
from pathlib import Path
from time import sleep
from typing import ClassVar

from tests.support.real import ng
from tests.support.real.part import Part, until
from tests.support.real.ports import LOOPBACK, free_port, free_ports, listens_udp
from webrtcproxy.media.version import Version


def installed_version() -> Version:
    """The version of the rtpengine that tests use, as the program itself gives it."""
    said = subprocess.run(["rtpengine", "--version"], capture_output=True, check=True, text=True)
    *numbers, last = (said.stdout + said.stderr).split()[-1].split(".", 3)
    fourth, package = re.fullmatch(r"(\d+)(.*)", last).groups()  # type: ignore[union-attr]
    return Version((*map(int, numbers), int(fourth)), re.sub(r"[^A-Za-z0-9]", "-", package))


class Rtpengine(Part):
    """rtpengine in user space on loopback.

    :param timeout: seconds without media after which it gives a session up.
    :param ports: for media.
    """

    name: ClassVar[str] = "rtpengine"

    def __init__(self, timeout: int = 60, ports: int = 400) -> None:
        super().__init__()
        self.timeout = timeout
        self.port = free_port()
        self.media = free_ports(ports)

    @property
    def address(self) -> str:
        """host:port of its ng socket, as the proxy's file wants it."""
        return f"{LOOPBACK}:{self.port}"

    def command(self) -> Sequence[str]:
        """As the issue has it; `delete-delay=0`, so that a deleted session is gone from `list` at once."""
        return (
            "rtpengine", "--config-file=none", "--table=-1", f"--interface={LOOPBACK}", f"--listen-ng={self.address}",
            f"--port-min={self.media[0]}", f"--port-max={self.media[-1]}", "--num-threads=2", "--delete-delay=0",
            f"--timeout={self.timeout}", "--log-level=6", "--log-stderr", "--foreground",
        )  # fmt: skip

    def is_ready(self) -> bool:
        """Whether its ng socket is bound."""
        return listens_udp(self.port)

    async def sessions(self) -> list[str]:
        """The call-ids of the sessions that it holds now."""
        reply = await ng.ask(self.port, {b"command": b"list", b"limit": 1000})
        return [call_id.decode() for call_id in reply[b"calls"]]

    async def query(self, call_id: str) -> dict[bytes, object]:
        """What it knows about one session."""
        return await ng.ask(self.port, {b"command": b"query", b"call-id": call_id.encode()})

    async def delete_all(self) -> None:
        """Delete every session, so that one test's leak is not the next one's."""
        for call_id in await self.sessions():
            await ng.ask(self.port, {b"command": b"delete", b"call-id": call_id.encode(), b"delete delay": 0})

    async def assert_empty(self, seconds: float = 3) -> None:
        """Fail where a session is still there after `seconds`. What is left is deleted then."""
        left: list[str] = []
        for _ in range(int(seconds / 0.1)):
            left = await self.sessions()
            if not left:
                return
            await pause_briefly()
        await self.delete_all()
        raise AssertionError(f"rtpengine still holds {len(left)} session(s): {left}\n{self.story()}")

    def story(self) -> str:
        """The end of its log, without the questions of the tests' own."""
        return "\n".join([line for line in self.log().splitlines() if "'list' from" not in line][-60:])

    def stall(self) -> None:
        """Stop it in its tracks: its socket takes commands, no reply comes (SIGSTOP). Each of its threads has stopped
        when this returns."""
        kill(self.pid, signal.SIGSTOP)
        while any(_state(thread) not in "TtZX" for thread in Path(f"/proc/{self.pid}/task").iterdir()):
            sleep(0.001)

    def resume(self) -> None:
        """Go on after stall()."""
        kill(self.pid, signal.SIGCONT)

    def stop(self, seconds: float = 5) -> None:
        """End it, stalled or not."""
        if self.alive:
            self.resume()
        super().stop(seconds)


class TwoFamilies(Rtpengine):
    """The same with IPv6 besides."""

    def command(self) -> Sequence[str]:
        """One interface with two addresses."""
        return (*super().command(), "--interface=::1")


class TwoInterfaces(Rtpengine):
    """The same with a second interface, `far` at 127.0.0.2; the name of the first is `default`."""

    def command(self) -> Sequence[str]:
        """Two interfaces with an address each."""
        return (*super().command(), "--interface=far/127.0.0.2")


async def pause_briefly() -> None:
    """A tenth of a second."""
    ticks = iter((0,) * 5)
    await until(lambda: next(ticks, 1), "a tenth of a second", 5)


def _state(thread: Path) -> str:
    """The state of a thread (proc(5)); ``X`` where it is gone."""
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"
