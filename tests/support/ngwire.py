"""rtpengine as it is on the wire, without a wire: a reactor whose UDP leads to daemons that are objects.

reactor = FakeReactor()                       # a task.Clock with listenUDP and spawnProcess
daemon = FakeDaemon(reactor, "127.0.0.1", 2223)
daemon.delay = 0.3                            # it answers late
daemon.silent = True                          # ... never
daemon.replies = [b"junk"]                    # ... this to the next command, instead of its own reply
daemon.result = {b"result": b"load limit"}    # ... this dictionary to offers and answers, until it is None again
daemon.commands                               # what it did, duplicates apart: [{b"command": b"offer", ...}]
daemon.sessions                               # the ng call-ids that it holds
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bencodepy
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.protocol import DatagramProtocol, ProcessProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

UNKNOWN = {b"result": b"ok", b"warning": b"Call-ID not found or tags didn't match"}
LOST = {b"result": b"error", b"error-reason": b"Unknown call-id"}

#: Hosts of daemons: addresses that this host has a way to, so that a socket towards them has a local address.
FIRST, SECOND, THIRD = "127.0.0.1", "127.0.0.2", "127.0.0.3"
PORT = 2223


class _Handle:
    def __init__(self) -> None:
        self.options: list[tuple[int, int, int]] = []

    def setsockopt(self, *option: int) -> None:
        self.options.append(option)  # type: ignore[arg-type]


class FakePort:
    """A UDP socket and its transport."""

    def __init__(self, reactor: FakeReactor, protocol: DatagramProtocol, interface: str, size: int) -> None:
        self.reactor, self.protocol, self.interface, self.size = reactor, protocol, interface, size
        self.closed = False
        self.handle = _Handle()
        self.error: Exception | None = None  # what the next write raises

    def getHandle(self) -> _Handle:
        return self.handle

    def write(self, data: bytes, address: tuple[str, int]) -> None:
        if self.error is not None:
            raise self.error
        self.reactor.sent.append((address, data))
        daemon = self.reactor.daemons.get(address)
        if daemon is not None:
            daemon.received(data, self)

    def deliver(self, data: bytes, address: tuple[str, int]) -> None:
        if not self.closed:
            self.protocol.datagramReceived(data, address)

    def stopListening(self) -> Deferred[None]:
        self.closed = True
        self.protocol.doStop()
        return succeed(None)


class FakeProcess:
    """A child process as the reactor's transport shows it."""

    def __init__(self, reactor: FakeReactor, protocol: ProcessProtocol, arguments: Sequence[str]) -> None:
        self.reactor, self.protocol, self.arguments = reactor, protocol, list(arguments)
        self.pid = 1000 + len(reactor.processes)
        self.signals: list[str] = []
        self.over = False

    def signalProcess(self, name: str) -> None:
        if self.over:
            raise ProcessExitedAlready
        self.signals.append(name)
        if name == "KILL" or not self.reactor.stubborn:
            self.reactor.callLater(0, self.end, None if name == "TERM" else 9)

    def end(self, signal: int | None = None) -> None:
        """It is gone, and its end is told."""
        self.over = True
        reason = ProcessDone(0) if signal is None else ProcessTerminated(signal=signal)
        self.protocol.processEnded(Failure(reason))


