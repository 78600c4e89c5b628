"""One WebSocket message that is one frame in one segment: the short way, and what has to take Autobahn's."""

from __future__ import annotations

import random
import struct

from twisted.trial.unittest import SynchronousTestCase

from tests.support.wire import Frame, frame, frames, options
from tests.transport.case import BrowsersCase
from webrtcproxy.sip.message import Request
from webrtcproxy.transport.wss.frame import TwoMessages, read_one, whole_message
from webrtcproxy.transport.wss.websocket import FrameLimit, SipWebSocket

TEXT, BINARY, PING = 1, 2, 9

KEY = b"\xa5\x01\x80\xff"


def masked(payload: bytes, first: int = 0x81, *, key: bytes = KEY, form: int = 0, mask: bool = True) -> bytes:
    """A frame.

    :param first: FIN, the reserved bits and the opcode.
    :param form: 126 or 127 for a length of two or eight octets where fewer would do.
    """
    size = len(payload)
    form = form or (size if size < 126 else 126 if size < 65536 else 127)
    head = bytes([first, form | 0x80 * mask])
    head += struct.pack("!H", size) if form == 126 else struct.pack("!Q", size) if form == 127 else b""
    if not mask:
        return head + payload
    return head + key + bytes(octet ^ key[place % 4] for place, octet in enumerate(payload))


class WholeMessage(SynchronousTestCase):
    """`whole_message` (RFC 6455 section 5.2)."""

    def test_lengths(self) -> None:
        """The payload, of any length that one or two octets can tell, as text and as binary."""
        for size in (1, 2, 3, 4, 5, 124, 125, 126, 127, 128, 1300, 65534, 65535):
            payload = bytes(33 + place % 90 for place in range(size))
            for first in (0x81, 0x82):
                self.assertEqual(whole_message(masked(payload, first)), payload, size)

    def test_masks(self) -> None:
        """Any key, with zeros in front of it, in front of the payload, or all of it."""
        for key in (bytes(4), b"\0\0\0\1", b"\1\0\0\0", b"\xff" * 4, b"\0\xff\0\xff", b"abcd"):
            for payload in (b"abcd", b"\0\0\0\0a", b"a", bytes(7), b"INVITE sip:a SIP/2.0"):
                self.assertEqual(whole_message(masked(payload, 0x82, key=key)), payload)

    def test_text(self) -> None:
        """Text is UTF-8 and nothing else; binary may be anything."""
        for good in ("é", "Grüße ☎", "\U0001f600", "\x00\x7f"):
            self.assertEqual(whole_message(masked(good.encode())), good.encode())
        for bad in (b"\xff", b"ab\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80"):
            self.assertIsNone(whole_message(masked(bad)))
            self.assertEqual(whole_message(masked(bad, 0x82)), bad)

    def test_others(self) -> None:
        """None for all that is no whole message: fragments, control frames, reserved bits and opcodes, no mask, no
        payload, too much or too little of it, two frames, a length of eight octets, or of more than it needs."""
        for first in range(256):
            if first not in (0x81, 0x82):
                self.assertIsNone(whole_message(masked(b"hello", first)), first)
        hello = masked(b"hello")
        for data in (
            masked(b"hello", mask=False),
            masked(b"x" * 300, mask=False),
            masked(b""),
            hello + b"x",
            hello * 2,
            masked(b"x" * 300) + b"x",
            masked(b"x" * 65536),
            masked(b"hello", form=127),
            masked(b"x" * 300, form=127),
            masked(b"", form=126),
            masked(b"hello", form=126),
            masked(b"x" * 125, form=126),
        ):
            self.assertIsNone(whole_message(data), data[:16])
        for whole in (hello, masked(b"x" * 300)):
            for end in range(len(whole)):
                self.assertIsNone(whole_message(whole[:end]), end)


