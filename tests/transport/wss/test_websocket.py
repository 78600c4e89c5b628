"""SIP over WebSocket: framing, limits, close codes (RFC 6455, RFC 7118)."""

import random

from tests.support.wire import Recorder, frame, frames, options
from tests.transport.case import BrowsersCase
from webrtcproxy.sip.message import Response
from webrtcproxy.transport.wss import websocket
from webrtcproxy.transport.wss.frame import frame as frame_of
from webrtcproxy.transport.wss.websocket import FrameLimit

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10


class Messages(BrowsersCase):
    """What is one SIP message."""

    def test_text(self) -> None:
        """A text message is a SIP message, its answer goes back as text (RFC 7118 section 5; row "Text or binary")."""
        wire = self.open()
        (answer,) = self.send(wire, options())
        self.assertEqual((answer.opcode, answer.fin, answer.masked), (TEXT, True, False))
        self.assertTrue(answer.payload.startswith(b"SIP/2.0 200 OK\r\n"))

    def test_binary(self) -> None:
        """A binary message too; what is UTF-8 still goes back as text (row "Text or binary")."""
        (answer,) = self.send(self.open(), options(), BINARY)
        self.assertEqual(answer.opcode, TEXT)

    def test_binary_answer(self) -> None:
        """What is no UTF-8, such as a name in ISO-8859-1 from a trunk, goes as binary (row "Text or binary")."""
        wire = self.open()
        self.send(wire, options())
        self.receiver.flow.send(b"SIP/2.0 180 Gr\xfc\xdfe\r\n\r\n")
        self.receiver.flow.send("SIP/2.0 180 Grüße\r\n\r\n".encode())
        self.assertEqual([answer.opcode for answer in frames(wire.take())], [BINARY, TEXT])

    def test_two_lengths(self) -> None:
        """A message whose Content-Length contradicts itself is refused; where the next one begins is in no doubt, and
        the connection stays (RFC 7118 section 5)."""
        wire = self.open()
        (answer,) = self.send(wire, options().replace(b"Content-Length: 0", b"Content-Length: 0\r\nl: 3"))
        self.assertIn(b"SIP/2.0 400 Multiple Content-Length", answer.payload)
        (answer,) = self.send(wire, options())
        self.assertIn(b"SIP/2.0 200", answer.payload)

    def test_bad_text(self) -> None:
        """Text that is no UTF-8 ends the connection with 1007 (RFC 6455 section 8.1)."""
        wire = self.open()
        wire.deliver(frame(options() + b"\xff", TEXT))
        self.assert_closing(wire, 1007)
        self.assertEqual(self.receiver.messages, [])

    def test_cut_text(self) -> None:
        """Text that ends within a character ends the connection with 1007 (RFC 6455 section 8.1)."""
        wire = self.open()
        wire.deliver(frame(options() + b"\xc3", TEXT))
        self.assert_closing(wire, 1007)

    def test_sizes(self) -> None:
        """The three forms of a frame's length (RFC 6455 section 5.2)."""
        for size in (0, 125, 126, 65535, 65536, 70000):
            (found,) = frames(frame_of(b"x" * size))
            self.assertEqual(len(found.payload), size)

    def test_fragments(self) -> None:
        """Fragments are joined, a ping between them is answered at once (RFC 6455 section 5.4; row "Keep-alive")
        (original.rst: WebSocket, a fragmented message)."""
        wire, message = self.open(), options()
        self.assertEqual(self.send(wire, message[:50], TEXT, fin=False), [])
        (pong,) = self.send(wire, b"hello", PING)
        self.assertEqual((pong.opcode, pong.payload), (PONG, b"hello"))
        self.assertEqual(self.send(wire, message[50:90], CONTINUATION, fin=False), [])
        (answer,) = self.send(wire, message[90:], CONTINUATION)
        self.assertTrue(answer.payload.startswith(b"SIP/2.0 200"))
        self.assertEqual(len(self.receiver.messages), 1)

    def test_octet_by_octet(self) -> None:
        """Where TCP cuts does not matter."""
        wire = self.open()
        wire.deliver(frame(options()) + frame(options(), BINARY), size=1)
        self.assertEqual(len(frames(wire.take())), 2)

    def test_several_at_once(self) -> None:
        """Several WebSocket messages in one segment are several messages, in order."""
        wire = self.open()
        wire.deliver(frame(options()) + frame(b"\r\n\r\n") + frame(options()))
        self.assertEqual([found.payload[:7] for found in frames(wire.take())], [b"SIP/2.0", b"\r\n", b"SIP/2.0"])

    def test_two_messages(self) -> None:
        """Two SIP messages in one: 400 to the first, then 1002 (RFC 7118 section 5; row "One message")."""
        wire = self.open()
        answer, close = self.send(wire, options() * 2)
        self.assertTrue(answer.payload.startswith(b"SIP/2.0 400 More Than One Message"))
        self.assertEqual((close.opcode, close.code), (CLOSE, 1002))
        self.assertEqual(self.receiver.messages, [])

    def test_two_messages_without_length(self) -> None:
        """Two messages are two where the first has no Content-Length either: SIP is no body (RFC 7118 section 5)."""
        message = options().replace(b"Content-Length: 0\r\n", b"")
        answer, close = self.send(self.open(), message * 2)
        self.assertIn(b" 400 ", answer.payload)
        self.assertEqual(close.code, 1002)

    def test_two_responses(self) -> None:
        """Two responses in one: nothing is answered, and 1002."""
        wire = self.open()
        self.receiver.answer = False
        response = options().replace(b"OPTIONS sip:a@example.com SIP/2.0", b"SIP/2.0 200 OK")
        (close,) = self.send(wire, response * 2)
        self.assertEqual(close.code, 1002)
        self.assertIsNone(self.receiver.errors[0][0].request)

    def test_line_ends_after(self) -> None:
        """Line ends after a message are forgiven."""
        (answer,) = self.send(self.open(), options() + b"\r\n")
        self.assertIn(b" 200 ", answer.payload)

    def test_no_content_length(self) -> None:
        """Content-Length may be missing: the frame says where the body ends."""
        message = options().replace(b"Content-Length: 0\r\n", b"Content-Type: text/plain\r\n") + b"hello"
        (answer,) = self.send(self.open(), message)
        self.assertIn(b" 200 ", answer.payload)
        self.assertEqual(self.receiver.messages[0][0].body, b"hello")

    def test_bad_message(self) -> None:
        """A broken request is answered, and the connection stays."""
        wire = self.open()
        (answer,) = self.send(wire, options().replace(b"CSeq: 1 OPTIONS\r\n", b""))
        self.assertTrue(answer.payload.startswith(b"SIP/2.0 400 Missing CSeq"))
        self.assertEqual(self.send(wire, b"nonsense"), [])
        self.assertEqual(len(self.receiver.errors), 2)
        self.assertEqual(len(self.send(wire, options())), 1)

    def test_crlf(self) -> None:
        """CRLFCRLF is answered with CRLF, a lone CRLF and an empty message with nothing (row "Keep-alive payloads")
        (original.rst: WebSocket, ping and CRLF)."""
        wire = self.open()
        (answer,) = self.send(wire, b"\r\n\r\n")
        self.assertEqual((answer.opcode, answer.payload), (TEXT, b"\r\n"))
        self.assertEqual(self.send(wire, b"\r\n"), [])
        self.assertEqual(self.send(wire, b""), [])
        self.assertEqual(self.receiver.errors, [])

    def test_receiver_fails(self) -> None:
        """An internal error in a message is logged and ends that connection with 1011, no other."""
        other, wire = self.open(), self.open()
        self.receiver.message_received = lambda message, flow: 1 / 0
        (close,) = self.send(wire, options())
        self.assertEqual(close.code, 1011)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.send(other, b"\r\n\r\n")), 1)