class FakeReactor(Clock):
    """A clock, UDP sockets, and child processes."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: list[FakePort] = []
        self.sent: list[tuple[tuple[str, int], bytes]] = []
        self.daemons: dict[tuple[str, int], FakeDaemon] = {}
        self.processes: list[FakeProcess] = []
        self.stubborn = False  # processes that ignore TERM
        self.listen_error: Exception | None = None

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        while any(call.getTime() <= self.seconds() for call in self.getDelayedCalls()):
            self.advance(0)

    def listenUDP(
        self, port: int, protocol: DatagramProtocol, interface: str = "", maxPacketSize: int = 8192
    ) -> FakePort:
        if self.listen_error is not None:
            raise self.listen_error
        made = FakePort(self, protocol, interface, maxPacketSize)
        self.ports.append(made)
        protocol.makeConnection(made)
        return made

    def spawnProcess(
        self, processProtocol: ProcessProtocol, executable: str, args: Sequence[str], env: Any = (), path: Any = None
    ) -> FakeProcess:
        assert executable == args[0] and env is None
        process = FakeProcess(self, processProtocol, args)
        self.processes.append(process)
        processProtocol.makeConnection(process)
        return process


class FakeDaemon:
    """One rtpengine."""

    def __init__(self, reactor: FakeReactor, host: str = FIRST, port: int = PORT) -> None:
        self.reactor = reactor
        self.address = (host, port)
        self.commands: list[dict[bytes, Any]] = []
        self.datagrams: list[bytes] = []
        self.sessions: set[bytes] = set()
        self.delay = 0.0
        self.silent = False
        self.replies: list[bytes] = []
        self.result: dict[bytes, Any] | None = None
        self.counted: dict[bytes, Any] = {b"result": b"ok"}  # the reply to a query
        self.keeps_formats = False  # a description has those that it came with, instead of PCMU
        self.connection = b""  # lines that its descriptions have besides
        self.warning = b""
        self.software = b""  # by which it calls itself in descriptions of its own, which it makes only if there is one
        self.dies_after = b""  # silent after its reply to the first command of that name
        self.started = reactor.seconds()
        self.timeouts = 0  # sessions that it has given up
        self.statistics: dict[bytes, Any] | None = None  # the whole reply
        self._cache: dict[bytes, bytes] = {}
        reactor.daemons[self.address] = self

    def asked(self) -> list[bytes]:
        """The names of the commands that it did."""
        return [command[b"command"] for command in self.commands]

    def received(self, data: bytes, port: FakePort) -> None:
        self.datagrams.append(data)
        if self.silent:
            return
        cookie, _, body = data.partition(b" ")
        if cookie not in self._cache:
            command = bencodepy.decode(body)
            if command[b"command"] not in (b"publish", b"statistics"):
                self.commands.append(command)
            self._cache[cookie] = self.replies.pop(0) if self.replies else bencodepy.encode(self._do(command))
        if self.dies_after and self.commands and self.commands[-1][b"command"] == self.dies_after:
            self.silent = True
        reply = cookie + b" " + self._cache[cookie]
        self.reactor.callLater(self.delay, port.deliver, reply, self.address)

    def _do(self, command: dict[bytes, Any]) -> dict[bytes, Any]:
        name, call_id = command[b"command"], command.get(b"call-id", b"")
        if name == b"publish":
            if not self.software:
                return {b"result": b"error", b"error-reason": b"Unrecognized command"}
            self.sessions.add(call_id)
            return {b"result": b"ok", b"sdp": b"v=0\r\ns=" + self.software + b"\r\nt=0 0\r\n"}
        if name == b"ping":
            return {b"result": b"pong"}
        if name == b"statistics":
            if self.statistics is not None:
                return self.statistics
            total = {b"uptime": b"%d" % (self.reactor.seconds() - self.started), b"timeoutsessions": self.timeouts}
            return {b"result": b"ok", b"statistics": {b"totalstatistics": total}}
        if name == b"list":
            return {b"result": b"ok", b"calls": sorted(self.sessions)[: command.get(b"limit", 32)]}
        if name == b"delete":
            if call_id not in self.sessions:
                return UNKNOWN
            if b"via-branch" not in command:
                self.sessions.discard(call_id)
            return {b"result": b"ok"}
        if name == b"query":
            return self.counted if call_id in self.sessions else LOST
        if self.result is not None:
            return self.result
        self.sessions.add(call_id)
        first, _, more = command.get(b"sdp", b"").partition(b"\r\nm=")[2].partition(b"\r\n")
        formats = first.split(b" ", 3)[3] if self.keeps_formats else b"0"
        media = b"m=audio 30000 RTP/AVP " + formats + b"\r\n" + more + self.connection
        reply = {b"result": b"ok", b"sdp": b"v=0\r\n" + media + b"a=label:" + name + b"\r\na=mid:0\r\n"}
        return {**reply, b"warning": self.warning} if self.warning else reply