class ReadOne(SynchronousTestCase):
    """`read_one`: one WebSocket message is one SIP message (RFC 7118 section 5)."""

    def message(self, length: int | str | None, body: bytes, *headers: bytes) -> bytes:
        lines = [] if length is None else [b"Content-Length: %b" % str(length).encode()]
        head = options().replace(b"Content-Length: 0", b"\r\n".join([b"Content-Type: text/plain", *headers, *lines]))
        return head + body

    def test_characters_counted(self) -> None:
        """The whole rest is the body where Content-Length counts characters, is too large, or no number; that is
        noted (field.rst W5: Characters counted)."""
        for text in ("Привет, как дела?", "Grüße", "☎ 😀 éé", "日本語" * 100):
            body = text.encode()
            for length in (len(text), len(text.encode("utf-16-le")) // 2, len(body) + 7, "many", 0, 3):
                message = read_one(self.message(length, body))
                self.assertEqual((message.body, message.headers.oddities), (body, "Bad Content-Length"), length)
                self.assertIn(b"Content-Length: %d\r\n" % len(body), message.to_bytes())

    def test_right(self) -> None:
        """A Content-Length that is right, also with zeros in front of it, is not noted; line ends after the body are
        no part of it."""
        body = "Привет".encode()
        for length in (len(body), f"00{len(body)}", None):
            self.assertEqual(read_one(self.message(length, body)).headers.oddities, "")
        for rest in (b"\r\n", b"\r\n\r\n", b"\0", b"\n"):
            message = read_one(self.message(len(body), body + rest))
            self.assertEqual((message.body, message.headers.oddities), (body, ""))

    def test_two(self) -> None:
        """What begins like a message is one: behind the octets or the characters that are counted, or as the body of
        one that counts nothing."""
        text = "Привет"
        response = options().replace(b"OPTIONS sip:a@example.com SIP/2.0", b"SIP/2.0 200 OK")
        for second in (options(), b"\r\n" + options(), response, b"FOO! x sip/2.0\r\n"):
            for length in (len(text), len(text.encode())):
                self.assertRaises(TwoMessages, read_one, self.message(length, text.encode() + second))
            self.assertRaises(TwoMessages, read_one, self.message(0, second))
            self.assertRaises(TwoMessages, read_one, self.message(None, second))

    def test_quoted_message(self) -> None:
        """A message that is quoted is a body: behind other text, where it is counted, or where its type says so."""
        for body in (b"He sent:\r\n" + options(), options()):
            self.assertEqual(read_one(self.message(len(body), body)).body, body)
        body = b"He sent: \r\n" + options()
        self.assertEqual(read_one(self.message(3, body)).body, body)
        fragment = self.message(None, b"SIP/2.0 200 OK\r\n").replace(b"text/plain", b"message/sipfrag")
        self.assertEqual(read_one(fragment).body, b"SIP/2.0 200 OK\r\n")


class ShortWay(BrowsersCase):
    """A connection of which most messages never see Autobahn."""

    options = {"max_message": 1000, "ping": 0}
    frame_limit = FrameLimit(rate=10, burst=20)

    def test_taken(self) -> None:
        """A message of its own never comes near Autobahn; anything else does."""
        wire = self.open()
        seen: list[bytes] = []
        self.patch(SipWebSocket, "_dataReceived", lambda socket, data: seen.append(data))
        for size in (0, 300):
            (answer,) = self.send(
                wire, options().replace(b"OPTIONS\r\n", b"OPTIONS\r\nSubject: %b\r\n" % (b"x" * size))
            )
            self.assertIn(b" 200 ", answer.payload)
        (answer,) = self.send(wire, b"\r\n\r\n", BINARY)
        self.assertEqual((answer.payload, seen), (b"\r\n", []))
        wire.deliver(masked(b"", 0x8A))
        self.assertEqual((wire.value(), seen), (b"", []))
        for data in (
            frame(b"", PING),
            masked(b"x", 0x8A),
            masked(b"", 0x8A) * 2,
            frame(b"x", fin=False),
            frame(b"x") * 2,
        ):
            wire.deliver(data)
            self.assertEqual(seen.pop(), data)

    def test_limit(self) -> None:
        """A message as large as allowed passes, one octet more is refused with 1009."""
        wire = self.open()
        self.send(wire, b"\r\n" * 500)
        self.assertEqual((self.receiver.errors, wire.value()), ([], b""))
        wire.deliver(frame(b"\r\n" * 500 + b"\r"))
        self.assert_closing(wire, 1009)

    def test_bad_text(self) -> None:
        """Text that is no UTF-8, a frame for itself: 1007, and nothing of it is delivered."""
        for bad in (b"\xff", b"\xc3", b"\xed\xa0\x80"):
            wire = self.open()
            wire.deliver(frame(options() + bad))
            self.assert_closing(wire, 1007)
        self.assertEqual((self.receiver.messages, self.receiver.errors), ([], []))

    def test_length_in_more_octets_than_it_needs(self) -> None:
        """1002, as RFC 6455 section 5.2 has it."""
        for form in (126, 127):
            wire = self.open()
            wire.deliver(masked(b"\r\n\r\n", form=form))
            self.assert_closing(wire, 1002)

    def test_rate(self) -> None:
        """Each message takes a token, one by one; the first without one is not delivered, and ends the connection."""
        wire = self.open()
        for _ in range(20):
            self.assertEqual(len(self.send(wire, options())), 1)
        (close,) = self.send(wire, options())
        self.assertEqual((close.code, close.payload[2:]), (1008, b"too many messages"))
        self.assertEqual(len(self.receiver.messages), 20)
        self.assertEqual(self.send(wire, options()), [])
        self.assertEqual(len(self.receiver.messages), 20)

    def test_rate_refills(self) -> None:
        """Tokens come back with time, and are the same ones for messages on either way."""
        wire = self.open()
        for _ in range(10):
            wire.deliver(frame(b"\r\n") * 2)
        self.reactor.advance(1)
        for _ in range(5):
            wire.deliver(frame(b"\r\n"))
            wire.deliver(frame(b"\r\n"), size=3)
        self.assertEqual(wire.take(), b"")
        wire.deliver(frame(b"\r\n"))
        self.assert_closing(wire, 1008)

    def test_pongs(self) -> None:
        """A pong takes a token, as every frame does; one that comes between fragments disturbs nothing, and one within
        a frame is a part of it."""
        wire = self.open()
        pong = masked(b"", 0x8A)
        text = options()
        wire.deliver(frame(text[:50], TEXT, fin=False))
        wire.deliver(pong)
        wire.deliver(frame(text[50:], 0))
        self.assertEqual((len(frames(wire.take())), len(self.receiver.messages)), (1, 1))
        wire.deliver(bytes([0x82, 0x80 | len(pong)]) + bytes(4))
        wire.deliver(pong)
        self.assertEqual((wire.take(), len(self.receiver.errors)), (b"", 1))
        wire.deliver(bytes([0x89, 0x80 | len(pong)]) + bytes(4))
        wire.deliver(pong)
        (answer,) = frames(wire.take())
        self.assertEqual((answer.opcode, answer.payload), (10, pong))
        for _ in range(15):
            wire.deliver(pong)
        self.assertEqual(wire.take(), b"")
        wire.deliver(pong)
        self.assert_closing(wire, 1008)

    def test_pong_after_a_part(self) -> None:
        """What looks like a pong after the first octet of a head belongs to that."""
        wire = self.open()
        message = masked(b"\r\n" * 5, 0x82, key=b"\x80\0\0\0")
        self.assertEqual(message[1:3], masked(b"", 0x8A, key=b"\0\0\0\0")[:2])
        for part in (message[:1], message[1:7], message[7:]):
            wire.deliver(part)
        self.assertEqual((wire.take(), self.receiver.errors), (b"", []))
        (answer,) = self.send(wire, options())
        self.assertIn(b" 200 ", answer.payload)

    def test_between_fragments(self) -> None:
        """A whole message in the middle of a fragmented one breaks the rules, however it comes: 1002."""
        wire = self.open()
        wire.deliver(frame(options()[:50], TEXT, fin=False))
        wire.deliver(frame(options()))
        self.assert_closing(wire, 1002)
        self.assertEqual(self.receiver.messages, [])

    def test_after_a_part(self) -> None:
        """What looks like a whole message, but is the rest of a frame, is that."""
        inner = masked(b"\r\n\r\n", 0x82)
        outer = frame(options().replace(b"Content-Length: 0", b"Content-Length: %d" % len(inner)) + inner, BINARY)
        for cut in (1, 2, 3, 7, 8, 20, len(outer) - len(inner), len(outer) - 1):
            wire = self.open()
            wire.deliver(outer[:cut])
            wire.deliver(outer[cut:])
            (answer,) = frames(wire.take())
            self.assertIn(b" 200 ", answer.payload)
            self.assertEqual(self.receiver.messages.pop()[0].body, inner)
            self.assertEqual(len(self.send(wire, options())), 1)

    def test_rest_that_is_a_frame(self) -> None:
        """The same where the octets of the rest are, as they are on the wire, a whole frame for themselves."""
        inner = masked(b"\r\n\r\n", 0x82)
        wire = self.open()
        wire.deliver(bytes([0x82, 0x80 | len(inner)]) + bytes(4))
        wire.deliver(inner)
        self.assertEqual((frames(wire.take()), len(self.receiver.errors)), ([], 1))

    def test_while_closing(self) -> None:
        """After our close frame no message is heard."""
        wire = self.open()
        self.send(wire, options())
        self.receiver.flow.close()
        self.assert_closing(wire, 1000)
        self.assertEqual(self.send(wire, options()), [])
        self.assertEqual(len(self.receiver.messages), 1)

    def test_receiver_fails(self) -> None:
        """An internal error is logged, and ends that connection with 1011."""
        wire = self.open()
        self.receiver.message_received = lambda message, flow: 1 / 0
        (close,) = self.send(wire, options())
        self.assertEqual(close.code, 1011)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def outcome(self, data: bytes, size: int) -> tuple[list[object], list[Frame]]:
        """What comes of octets that arrive `size` at a time: what was received, and what was sent."""
        self.receiver.messages.clear()
        self.receiver.errors.clear()
        wire = self.open()
        wire.deliver(data, size)
        sent = frames(wire.take())
        wire.lose()
        heard: list[object] = [
            (message.method, str(message.headers.get("Call-ID")), message.body)
            for message, _ in self.receiver.messages
            if isinstance(message, Request)
        ]
        return [*heard, *(str(error) for error, _ in self.receiver.errors)], sent

    def test_as_autobahn(self) -> None:
        """Whatever arrives in one segment has the outcome that it has octet by octet, on Autobahn's way."""
        chance = random.Random(6455)
        payloads = (b"\r\n\r\n", b"", b"x", options(), options() + b"\xc3\xa9", options() + b"\xff", options() * 2)
        payloads += (options().replace(b"CSeq", b"X"), b"y" * 999, b"y" * 1001)
        for _ in range(500):
            first = chance.choice((0x81, 0x81, 0x82, 0x82, 0x01, 0x80, 0x88, 0x89, 0xC1, 0x83))
            form, mask = chance.choice((0, 0, 0, 126, 127)), chance.random() < 0.9
            payload = chance.choice(payloads)
            if len(payload) > 125:
                form = 0
            data = bytearray(masked(payload, first, key=chance.randbytes(4), form=form, mask=mask))
            if chance.random() < 0.3:
                data[chance.randrange(min(len(data), 12))] ^= 1 << chance.randrange(8)
            if chance.random() < 0.1:
                data += masked(b"\r\n\r\n")
            self.assertEqual(self.outcome(bytes(data), 0), self.outcome(bytes(data), 1), bytes(data[:16]))
