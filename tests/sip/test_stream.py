"""sip.stream: messages out of a TCP stream (RFC 3261 section 18.3)."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import MAX_MESSAGE, read
from webrtcproxy.sip.stream import PING, StreamReader

HEAD = b"Via: SIP/2.0/TCP h\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n"
LINE = b"OPTIONS sip:c@d SIP/2.0\r\n"


def message(body: bytes = b"", length: bytes = b"Content-Length: %d\r\n") -> bytes:
    return LINE + HEAD + (length % len(body) if b"%d" in length else length) + b"\r\n" + body


MESSAGES = [
    message(),
    message(b"hello"),
    message(b"\r\n\r\n" + message() + b"\n\n"),
    message(b"folded", b"L\t:\r\n  %d\r\nX-A: 1\r\n"),
    message(b"12").replace(b"\r\n", b"\n"),
    message(b"x" * 3000),
    message(b"bad header", b"no colon\r\nCONTENT-LENGTH : 0%d\r\n"),
]


def cut(chunks: list[bytes]) -> tuple[list[bytes], BadMessage | None]:
    """All items of a stream, and how it ended."""
    reader = StreamReader()
    found: list[bytes] = []
    try:
        for chunk in [*chunks, b""]:
            found += reader.feed(chunk)
    except BadMessage as error:
        return found, error
    return found, None


class CutTests(SynchronousTestCase):
    """Where a message ends."""

    def test_one_by_one(self) -> None:
        """Whole messages in whole chunks."""
        reader = StreamReader()
        for data in MESSAGES:
            self.assertEqual(reader.feed(data), [data])
        self.assertEqual(reader.feed(b""), [])

    def test_together(self) -> None:
        """Many messages in one chunk; one message in many."""
        self.assertEqual(cut([b"".join(MESSAGES)]), (MESSAGES, None))
        data = b"".join(MESSAGES)
        self.assertEqual(cut([data[at : at + 1] for at in range(len(data))]), (MESSAGES, None))

    def test_readable(self) -> None:
        """What is cut can be read as it is."""
        for data in MESSAGES[:-1]:
            self.assertEqual(read(data, stream=True).call_id, "x")
        odd = read(MESSAGES[-1], stream=True)  # a fault of one message is none of the stream
        self.assertEqual(odd.headers.oddities, "Bad Header Line")

    def test_keep_alive(self) -> None:
        """CRLFCRLF is a ping, a lone CRLF the answer to one, between messages only (RFC 5626 section 4.4.1)."""
        one = message(b"\r\n\r\n")
        for data, items in (
            (b"\r\n\r\n", [PING]),
            (b"\r\n\r\n\r\n\r\n", [PING, PING]),
            (b"\r\n" + one, [one]),
            (b"\r\n\r\n" + one + b"\r\n\r\n" + one, [PING, one, PING, one]),
            (b"\r\n\r\n\r\n" + one, [PING, one]),
            (one + b"\r\n", [one]),
            (b"\n\r\r\n" + one, [one]),
            (b"\r\n\r" + one, [one]),
        ):
            self.assertEqual(cut([data]), (items, None), data)
            self.assertEqual(cut([data[at : at + 1] for at in range(len(data))]), (items, None), data)

    def test_lost(self) -> None:
        """Without a sound Content-Length nobody knows where the next message begins (RFC 3261 section 18.3)."""
        for length, why in (
            (b"", "Missing Content-Length"),
            (b"X-Content-Length: 1\r\n", "Missing Content-Length"),
            (b"Content-Length: -1\r\n", "Bad Content-Length"),
            (b"Content-Length:\r\n", "Bad Content-Length"),
            (b"Content-Length: \xd9\xa3\r\n", "Bad Content-Length"),
            (b"Content-Length: 1\r\nl: 2\r\n", "Bad Content-Length"),
            (b"Content-Length: 99999999999\r\n", "Bad Content-Length"),
        ):
            reader = StreamReader()
            data = message(length=length)
            for chunk in (MESSAGES[0] + data + MESSAGES[1], b""):
                if chunk:
                    self.assertEqual(reader.feed(chunk), MESSAGES[:1], "what came before is not lost")
            for chunk in (b"", MESSAGES[1]):
                with self.assertRaises(BadMessage) as caught:
                    reader.feed(chunk)
                self.assertEqual((caught.exception.status, caught.exception.why), (400, why))
                assert caught.exception.request is not None
                self.assertEqual(caught.exception.request.call_id, "x")

    def test_plain_all_the_same(self) -> None:
        """A plus sign, and the same twice in one line, tell where the message ends (field.rst T: Odd INVITE)."""
        for length in (b"l: +1\r\n", b"Content-Length: 1, 1\r\n"):
            data = message(b"a", length)
            self.assertEqual(cut([data, data]), ([data, data], None))

    def test_same_length_twice(self) -> None:
        """Twice the same Content-Length tells where the message ends; refusing it is for its reader."""
        data = message(b"a", b"l: 1\r\nContent-Length: 01\r\n").replace(b"l: 1", b"l: 01")
        self.assertEqual(cut([data]), ([data], None))

    def test_too_large(self) -> None:
        """64 KiB a message, headers and body together; beyond it is 513, and the buffer does not grow."""
        room = MAX_MESSAGE - len(message(length=b"l: 65432\r\n"))
        data = message(b"x" * room)
        data = message(b"x" * (room - (len(data) - MAX_MESSAGE)))
        self.assertEqual(len(data), MAX_MESSAGE)
        self.assertEqual(cut([data]), ([data], None))
        data = message(
            length=b"X-A: %s\r\nl: 0\r\n" % (b"b" * (MAX_MESSAGE - len(message(length=b"X-A: \r\nl: 0\r\n"))))
        )
        self.assertEqual((len(data), cut([data])), (MAX_MESSAGE, ([data], None)))
        for large in (
            message(length=b"Content-Length: 65432\r\n"),
            message(length=b"X-A: " + b"b" * MAX_MESSAGE + b"\r\nl: 0\r\n"),
            LINE + HEAD + b"X" * (MAX_MESSAGE - len(LINE + HEAD)),
        ):
            for chunks in ([large], [large[:100], large[100:]], [large[at : at + 5] for at in range(0, len(large), 5)]):
                items, error = cut(chunks)
                assert error is not None
                self.assertEqual((items, error.status, error.why), ([], 513, "Message Too Large"))
                assert error.request is not None
                self.assertEqual(error.request.call_id, "x")

    def test_garbage(self) -> None:
        """What never is SIP ends as too large, without an answer; until then it waits."""
        items, error = cut([b"\x16\x03\x01" * 1000])
        self.assertEqual((items, error), ([], None))
        items, error = cut([b"\x16\x03\x01" * 22000])
        assert error is not None
        self.assertEqual((items, error.status, error.request), ([], 513, None))

    def test_linear(self) -> None:
        """Octet by octet or all at once, a long message or many pings cost what they are long."""
        data = message(b"x" * 30000, b"X-A: " + b"\r\n b" * 7000 + b"\r\nl: %d\r\n")
        for chunks in ([data[at : at + 1] for at in range(len(data))], [b"\r\n" * 300000], [message() * 3000]):
            began = time.process_time()
            cut(chunks)
            self.assertLess(time.process_time() - began, 2.0)


class ChunkTests(SynchronousTestCase):
    """Any chunking gives the same."""

    @settings(derandomize=True, database=None, deadline=None, max_examples=300)
    @given(
        st.lists(st.one_of(st.sampled_from([*MESSAGES, PING, b"\r\n"]), st.binary(max_size=12)), max_size=8),
        st.lists(st.integers(0, 9000), max_size=20),
    )
    def test_any_chunking(self, parts: list[bytes], places: list[int]) -> None:
        """The same items and the same end, however the stream is cut; nothing but BadMessage is raised."""
        data = b"".join(parts)
        ends = sorted({min(place, len(data)) for place in places} | {len(data)})
        chunks = [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
        whole, error = cut([data])
        items, other = cut(chunks)
        self.assertEqual(items, whole)
        self.assertEqual(str(other), str(error))
