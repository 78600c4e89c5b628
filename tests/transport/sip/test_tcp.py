"""SIP over TCP (RFC 3261 section 18)."""

from twisted.internet.error import ConnectionRefusedError
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.exposition import Readings
from tests.support.wire import Recorder, Wire, options
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.transport.connection import Backpressure, ConnectionLimits
from webrtcproxy.transport.flow import Address
from webrtcproxy.transport.local import LocalAddresses
from webrtcproxy.transport.sip import tcp, tcp_flow
from webrtcproxy.transport.sip.slots import CONNECTIONS, Slots

TRUNK = Address("198.51.100.9", 5060)


class TcpCase(SynchronousTestCase):
    """A listener at 192.0.2.1:5060, and connections to it and from it."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.receiver = Recorder()
        self.metrics = Metrics()
        self.transport = self.make(Slots(known=ConnectionLimits(10, 3)))

    def make(self, slots: Slots | None = None) -> tcp.TcpTransport:
        """A listener."""
        transport = tcp.TcpTransport(self.reactor, self.receiver, LocalAddresses(), slots, self.metrics)
        transport.bound(Address("192.0.2.1", 5060))
        return transport

    def accept(self, peer: str = "198.51.100.9") -> Wire:
        """A peer connects."""
        wire = Wire(peer)
        protocol = self.transport.buildProtocol(wire.getPeer())
        self.assertIsNotNone(protocol)
        return wire.attach(protocol)

    def dialled(self) -> Wire:
        """The connection that was asked for last is made."""
        host, port, factory, _timeout, _bind = self.reactor.tcpClients[-1]
        wire = Wire(host, port)
        protocol = factory.buildProtocol(wire.getPeer())
        return wire.attach(protocol)


class Domains(TcpCase):
    """TCP has no certificates."""

    def test_one_connection(self) -> None:
        """The name by which a trunk was found makes no difference: there is one connection."""
        flow = self.transport.flow_to(TRUNK, "pbx.example.com")
        flow.send(options("TCP"))
        self.dialled()
        self.assertIs(self.transport.flow_to(TRUNK, "198.51.100.9"), flow)
        self.assertIs(self.transport.flow_to(TRUNK), flow)


class Accepted(TcpCase):
    """Connections that peers open."""

    def test_request(self) -> None:
        """A request, however TCP cuts it, is answered on its connection, with `received` (RFC 3261 section 18.2)."""
        wire = self.accept()
        wire.deliver(options("TCP", "pbx.example.com") * 2, size=7)
        self.assertEqual(len(self.receiver.messages), 2)
        self.assertEqual(wire.take().count(b"SIP/2.0 200 OK\r\n"), 2)
        via = self.receiver.messages[0][0].via
        self.assertEqual(via.received, "198.51.100.9")

    def test_flow(self) -> None:
        """What the flow says of itself."""
        self.accept().deliver(options("TCP"))
        flow = self.receiver.flow
        self.assertEqual(flow.peer, Address("198.51.100.9", 40000))
        self.assertEqual((flow.via_transport, flow.reliable, flow.browser, flow.closed), ("TCP", True, False, False))
        self.assertEqual((flow.opened, flow.sent_by), (True, "192.0.2.1:5060"))
        self.assertEqual(repr(flow), "<TcpFlow 198.51.100.9 port 40000>")

    def test_keep_alive(self) -> None:
        """CRLFCRLF is answered with CRLF, a lone CRLF with nothing (RFC 5626 section 4.4.1)."""
        wire = self.accept()
        wire.deliver(b"\r\n\r\n")
        self.assertEqual(wire.take(), b"\r\n")
        wire.deliver(b"\r\n" + options("TCP"))
        self.assertEqual(len(self.receiver.messages), 1)

    def test_no_content_length(self) -> None:
        """Without Content-Length nobody knows where the next message begins: 400 and close (row "Content-Length")."""
        wire = self.accept()
        wire.deliver(options("TCP") + options("TCP").replace(b"Content-Length: 0\r\n", b"") + options("TCP"))
        answers = wire.take()
        self.assertEqual(len(self.receiver.messages), 1)
        self.assertIn(b"SIP/2.0 400 Missing Content-Length", answers)
        self.assertIn(b"received=198.51.100.9", answers)
        self.assertTrue(wire.disconnecting)
        wire.deliver(options("TCP"))
        self.assertEqual(len(self.receiver.messages), 1)

    def test_two_lengths(self) -> None:
        """Nor where there are two: 400 and close."""
        wire = self.accept()
        wire.deliver(options("TCP").replace(b"Content-Length: 0", b"Content-Length: 0\r\nl: 3") + options("TCP"))
        self.assertIn(b"SIP/2.0 400 Bad Content-Length", wire.take())
        self.assertTrue(wire.disconnecting)
        self.assertEqual(self.receiver.messages, [])

    def test_too_large(self) -> None:
        """A message that is too large ends the connection, by its announced length."""
        wire = self.accept()
        wire.deliver(options("TCP").replace(b"Content-Length: 0", b"Content-Length: 70000"))
        self.assertIn(b"SIP/2.0 513 ", wire.take())
        self.assertTrue(wire.disconnecting)

    def test_endless(self) -> None:
        """So does one whose headers never end."""
        wire = self.accept()
        wire.deliver(b"x" * 70000, size=1000)
        self.assertTrue(wire.disconnecting)
        self.assertEqual(wire.take(), b"")

    def test_bad_message(self) -> None:
        """A broken message whose end is known is answered, and the connection stays."""
        wire = self.accept()
        wire.deliver(
            options("TCP").replace(b"CSeq: 1 OPTIONS\r\n", b"") + b"SIP/2.0 200\r\nl: 0\r\n\r\n" + options("TCP")
        )
        self.assertIn(b"SIP/2.0 400 Missing CSeq", wire.take())
        self.assertEqual((len(self.receiver.errors), len(self.receiver.messages)), (2, 1))
        self.assertFalse(wire.disconnecting)

    def test_response(self) -> None:
        """A response is handed on as it is."""
        self.accept().deliver(options("TCP").replace(b"OPTIONS sip:a@example.com SIP/2.0", b"SIP/2.0 200 OK"))
        self.assertIsNone(self.receiver.messages[0][0].via.received)

    def test_receiver_fails(self) -> None:
        """An internal error is logged; the connection stays."""
        self.receiver.message_received = lambda message, flow: 1 / 0
        wire = self.accept()
        wire.deliver(options("TCP"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        wire.deliver(b"\r\n\r\n")
        self.assertEqual(wire.take(), b"\r\n")

    def test_receiver_fails_on_lost_framing(self) -> None:
        """Even then the connection is closed."""
        self.receiver.bad_message = lambda error, flow: 1 / 0
        wire = self.accept()
        wire.deliver(options("TCP").replace(b"Content-Length: 0\r\n", b""))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(wire.disconnecting)

    def test_closed_by_receiver(self) -> None:
        """Once the flow is closed, what else has arrived is not handed on."""
        self.receiver.message_received = lambda message, flow: (self.receiver.messages.append(message), flow.close())
        wire = self.accept()
        wire.deliver(options("TCP") * 3)
        self.assertEqual(len(self.receiver.messages), 1)

    def test_lost(self) -> None:
        """A connection that is lost: `on_lost` once, and FlowLost from then on."""
        wire, lost = self.accept(), []
        wire.deliver(options("TCP"))
        flow = self.receiver.flow
        flow.on_lost(lambda: lost.append(True))
        wire.lose()
        self.assertEqual((lost, flow.closed), ([True], True))
        self.assertRaises(FlowLost, flow.send, b"x")
        flow.close()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_close(self) -> None:
        """`close` closes, and cuts a peer that keeps the connection."""
        wire = self.accept()
        wire.deliver(options("TCP"))
        self.receiver.flow.close()
        self.assertEqual((wire.disconnecting, wire.aborted), (True, False))
        self.assertRaises(FlowLost, self.receiver.flow.send, b"x")
        self.reactor.advance(tcp.LINGER)
        self.assertTrue(wire.aborted)

    def test_limits(self) -> None:
        """Too many connections, from one address or in all, are closed at once, and counted."""
        readings = Readings(self.metrics)
        wires = [self.accept() for _ in range(3)]
        self.assertIsNone(self.transport.buildProtocol(wires[0].getPeer()))
        wires += [self.accept(f"203.0.113.{place}") for place in range(7)]
        self.assertIsNone(self.transport.buildProtocol(Wire("192.0.2.99").getPeer()))
        self.assertEqual(readings.moved(), {'refused_total{reason="connections_limit"}': 2})
        wires[0].lose()
        self.accept()

    def test_silent(self) -> None:
        """One that connects and sends no message is closed; a drop now and then is no message."""
        wire = self.accept()
        self.reactor.advance(tcp.FIRST_MESSAGE - 1)
        wire.deliver(b"OPTIONS")
        self.assertFalse(wire.disconnecting)
        self.reactor.advance(1)
        self.assertTrue(wire.disconnecting)

    def test_idle(self) -> None:
        """A connection that goes idle is closed, unless somebody waits to learn of its end."""
        wire, lost = self.accept(), []
        wire.deliver(options("TCP"))
        forget = self.receiver.flow.on_lost(lambda: lost.append(True))
        self.reactor.advance(tcp.FIRST_MESSAGE)
        self.reactor.pump([tcp.IDLE] * 3)
        self.assertFalse(wire.disconnecting)
        wire.deliver(b"\r\n\r\n")
        forget()
        self.reactor.advance(tcp.IDLE)
        self.assertFalse(wire.disconnecting)
        self.reactor.advance(tcp.IDLE)
        self.assertTrue(wire.disconnecting)

    def test_slow_reader(self) -> None:
        """What waits for a peer that does not read is bounded; then the connection is cut (row "Back-pressure")."""
        wire, lost = self.accept(), []
        wire.deliver(options("TCP"))
        flow = self.receiver.flow
        flow.on_lost(lambda: lost.append(True))
        wire.stop_reading()
        flow.send(b"x")
        self.assertFalse(wire.reading)
        flow.send(b"x" * Backpressure.MAX_WAITING)
        self.assertRaises(FlowLost, flow.send, b"x")
        self.assertEqual((wire.aborted, lost), (True, []))
        wire.settle()
        self.assertEqual(lost, [True])
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class Dialled(TcpCase):
    """Our connections."""

    def test_first_send_connects(self) -> None:
        """The first message opens the connection, later ones wait for it, all leave in order."""
        flow = self.transport.flow_to(TRUNK)
        self.assertEqual(self.reactor.tcpClients, [])
        flow.send(b"one")
        flow.send(b"two")
        self.assertEqual(len(self.reactor.tcpClients), 1)
        host, port, _factory, timeout, bind = self.reactor.tcpClients[0]
        self.assertEqual((host, port, timeout, bind), ("198.51.100.9", 5060, tcp.CONNECT, ("192.0.2.1", 0)))
        wire = self.dialled()
        self.assertEqual(wire.take(), b"onetwo")
        flow.send(b"three")
        self.assertEqual(wire.take(), b"three")

    def test_reused(self) -> None:
        """One connection for one address; a new one once it is lost."""
        flow = self.transport.flow_to(TRUNK)
        flow.send(b"x")
        self.assertIs(self.transport.flow_to(TRUNK), flow)
        wire = self.dialled()
        self.assertIs(self.transport.flow_to(TRUNK), flow)
        self.assertIsNot(self.transport.flow_to(Address("198.51.100.9", 5061)), flow)
        wire.lose()
        again = self.transport.flow_to(TRUNK)
        self.assertIsNot(again, flow)
        again.send(b"x")
        self.assertEqual(len(self.reactor.tcpClients), 2)

    def test_responses(self) -> None:
        """What the peer sends on our connection arrives by the same flow."""
        flow = self.transport.flow_to(TRUNK)
        flow.send(b"x")
        self.dialled().deliver(options("TCP"))
        self.assertIs(self.receiver.flow, flow)

    def test_not_made(self) -> None:
        """A connection that can't be made: `on_lost`, not from inside `send`, and FlowLost from then on."""
        flow, lost = self.transport.flow_to(TRUNK), []
        flow.on_lost(lambda: lost.append(True))
        flow.send(b"x")
        factory = self.reactor.tcpClients[0][2]
        factory.clientConnectionFailed(None, Failure(ConnectionRefusedError()))
        self.assertEqual(lost, [])
        self.reactor.advance(0)
        self.assertEqual((lost, flow.closed, flow.opened), ([True], True, False))
        self.assertRaises(FlowLost, flow.send, b"x")
        self.assertIsNot(self.transport.flow_to(TRUNK), flow)

    def test_fails_at_once(self) -> None:
        """The same where connecting fails on the spot."""
        self.reactor.connectTCP = lambda *args, **kwargs: 1 / 0
        flow, lost = self.transport.flow_to(TRUNK), []
        flow.on_lost(lambda: lost.append(True))
        flow.send(b"x")
        self.assertEqual(lost, [])
        self.reactor.advance(0)
        self.assertEqual(lost, [True])

    def test_queue_is_bounded(self) -> None:
        """What waits for a connection to be made is bounded."""
        flow = self.transport.flow_to(TRUNK)
        flow.send(b"x" * tcp_flow.QUEUE)
        self.assertRaises(FlowLost, flow.send, b"x")

    def test_closed_while_connecting(self) -> None:
        """A flow that is closed before it is connected is closed when it is."""
        flow = self.transport.flow_to(TRUNK)
        flow.send(b"x")
        flow.close()
        wire = self.dialled()
        self.assertTrue(wire.disconnecting)
        wire.settle()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_ipv6_and_wildcard(self) -> None:
        """An IPv6 peer; a listener on all addresses binds nothing."""
        self.transport.bound(Address("::", 5060))
        self.transport.flow_to(Address("2001:db8::9", 5060)).send(b"x")
        host, _port, _factory, _timeout, bind = self.reactor.tcpClients[0]
        self.assertEqual((host, bind), ("2001:db8::9", None))

    def test_stop(self) -> None:
        """Stopping closes all connections, whoever opened them, and those that are being made."""
        accepted = self.accept()
        self.transport.flow_to(TRUNK).send(b"x")
        made = self.dialled()
        pending = self.transport.flow_to(Address("198.51.100.10", 5060))
        pending.send(b"x")
        done = []
        self.transport.stop().addCallback(done.append)
        self.assertTrue(pending.closed)
        for wire in (accepted, made):
            self.assertTrue(wire.disconnecting)
            self.assertEqual(done, [])
            wire.settle()
        self.assertEqual(done, [None])
        self.assertIsNone(self.transport.buildProtocol(accepted.getPeer()))

    def test_limits_of_its_own(self) -> None:
        """A listener that is given none has limits nevertheless."""
        transport = self.make()
        for number in range(CONNECTIONS):
            peer = Wire(f"10.1.{number // 100}.1").getPeer()
            Wire(peer.host).attach(transport.buildProtocol(peer))
        self.assertIsNone(transport.buildProtocol(Wire("10.2.0.1").getPeer()))