class Source(BrowsersCase):
    """The top Via of a request (RFC 3261 section 18.2.1, RFC 3581, RFC 7118 section 5; row "Via")."""

    def test_received(self) -> None:
        """A Via with a name gets `received`, and is answered on the connection; nothing is looked up."""
        self.send(self.open(), options())
        via = self.receiver.messages[0][0].via
        self.assertEqual((via.host, via.received, via.rport), ("x.invalid", "192.0.2.7", None))

    def test_rport(self) -> None:
        """`rport` is filled in where it was asked for."""
        self.send(self.open(), options(sent_by="x.invalid;rport"))
        via = self.receiver.messages[0][0].via
        self.assertEqual((via.received, via.rport), ("192.0.2.7", "40000"))

    def test_flow(self) -> None:
        """What the flow says of itself: peer, sent-by with the advertised address, WS on a plain listener."""
        self.send(self.open(), options())
        flow = self.receiver.flow
        self.assertEqual(tuple(flow.peer), ("192.0.2.7", 40000))
        self.assertEqual(flow.sent_by, "203.0.113.7:443")
        self.assertEqual((flow.via_transport, flow.reliable, flow.browser, flow.closed), ("WS", True, True, False))
        self.assertEqual(repr(flow), "<WssFlow 192.0.2.7 port 40000>")

    def test_one_flow(self) -> None:
        """All messages of a connection come by one flow, those of another by another."""
        one, other = self.open(), self.open()
        for wire in (one, one, other):
            self.send(wire, options())
        flows = [flow for _, flow in self.receiver.messages]
        self.assertIs(flows[0], flows[1])
        self.assertIsNot(flows[0], flows[2])


