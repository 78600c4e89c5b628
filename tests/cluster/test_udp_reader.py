"""The UDP sockets that all workers share: what the hub reads goes to one worker."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.cluster.ownership import HUB
from webrtcproxy.cluster.udp_reader import SharedUdpReader
from webrtcproxy.transport.sip.sockets import RELISTEN
from webrtcproxy.transport.sip.udp import MAX_DATAGRAM

SOURCE = ("198.51.100.7", 5060)


class Port:
    """An adopted socket; it is closed by the test or by `stopListening`."""

    def __init__(self, protocol: DatagramProtocol) -> None:
        self.protocol = protocol

    def stopListening(self) -> None:
        self.protocol.stopProtocol()


class Reactor(Clock):
    """Adopts sockets in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.adopted: list[tuple[int, int, Port, int]] = []

    def adoptDatagramPort(self, descriptor: int, family: int, protocol: DatagramProtocol, size: int) -> Port:
        port = Port(protocol)
        self.adopted.append((descriptor, family, port, size))
        return port


class Shared:
    """A socket of the hub's."""

    def __init__(self, descriptor: int, family: int) -> None:
        self.family = family
        self.fileno = lambda: descriptor


class ReaderTests(SynchronousTestCase):
    """One socket with IPv4 (line 0) and one with IPv6 (line 2); two workers are up."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.notes: list[str] = []
        self.sent: list[tuple[int, dict[str, Any], bytes]] = []
        self.shared = {0: Shared(11, socket.AF_INET), 2: Shared(13, socket.AF_INET6)}
        self.up = [1, 2]
        self.chosen: int | Exception = 2
        self.reader = SharedUdpReader(self.reactor, self, self, self)  # type: ignore[arg-type]

    # The sockets, the dispatcher and the hub, as far as the reader needs them

    def open(self) -> None:
        self.notes.append("open")

    def close(self) -> None:
        self.notes.append("close")

    def choose(self, data: bytes, up: list[int]) -> int:
        self.assertEqual(up, [1, 2])
        if isinstance(self.chosen, Exception):
            raise self.chosen
        return self.chosen

    def send(self, worker: int, header: dict[str, Any], body: bytes) -> None:
        self.sent.append((worker, header, body))

    def start(self) -> DatagramProtocol:
        """Start the reader; the protocol of its first socket."""
        self.reader.privilegedStartService()
        self.reader.startService()
        return self.reactor.adopted[0][2].protocol

    def test_adopts_each(self) -> None:
        """The sockets are opened while low ports may be had, and each is read with its family and whole datagrams."""
        self.start()
        self.assertEqual(self.notes[0], "open")
        self.assertEqual(
            [(descriptor, family, size) for descriptor, family, _, size in self.reactor.adopted],
            [(11, socket.AF_INET, MAX_DATAGRAM), (13, socket.AF_INET6, MAX_DATAGRAM)],
        )

    def test_datagram(self) -> None:
        """A datagram goes to the worker that is chosen, with the number of its line and its source; nothing more of an
        IPv6 source than host and port."""
        self.start().datagramReceived(b"data", SOURCE)
        self.reactor.adopted[1][2].protocol.datagramReceived(b"six", ("2001:db8::1", 5060, 0, 0))  # type: ignore[arg-type]
        self.assertEqual(
            self.sent,
            [
                (2, {"do": "datagram", "line": 0, "source": SOURCE}, b"data"),
                (2, {"do": "datagram", "line": 2, "source": ("2001:db8::1", 5060)}, b"six"),
            ],
        )

    def test_nobody(self) -> None:
        """A datagram for no worker is dropped, and so are keep-alives."""
        protocol = self.start()
        protocol.datagramReceived(b"\r\n\r\n", SOURCE)
        self.chosen = HUB
        protocol.datagramReceived(b"data", SOURCE)
        self.assertEqual(self.sent, [])

    def test_exception(self) -> None:
        """An exception while one datagram is handled is logged, and the next one is read."""
        protocol = self.start()
        self.chosen = ZeroDivisionError()
        protocol.datagramReceived(b"bad", SOURCE)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.chosen = 1
        protocol.datagramReceived(b"good", SOURCE)
        self.assertEqual([body for _, _, body in self.sent], [b"good"])

    def test_broken(self) -> None:
        """A socket that the kernel takes away is read again after a moment."""
        self.start().stopProtocol()
        self.assertEqual(len(self.reactor.adopted), 2)
        self.reactor.advance(RELISTEN)
        self.assertEqual([descriptor for descriptor, *_ in self.reactor.adopted], [11, 13, 11])

    def test_broken_for_ever(self) -> None:
        """It is not read again where it is no longer shared."""
        self.start().stopProtocol()
        del self.shared[0]
        self.reactor.advance(RELISTEN)
        self.assertEqual(len(self.reactor.adopted), 2)

    def test_stop(self) -> None:
        """Stopping closes what is read, then the sockets of all workers; nothing is read again."""
        self.start()
        stopped: Deferred[None] = self.reader.stopService()
        self.successResultOf(stopped)
        self.assertEqual(self.notes[-1], "close")
        self.reactor.advance(RELISTEN)
        self.assertEqual((len(self.reactor.adopted), self.reactor.getDelayedCalls()), (2, []))
