"""Which connections there may be over SIP's TCP, and for how long."""

from tests.support.wire import Wire, options
from tests.transport.sip.test_tcp import TcpCase
from webrtcproxy.transport.connection import ConnectionLimits
from webrtcproxy.transport.flow import Address
from webrtcproxy.transport.local import LocalAddresses
from webrtcproxy.transport.sip import tcp, tls
from webrtcproxy.transport.sip.slots import Slots
from webrtcproxy.transport.sip.trunk_tls import TrunkTls


class Strangers(TcpCase):
    """Connections from addresses that are no trunk's: a peer of a dialog may be among them, so they are taken, but few
    and for a short time (docs/access.rst)."""

    def setUp(self) -> None:
        super().setUp()
        self.known = {"198.51.100.9"}
        limits = ConnectionLimits(10, 10), ConnectionLimits(6, 2)
        self.transport = self.make(Slots(self.known.__contains__, *limits))

    def refused(self, peer: str) -> bool:
        """Whether a connection from there is closed at once."""
        return self.transport.buildProtocol(Wire(peer).getPeer()) is None

    def test_share(self) -> None:
        """However many addresses they have, strangers take their share and no more; trunks find the whole of theirs."""
        wires = [self.accept(f"203.0.113.{number}") for number in (1, 1, 2, 2, 3, 4)]
        self.assertTrue(self.refused("203.0.113.5"))
        trunks = [self.accept() for _ in range(10)]
        self.assertTrue(self.refused("198.51.100.9"))
        for wire in (*wires, *trunks):
            wire.lose()
        self.assertEqual([self.refused("203.0.113.5"), self.refused("198.51.100.9")], [False, False])

    def test_per_address(self) -> None:
        """One stranger has few of them; the addresses of an IPv6 /64 are one (RFC 6177)."""
        for number in (1, 2):
            self.accept(f"2001:db8::{number}")
        self.assertTrue(self.refused("2001:db8::3"))
        self.accept("2001:db8:0:1::1")

    def test_banned(self) -> None:
        """A stranger that is banned can't connect, and what it has open is cut, but for the connection that a dialog
        uses; a trunk is never refused (docs/access.rst, Strangers)."""
        banned = {"203.0.113.1", "198.51.100.9"}
        self.transport = self.make(Slots(self.known.__contains__, is_banned=banned.__contains__))
        other, trunk = self.accept("203.0.113.2"), self.accept()
        banned.clear()
        idle, used = self.accept("203.0.113.1"), self.accept("203.0.113.1")
        used.deliver(options("TCP"))
        self.receiver.flow.on_lost(lambda: None)
        banned.add("203.0.113.1")
        self.assertTrue(self.refused("203.0.113.1"))
        for host in ("203.0.113.1", "198.51.100.9"):
            self.transport.cut(host)
        self.assertEqual([wire.disconnecting for wire in (idle, used, other, trunk)], [True, False, False, False])

    def test_messages_buy_nothing(self) -> None:
        """Neither silence nor pings nor messages keep a stranger's connection open."""
        for data in (b"", b"\r\n\r\n", options("TCP"), b"OPTIONS"):
            wire = self.accept("203.0.113.1")
            for _ in range(5):
                self.assertFalse(wire.disconnecting)
                wire.deliver(data)
                self.reactor.advance(tcp.STRANGER / 5)
            self.assertTrue(wire.disconnecting, data)
            wire.settle()

    def test_in_use(self) -> None:
        """What a dialog or a transaction uses stays; not longer."""
        wire = self.accept("203.0.113.1")
        wire.deliver(options("TCP"))
        forget = self.receiver.flow.on_lost(lambda: None)
        self.reactor.pump([tcp.STRANGER] * 200)
        self.assertFalse(wire.disconnecting)
        forget()
        self.reactor.advance(tcp.STRANGER)
        self.assertTrue(wire.disconnecting)

    def test_known_later(self) -> None:
        """Where the trunk's name is resolved after it has connected, its connection is a trunk's from then on, and is
        counted so."""
        wires = [self.accept("203.0.113.1") for _ in range(2)]
        for wire in wires:
            wire.deliver(options("TCP"))
        self.known.add("203.0.113.1")
        self.reactor.advance(tcp.STRANGER)
        self.known.clear()
        self.accept("203.0.113.1")
        self.reactor.pump([tcp.FIRST_MESSAGE, tcp.IDLE - 1])
        self.assertEqual([wire.disconnecting for wire in wires], [False, False])
        wires[0].deliver(options("TCP"))
        self.reactor.advance(1)
        self.assertEqual([wire.disconnecting for wire in wires], [False, True])

    def test_dialled(self) -> None:
        """A connection of ours is not a stranger's, wherever it leads."""
        self.transport.flow_to(Address("203.0.113.1", 5060)).send(b"x")
        wire = self.dialled()
        self.reactor.advance(tcp.IDLE)
        self.assertFalse(wire.disconnecting)

    def test_under_tls(self) -> None:
        """Over TLS a connection that is one too many is cut before its handshake, without a failure in the log."""
        full = Slots(known=ConnectionLimits(0, 0))
        transport = tls.TlsTransport(self.reactor, self.receiver, LocalAddresses(), TrunkTls(), full, self.metrics)
        wire = Wire("198.51.100.9")
        protocol = transport.buildProtocol(wire.getPeer())
        self.assertIsNotNone(protocol)
        wire.attach(protocol)
        self.assertTrue(wire.aborted)
        self.assertEqual(wire.take(), b"")