class Violations(BrowsersCase):
    """Rules of RFC 6455, and the close code of each."""

    options = {"max_message": 1000, "ping": 0}
    frame_limit = FrameLimit(rate=10, burst=20)

    def test_unmasked(self) -> None:
        """A frame that is not masked: 1002 (RFC 6455 section 5.1; row "Masking")."""
        wire = self.open()
        wire.deliver(frame(options(), mask=False))
        self.assert_closing(wire, 1002)
        self.assertEqual(self.receiver.messages, [])

    def test_reserved(self) -> None:
        """Reserved bits and opcodes, a long or cut control frame, a stray continuation: 1002 (sections 5.2, 5.5)."""
        for bad in (
            b"\xf1" + frame(b"x")[1:],
            frame(b"x", 3),
            frame(b"x", 11),
            frame(b"x" * 126, PING),
            frame(b"x", PING, fin=False),
            frame(b"x", CONTINUATION),
        ):
            wire = self.open()
            wire.deliver(bad)
            self.assert_closing(wire, 1002)

    def test_too_large(self) -> None:
        """A message that is too large is refused by its announced length, before it is here: 1009 (row "Limits")
        (original.rst: a WebSocket message of more than 64 KiB)."""
        wire = self.open()
        wire.deliver(frame(b"", TEXT, length=1001))
        self.assert_closing(wire, 1009)

    def test_too_large_in_fragments(self) -> None:
        """Fragments count together: 1009."""
        wire = self.open()
        for opcode in (TEXT, CONTINUATION, CONTINUATION):
            wire.deliver(frame(b"x" * 400, opcode, fin=False))
        self.assert_closing(wire, 1009)

    def test_limit(self) -> None:
        """A message as large as allowed passes."""
        message = options().replace(b"Content-Length: 0", b"Subject: " + b"x" * 600)
        message += b"y" * (1000 - len(message))
        message = message.replace(b"Call-ID: one", b"Content-Type: a/b\r\nCall-ID: one")[:1000]
        self.send(self.open(), message)
        self.assertEqual(len(self.receiver.messages), 1)

    def test_empty_fragments(self) -> None:
        """Empty fragments without end grow no list: 1008."""
        browsers = self.make(FrameLimit(rate=1e6, burst=10**6))
        wire = self.open(browsers)
        wire.deliver(frame(b"", TEXT, fin=False) + frame(b"", CONTINUATION, fin=False) * websocket.FRAMES)
        self.assert_closing(wire, 1008)

    def test_rate(self) -> None:
        """Too many messages: 1008, nothing is read any more, two seconds later the connection is cut (row "Limits")."""
        wire = self.open()
        wire.deliver(frame(b"\r\n") * 20)
        self.assertEqual(frames(wire.take()), [])
        wire.deliver(frame(options()) * 2)
        close = self.assert_closing(wire, 1008)
        self.assertEqual(close.payload[2:], b"too many messages")
        self.assertEqual(self.receiver.messages, [])
        wire.deliver(frame(b"x", mask=False))
        self.assertFalse(wire.disconnecting)
        self.reactor.advance(2)
        self.assertTrue(wire.aborted)

    def test_rate_of_pings(self) -> None:
        """Pings count, each of them costs an answer."""
        wire = self.open()
        wire.deliver(frame(b"x", PING) * 21)
        self.assert_closing(wire, 1008)

    def test_rate_refills(self) -> None:
        """The allowance comes back with time: `rate` a second, no more than `burst`."""
        wire = self.open()
        wire.deliver(frame(b"\r\n") * 20)
        self.reactor.advance(1)
        wire.deliver(frame(b"\r\n") * 10)
        self.assertEqual(wire.take(), b"")
        self.reactor.advance(100)
        wire.deliver(frame(b"\r\n") * 21)
        self.assert_closing(wire, 1008)

    def test_second_violation(self) -> None:
        """Whoever goes on breaking rules while it is being closed loses the connection at once."""
        wire = self.open()
        wire.deliver(frame(b"x", mask=False))
        wire.deliver(frame(b"x", mask=False))
        self.assertTrue(wire.disconnecting)

    def test_after_violation(self) -> None:
        """What follows a violation is not taken for a message."""
        wire = self.open()
        wire.deliver(frame(b"x", mask=False) + frame(options()))
        self.assertEqual(self.receiver.messages, [])


