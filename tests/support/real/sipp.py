"""SIPp with one of the scenarios in tests/integration/sipp."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from tests.support.real.part import Part, until
from tests.support.real.ports import LOOPBACK, free_port, free_ports, listens_tcp, listens_udp

SCENARIOS = Path(__file__).parents[2] / "integration" / "sipp"


class Sipp(Part):
    """One SIPp that plays a scenario and echoes the RTP that it gets.

    :param scenario: the name of a file in tests/integration/sipp, without `.xml`.
    :param target: host:port that a calling scenario sends to; None for a called one.
    :param user: the user part that a calling scenario calls.
    :param calls: after so many calls it ends.
    :param words: what [name] stands for in the scenario (`-key`).
    :param tcp: speak TCP instead of UDP.
    :param hold: milliseconds of a `<pause/>` without a length.
    """

    name: ClassVar[str] = "sipp"

    def __init__(
        self, scenario: str, *, target: str | None = None, user: str = "alice", calls: int = 1, hold: int = 0,
        words: Mapping[str, str] | None = None, port: int | None = None, tcp: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.scenario = SCENARIOS / f"{scenario}.xml"
        assert self.scenario.exists(), self.scenario
        self.port = port or free_port()
        self.target, self.user, self.calls, self.hold, self.tcp = target, user, calls, hold, tcp
        self.words = dict(words or {})

    @property
    def host(self) -> str:
        """host:port of it, for Request-URIs."""
        return f"{LOOPBACK}:{self.port}"

    def command(self) -> Sequence[str]:
        """On loopback only; every message into a file of its own for messages()."""
        words = [part for name, value in self.words.items() for part in ("-key", name, value)]
        transport = "t1" if self.tcp else "u1"
        return (
            "sipp", *([self.target] if self.target else []), "-sf", str(self.scenario), "-t", transport,
            "-i", LOOPBACK, "-bind_local", "-p", str(self.port), "-cp", str(free_port()),
            "-mi", LOOPBACK, "-mp", str(free_ports(6)[0]), "-rtp_echo",
            "-m", str(self.calls), "-l", str(self.calls), "-s", self.user, "-d", str(self.hold), *words,
            "-nostdin", "-deadcall_wait", "0", "-timeout", "90s", "-timeout_error", "-au", "trunk", "-ap", "secret",
            "-trace_msg", "-message_file", "messages", "-trace_err", "-error_file", "errors",
        )  # fmt: skip

    def is_ready(self) -> bool:
        """Whether its SIP port is bound, or (a quick scenario) it is through already."""
        return listens_tcp(self.port) if self.tcp else listens_udp(self.port)

    def messages(self) -> str:
        """Every SIP message so far, in and out."""
        file = self.folder / "messages"
        return file.read_text("utf-8", "surrogateescape") if file.exists() else ""

    def sent(self) -> list[str]:
        """The messages that it sent."""
        return [part for way, part in self._split() if way == "sent"]

    def received(self) -> list[str]:
        """The messages that it received."""
        return [part for way, part in self._split() if way == "received"]

    def _split(self) -> list[tuple[str, str]]:
        """SIPp writes a ruler with the time, `UDP message sent (N bytes):` or `... received [N] bytes :`, the text."""
        parts = []
        for block in self.messages().split("----------------------------------------------- ")[1:]:
            title, _, text = block.partition("\n")[2].partition("\n\n")
            parts.append(("sent" if "message sent" in title else "received", text.rstrip()))
        return parts

    async def passed(self, seconds: float = 20) -> None:
        """Wait until it is through. AssertionError with its log and messages where the scenario failed."""
        try:
            await until(lambda: not self.alive, f"sipp {self.scenario.stem} through", seconds)
            assert self.process is not None
            assert self.process.returncode == 0, f"sipp {self.scenario.stem}: exit {self.process.returncode}"
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.report()}") from None

    def report(self) -> str:
        """What it said, and every message."""
        file = self.folder / "errors"
        errors = file.read_text("utf-8", "replace") if file.exists() else ""
        return f"{self.log()[-500:]}\n{errors[-3000:]}\n{self.messages()[-12000:]}"
