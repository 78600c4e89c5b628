"""baresip, an endpoint with a SIP stack and real audio: it sends a tone, and keeps what it hears in a file."""

import json
import re
from array import array
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, ClassVar, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.interfaces import IReactorTime
from twisted.protocols.basic import NetstringReceiver

from tests.support.real.ladder import Ladder
from tests.support.real.part import Part, pause, until
from tests.support.real.ports import LOOPBACK, free_port, free_ports, listens_tcp
from webrtcproxy.sip.message import Request, Response, read

COMMAND_SECONDS = 10

CONFIG = """\
poll_method epoll
sip_listen {host}:{port}
net_interface {host}
rtp_ports {lowest}-{highest}
call_local_timeout 60
call_max_calls 4
audio_source ausine,440
audio_player aubridge,nowhere
audio_alert aubridge,nowhere
ausrc_srate 48000
ausrc_channels 2
module_path /usr/lib/baresip/modules
module g711.so
module sndfile.so
module ausine.so
module aubridge.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:{control}
snd_path {folder}
ringback_disabled yes
menu_bell no
statmode_default off
"""

_TRACE = re.compile(rb"\x1b\[36;1m#\nUDP (\S+) -> \S+\n(.*?)\x1b\[;m", re.DOTALL)
"""One message in its trace: where it came from, and the message."""

_WAV_HEADER = 44