class Options_(BrowsersCase):
    """Autobahn's options."""

    def test_all_in_class(self) -> None:
        """Every option of Autobahn stands in the class; one that a new version adds would otherwise be missing."""
        self.open()
        (socket,) = self.browsers._sockets
        for name in super(websocket.SipWebSocket, websocket.SipWebSocket).CONFIG_ATTRS:
            self.assertTrue(hasattr(type(socket), name), name)
            self.assertNotIn(name, vars(socket))
        self.assertTrue(socket.requireMaskedClientFrames)
        self.assertEqual(socket.maxMessagePayloadSize, 65536)

    def test_no_compression(self) -> None:
        """permessage-deflate is not agreed on: a small message could become a huge one."""
        _, response = self.ask(sec_websocket_extensions="permessage-deflate")
        self.assertNotIn(b"Extensions", response)

    def test_response(self) -> None:
        """A Response from a browser is handed on as it is."""
        self.receiver = self.browsers.receiver = Recorder()
        response = options().replace(b"OPTIONS sip:a@example.com SIP/2.0", b"SIP/2.0 200 OK")
        self.send(self.open(), response)
        message, _ = self.receiver.messages[0]
        self.assertIsInstance(message, Response)
        self.assertIsNone(message.via.received)


class Anything(BrowsersCase):
    """Octets of any sort."""

    options = {"ping": 0}
    frame_limit = FrameLimit(rate=1e6, burst=10**6)

    def test_random_frames(self) -> None:
        """Frames of any kind, cut anywhere: no exception, and either the connection closes or it goes on working."""
        chance = random.Random(7118)
        for _ in range(300):
            wire = self.open()
            for _ in range(chance.randrange(1, 8)):
                payload = chance.choice([options(), b"\r\n\r\n", b"", chance.randbytes(chance.randrange(200))])
                sent = bytearray(frame(payload, chance.randrange(16), fin=chance.random() < 0.7))
                if chance.random() < 0.3:
                    sent[chance.randrange(len(sent))] ^= 1 << chance.randrange(8)
                wire.deliver(bytes(sent), chance.randrange(1, 40))
            self.assertEqual(self.flushLoggedErrors(), [])
            (socket,) = self.browsers._sockets or [wire.protocol]
            self.assertLess(len(socket.data), 70000)
            wire.lose()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_random_octets(self) -> None:
        """Instead of HTTP, and instead of frames."""
        chance = random.Random(6455)
        for _ in range(200):
            for wire in (self.connect(), self.open()):
                wire.deliver(chance.randbytes(chance.randrange(500)), chance.randrange(1, 100))
                wire.lose()
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
