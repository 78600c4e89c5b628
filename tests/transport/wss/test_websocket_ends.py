"""How a WebSocket ends: closed by either side, without a pong, with a peer that does not read (RFC 6455)."""

import struct

from tests.support.wire import frame, frames, options
from tests.transport.case import BrowsersCase
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.transport.connection import Backpressure
from webrtcproxy.transport.wss import websocket

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


class Ends(BrowsersCase):
    """How a connection ends, and who learns of it."""

    def flow_of(self, wire):
        """The flow of an open WebSocket."""
        self.send(wire, options())
        return self.receiver.flow

    def test_peer_closes(self) -> None:
        """A close frame is answered with its code, and the connection ended (RFC 6455 section 5.5.1)."""
        wire = self.open()
        flow, lost = self.flow_of(wire), []
        flow.on_lost(lambda: lost.append("lost"))
        (answer,) = self.send(wire, struct.pack("!H", 1001) + b"bye", CLOSE)
        self.assertEqual((answer.opcode, answer.code), (CLOSE, 1001))
        self.assertTrue(wire.disconnecting)
        self.assertTrue(flow.closed)
        self.assertRaises(FlowLost, flow.send, b"x")
        wire.settle()
        self.assertEqual(lost, ["lost"])
        self.assertEqual(self.browsers.connections, 0)

    def test_peer_lingers(self) -> None:
        """A peer that keeps the TCP connection after the closing handshake is cut."""
        wire = self.open()
        self.send(wire, struct.pack("!H", 1000), CLOSE)
        self.assertFalse(wire.aborted)
        self.reactor.advance(websocket.LINGER)
        self.assertTrue(wire.aborted)

    def test_we_close(self) -> None:
        """`close` sends the code and reason; the peer's half ends the connection, and then `on_lost` is called."""
        wire = self.open()
        flow, lost = self.flow_of(wire), []
        flow.on_lost(lambda: lost.append("lost"))
        flow.close(1008, "no")
        self.assertTrue(flow.closed)
        self.assertEqual(lost, [])
        close = self.assert_closing(wire, 1008)
        self.assertEqual(close.payload[2:], b"no")
        wire.deliver(frame(close.payload, CLOSE))
        wire.settle()
        self.assertEqual(lost, ["lost"])
        flow.close()
        self.assertEqual(wire.take(), b"")

    def test_no_answer_to_close(self) -> None:
        """A peer that does not answer the close frame is cut after two seconds."""
        wire = self.open()
        self.flow_of(wire).close()
        self.reactor.advance(1.9)
        self.assertFalse(wire.aborted)
        self.reactor.advance(0.1)
        self.assertTrue(wire.aborted)

    def test_messages_while_closing(self) -> None:
        """What arrives after our close frame is not handed on."""
        wire = self.open()
        self.flow_of(wire).close()
        wire.deliver(frame(options()))
        self.assertEqual(len(self.receiver.messages), 1)

    def test_lost(self) -> None:
        """A connection that breaks: `on_lost` once, but not for the one that took it back; a late wish is heard
        soon."""
        wire = self.open()
        flow, heard = self.flow_of(wire), []
        flow.on_lost(lambda: heard.append("one"))
        forget = flow.on_lost(lambda: heard.append("two"))
        forget()
        forget()
        wire.lose()
        self.assertEqual(heard, ["one"])
        flow.on_lost(lambda: heard.append("late"))
        flow.on_lost(lambda: heard.append("never"))()
        self.assertEqual(heard, ["one"])
        self.reactor.advance(0)
        self.assertEqual(heard, ["one", "late"])

    def test_listener_fails(self) -> None:
        """A listener that fails keeps no other from hearing; one may take back another's wish."""
        wire = self.open()
        flow, heard, takes_back = self.flow_of(wire), [], []
        flow.on_lost(lambda: 1 / 0)
        flow.on_lost(lambda: takes_back[0]())
        takes_back.append(flow.on_lost(lambda: heard.append("taken back")))
        flow.on_lost(lambda: heard.append("heard"))
        wire.lose()
        self.assertEqual(heard, ["heard"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_nothing_left(self) -> None:
        """After a lost connection no timer is left."""
        wire = self.open()
        self.flow_of(wire).close()
        wire.lose()
        self.assertEqual(self.reactor.getDelayedCalls(), [self.browsers._heartbeat.call])

    def test_send_in_lost(self) -> None:
        """One that sends on hearing that the connection is lost gets FlowLost."""
        wire = self.open()
        flow = self.flow_of(wire)
        flow.on_lost(lambda: self.assertRaises(FlowLost, flow.send, b"x"))
        wire.lose()
        self.assertTrue(flow.closed)


class Pings(BrowsersCase):
    """Peers that have vanished (row "Keep-alive payloads")."""

    options = {"ping": 30, "ping_timeout": 10}

    def advance(self, seconds: float) -> None:
        """Time passes, in steps as a reactor has them."""
        self.reactor.pump([0.5] * int(seconds * 2))

    def test_ping(self) -> None:
        """A peer that was silent for `ping` seconds gets one ping."""
        wire = self.open()
        self.advance(29)
        self.assertEqual(wire.take(), b"")
        self.advance(4)
        (ping,) = frames(wire.take())
        self.assertEqual(ping.opcode, PING)

    def test_half_open(self) -> None:
        """A peer that does not answer within `ping_timeout` is cut, and `on_lost` is called."""
        wire = self.open()
        self.send(wire, options())
        lost = []
        self.receiver.flow.on_lost(lambda: lost.append(True))
        self.advance(39)
        self.assertFalse(wire.aborted)
        self.advance(4)
        self.assertTrue(wire.aborted)
        wire.settle()
        self.assertEqual(lost, [True])

    def test_pong(self) -> None:
        """A pong keeps the connection."""
        wire = self.open()
        self.advance(33)
        wire.deliver(frame(b"", PONG))
        self.advance(29)
        self.assertFalse(wire.aborted)
        self.assertEqual(len(frames(wire.take())), 1)

    def test_traffic_counts(self) -> None:
        """Whoever sends anything is not pinged."""
        wire = self.open()
        for _ in range(10):
            self.advance(20)
            wire.deliver(frame(b"\r\n"))
        self.assertEqual(wire.take(), b"")

    def test_spread(self) -> None:
        """Browsers that came at once are not pinged at once, but all within one round of looks."""
        wires = [self.open() for _ in range(40)]
        pinged = []
        for _ in range(4 * 50):
            self.reactor.advance(0.25)
            pinged.append(sum(bool(wire.take()) for wire in wires))
        self.assertEqual((sum(pinged), max(pinged)), (40, 4))
        at = [step * 0.25 for step, count in enumerate(pinged, 1) if count]
        self.assertTrue(at[0] >= 30 and at[-1] <= 33, at)

    def test_suspended(self) -> None:
        """After the machine was suspended for an hour nobody is cut whose pong may wait in the socket, or who could not
        be pinged: the time in which nothing was read does not count."""
        pinged, other = self.open(), self.open()
        self.advance(32)
        other.deliver(frame(b"\r\n"))
        self.assertEqual([len(frames(wire.take())) for wire in (pinged, other)], [1, 1])
        self.reactor.advance(3600)
        self.advance(29)
        self.assertEqual((pinged.aborted, other.aborted), (False, False))
        self.advance(4)
        for wire in (pinged, other):
            self.assertEqual([each.opcode for each in frames(wire.take())], [PING])
        other.deliver(frame(b"", PONG))
        self.advance(11)
        self.assertEqual((pinged.aborted, other.aborted), (True, False))

    def test_gone_meanwhile(self) -> None:
        """A browser that goes before its turn is not looked at any more."""
        wires = [self.open() for _ in range(20)]
        self.reactor.advance(29.75)
        for _ in range(20):
            self.reactor.advance(0.25)
            for wire in wires:
                wire.take()
                wire.lose()
        self.assertEqual(self.browsers.connections, 0)
        self.assertEqual(self.browsers._unchecked, [])

    def test_closing(self) -> None:
        """Whoever is being said good-bye to is not pinged (RFC 6455 section 5.5.1)."""
        wire = self.open()
        self.send(wire, options())
        socket = next(iter(self.browsers._sockets))
        self.receiver.flow.close()
        wire.take()
        socket.check_alive(self.reactor.seconds() + 31)
        self.assertEqual(wire.take(), b"")

    def test_no_ping(self) -> None:
        """`ping` 0: never."""
        wire = self.open(self.make(ping=0))
        self.advance(100)
        self.assertEqual((wire.take(), wire.aborted), (b"", False))


class SlowReaders(BrowsersCase):
    """Back-pressure (row "Back-pressure")."""

    def setUp(self) -> None:
        super().setUp()
        self.wire = self.open()
        self.send(self.wire, options())
        self.flow = self.receiver.flow
        self.wire.stop_reading()
        self.flow.send(b"x")

    def test_reading_stops(self) -> None:
        """Nothing is read from a peer that does not read: it could make more and more answers wait."""
        self.assertFalse(self.wire.reading)
        self.wire.read_all()
        self.assertTrue(self.wire.reading)

    def test_too_much(self) -> None:
        """A bounded number of octets waits; then the connection is cut, FlowLost is raised, `on_lost` comes later."""
        lost = []
        self.flow.on_lost(lambda: lost.append(True))
        for _ in range(Backpressure.MAX_WAITING // 1000):
            self.flow.send(b"x" * 1000)
        self.assertRaises(FlowLost, self.flow.send, b"x" * 1000)
        self.assertTrue(self.wire.aborted)
        self.assertEqual(lost, [])
        self.assertRaises(FlowLost, self.flow.send, b"x")
        self.wire.settle()
        self.assertEqual(lost, [True])

    def test_too_long(self) -> None:
        """A peer that does not read for a while is cut, though little waits."""
        self.reactor.advance(Backpressure.READ_TIMEOUT - 1)
        self.assertFalse(self.wire.aborted)
        self.reactor.advance(1)
        self.assertTrue(self.wire.aborted)
        self.wire.settle()

    def test_lost_meanwhile(self) -> None:
        """A connection that is lost while something waits leaves no timer."""
        self.wire.lose()
        self.assertEqual(self.reactor.getDelayedCalls(), [self.browsers._heartbeat.call])

    def test_forgiven(self) -> None:
        """A peer that catches up starts again."""
        self.flow.send(b"x" * (Backpressure.MAX_WAITING - 10))
        self.wire.read_all()
        self.wire.stop_reading()
        self.flow.send(b"x")
        self.flow.send(b"x" * (Backpressure.MAX_WAITING - 10))
        self.reactor.advance(Backpressure.READ_TIMEOUT - 1)
        self.assertFalse(self.wire.aborted)