class Baresip(Part):
    """One baresip with one account, which waits for orders: nothing is answered by itself.

    :param user: its name, at pbx.test.
    :param outbound: host:port that it sends all requests to; empty: to where their URI says.
    :param password: of the name; with one it registers.
    :param port: of its SIP socket; 0: a free one.
    :param srtp: its media are encrypted with keys in the SDP (SDES), or there is no call.
    """

    name: ClassVar[str] = "baresip"

    def __init__(self, user: str, outbound: str = "", password: str = "", port: int = 0, srtp: bool = False) -> None:
        super().__init__()
        self.user = user
        self.port, self._control = port or free_ports(2)[0], free_port()  # it wants port + 1 for TLS
        media = free_ports(20)
        config = CONFIG.format(
            host=LOOPBACK, port=self.port, control=self._control, lowest=media[0], highest=media[-1], folder=self.folder
        )
        (self.folder / "config").write_text(f"{config}module srtp.so\n" if srtp else config)
        account = f"<sip:{user}@pbx.test>;regint={600 if password else 0};auth_pass={password};answermode=manual"
        if srtp:
            account += ";mediaenc=srtp-mand"
        if outbound:
            account += f';outbound="sip:{outbound};transport=udp"'
        (self.folder / "accounts").write_text(f"{account}\n")
        self._orders: _Orders | None = None

    @property
    def host(self) -> str:
        """host:port of it, for Request-URIs."""
        return f"{LOOPBACK}:{self.port}"

    def command(self) -> Sequence[str]:
        """IPv4, with a trace of all SIP messages in the log."""
        return ("baresip", "-4", "-s", "-f", str(self.folder))

    def is_ready(self) -> bool:
        """Whether it takes orders."""
        return listens_tcp(self._control)

    async def start(self) -> None:
        """Start it, and connect to where it takes orders."""
        await super().start()
        endpoint = HostnameEndpoint(reactor, LOOPBACK, self._control)
        self._orders = await connectProtocol(endpoint, _Orders())

    async def registered(self) -> None:
        """Wait until its registrar has taken it."""
        await until(lambda: "binding]" in self.log(), f"{self.user} registered")

    async def do(self, what: str, arguments: str = "") -> str:
        """Give an order of its menu (`dial`, `accept`, ...). Returns what it says to it."""
        assert self._orders is not None
        return await self._orders.give(what, arguments)

    async def hold(self, held: bool) -> None:
        """Put its call on hold, or take it off. baresip 1.1 does the latter, but says that it has failed where there is
        no other call to put on hold."""
        if held:
            await self.do("hold")
            return
        with suppress(AssertionError):
            await self.do("resume")

    async def event(self, kind: str, seconds: float = 10) -> dict[str, Any]:
        """The next event of that kind, such as CALL_ESTABLISHED, that nobody has asked for before."""
        assert self._orders is not None
        events = self._orders.events

        def found() -> dict[str, Any] | None:
            return next((event for event in events if event["type"] == kind), None)

        what = f"{kind} at {self.user}"
        try:
            event = cast(dict[str, Any], await until(found, what, seconds))
        except AssertionError as error:
            raise AssertionError(f"{error}, but {events}\n{self.log()[-6000:]}") from None
        events.remove(event)
        return event

    async def heard_digit(self, digit: str, seconds: float = 10) -> None:
        """Wait until that digit came as an RTP event (RFC 4733). baresip 1.1 does not tell of its end."""
        heard = await self.event("CALL_DTMF_START", seconds)
        assert heard["param"] == digit, heard

    async def hears(self, seconds: float = 10) -> None:
        """Wait until there is sound in what comes in from now on."""
        start = self._heard_size()
        await until(lambda: self._loudest(start) > AUDIBLE, f"sound at {self.user}", seconds)

    async def receives(self, seconds: float = 10) -> None:
        """Wait until more RTP comes in. (Its file of what it hears ends when it holds the call.)"""
        first = await self._sequence()
        for _ in range(int(seconds / 0.1)):
            if await self._sequence() != first:
                return
            await pause(0.1)
        raise AssertionError(f"{self.user} gets no RTP within {seconds} s")

    async def _sequence(self) -> str:
        found = re.search(r"seq_put=(\d+)", await self.do("audio_debug"))
        return found[1] if found else ""

    def _heard_size(self) -> int:
        return sum(file.stat().st_size for file in self.folder.glob("dump-*-dec.wav"))

    def _loudest(self, start: int) -> int:
        """The greatest sample that it has decoded since byte `start` of the files; 0 to 32768."""
        data = b"".join(file.read_bytes()[_WAV_HEADER:] for file in sorted(self.folder.glob("dump-*-dec.wav")))[start:]
        samples = array("h", data[: len(data) // 2 * 2])
        return max(map(abs, samples), default=0)

    def trace(self) -> list[tuple[str, Request | Response]]:
        """Every message so far, repeats too: ``>`` or ``<``, and the message."""
        found = _TRACE.findall(self.log_file.read_bytes())
        return [(">" if source == self.host.encode() else "<", read(data)) for source, data in found]

    def ladder(self) -> list[str]:
        """The rungs of this endpoint (see Ladder), without its name."""
        ladder, seen = Ladder(), set()
        for arrow, message in self.trace():
            data = message.to_bytes()
            if (arrow, data) not in seen:
                ladder.add(self, message, arrow)
            seen.add((arrow, data))
        return ladder.of(self.user)


AUDIBLE = 1000
"""A sample that is no silence: what comes of silence in G.711 is below 10."""


class _Orders(NetstringReceiver):
    """A connection to ctrl_tcp: orders and what it says to them, in order, and events (JSON in netstrings)."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._waiting: list[Deferred[str]] = []

    async def give(self, what: str, arguments: str) -> str:
        """Give an order. Returns what is said to it; AssertionError where it is refused."""
        answered: Deferred[str] = Deferred()
        self._waiting.append(answered)
        self.sendString(json.dumps({"command": what, "params": arguments}).encode())  # type: ignore[no-untyped-call]
        answered.addTimeout(COMMAND_SECONDS, cast(IReactorTime, reactor))
        return await answered

    def stringReceived(self, string: bytes) -> None:
        message = json.loads(string)
        if message.get("event"):
            self.events.append(message)
            return
        answered = self._waiting.pop(0)
        if message["ok"]:
            answered.callback(message.get("data", ""))
        else:
            answered.errback(AssertionError(f"baresip: {message}"))
