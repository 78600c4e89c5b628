"""TLS on the short way, and on Twisted's where it is taken: nothing is lost, doubled or out of order."""

from __future__ import annotations

import contextlib
from typing import Any

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.support.tls import Producer, SparingCertificate, TlsCase, records
from webrtcproxy.runtime.internals import RECORD, SPARE, octets_missing


class Reading(TlsCase):
    """What the client sends."""

    def setUp(self) -> None:
        super().setUp()
        self.shake()

    def test_single_record(self) -> None:
        """One record, one read: each message arrives at once and whole, and only once, on the short way."""
        for size in (1, 100, 1300, RECORD):
            self.wire.deliver(self.seal(b"x" * size))
            self.assertEqual([len(data) for data in self.app.got], [size])
            self.app.got.clear()
        self.assertEqual((self.server.long_ways, self.wire.value()), (0, b""))

    def test_several_records(self) -> None:
        """Records that come in one segment arrive in order; so does what follows, on the short way again."""
        self.wire.deliver(self.seal(b"one", b"two", b"three"))
        self.assertEqual(self.app.got, [b"one", b"two", b"three"])
        ways = self.server.long_ways
        self.wire.deliver(self.seal(b"four"))
        self.assertEqual((self.app.got[3:], self.server.long_ways), ([b"four"], ways))

    def test_large(self) -> None:
        """A message of several records, in one segment or in segments of any size."""
        message = bytes(range(256)) * 400
        for size in (0, 1460, 5, 16406):
            self.wire.deliver(self.seal(message), size)
            self.assertEqual(b"".join(self.app.got), message)
            self.app.got.clear()

    def test_cut_anywhere(self) -> None:
        """Two records that are cut at any place, within a header too, arrive whole and in order, and so does what
        follows. Only after a header that was cut is the short way given up."""
        length = len(self.seal(b"first", b"second"))
        for cut in range(length + 1):
            self.start()
            self.shake()
            data = self.seal(b"first", b"second")
            second = len(records(data)[0])
            in_a_head = cut in range(1, 5) or cut - second in range(1, 5)
            self.wire.deliver(data[:cut])
            self.wire.deliver(data[cut:])
            self.assertEqual(self.app.got, [b"first", b"second"], cut)
            ways = self.server.long_ways
            for message in (b"third", b"fourth"):
                self.wire.deliver(self.seal(message))
            self.assertEqual(self.app.got[2:], [b"third", b"fourth"], cut)
            self.assertEqual(self.server.long_ways - ways, 2 if in_a_head else 0, cut)

    def test_pieces(self) -> None:
        """Octet by octet, and in pieces that are in step with nothing."""
        for size in (1, 2, 3, 7, 23):
            self.wire.deliver(self.seal(b"first", b"second", b"x" * 100), size)
            self.assertEqual(b"".join(self.app.got), b"firstsecond" + b"x" * 100)
            self.app.got.clear()

    def test_end_and_beginning(self) -> None:
        """A segment with the end of one record and the beginning of another is none to be read as one, whatever its
        first octet and its length."""
        data = self.seal(b"a" * 50, b"b" * 50, b"c" * 50)
        for start, end in ((0, 30), (30, 100), (100, 150), (150, len(data))):
            self.wire.deliver(data[start:end])
        self.assertEqual(self.app.got, [b"a" * 50, b"b" * 50, b"c" * 50])

    def test_broken_record(self) -> None:
        """A record that was changed on its way ends the connection with an alert; nothing of it is delivered."""
        data = bytearray(self.seal(b"hello"))
        data[-1] ^= 1
        self.wire.deliver(bytes(data))
        self.assertRaises(SSL.Error, self.hear)
        self.assertEqual(self.app.got, [])
        self.assertTrue(self.wire.disconnecting)
        self.assertTrue(issubclass(self.end() or object, SSL.Error))

    def test_no_record(self) -> None:
        """What is no TLS at all ends the connection, on whichever way it comes: with an unknown type, with a length
        that no record has, with the type of application data."""
        for data in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x17\x03\x03\x00\x00",
            b"\x17\x03\x03\xff\xff" + bytes(0xFFFF),
            b"\x17\x03\x03\x00\x02ab",
            b"\x63\x03\x03\x00\x02ab",
        ):
            self.start()
            self.shake()
            self.wire.deliver(data)
            self.assertEqual((self.app.got, self.wire.disconnecting), ([], True), data[:20])
            self.assertIsNotNone(self.end())

    def test_app_fails(self) -> None:
        """An exception out of what is on top reaches the reactor, which closes the connection, on both ways."""

        def fail(data: bytes) -> None:
            raise ZeroDivisionError

        self.app.on_data = fail  # type: ignore[assignment]
        self.assertRaises(ZeroDivisionError, self.wire.deliver, self.seal(b"one"))
        self.assertRaises(ZeroDivisionError, self.wire.deliver, self.seal(b"one", b"two"))

    def test_answers_while_reading(self) -> None:
        """What is written from within `dataReceived` goes out, and after it what is written later."""
        self.app.on_data = lambda data: self.app.transport.write(b"re: " + data)  # type: ignore[assignment]
        self.wire.deliver(self.seal(b"one"))
        self.wire.deliver(self.seal(b"two", b"three"))
        self.app.transport.write(b".")
        self.assertEqual(self.hear(), b"re: onere: twore: three.")


class Reading12(Reading):
    """The same with TLS 1.2."""

    version = SSL.TLS1_2_VERSION


class Handshake(TlsCase):
    """Before the connection is up."""

    def test_cut(self) -> None:
        """A handshake in pieces of any size, with a message after it."""
        for size in (1, 3, 100):
            self.start()
            self.shake(size)
            self.wire.deliver(self.seal(b"hello"))
            self.assertEqual(self.app.got, [b"hello"])

    def test_message_after_it(self) -> None:
        """A message in the same segment as the client's last part of the handshake is heard."""
        for _ in range(2):
            with contextlib.suppress(SSL.WantReadError):
                self.client.do_handshake()
            if self.client.get_state_string() != b"SSL negotiation finished successfully":
                self.wire.deliver(self.pending())
                self.client.bio_write(self.wire.take())
        self.client.do_handshake()
        self.wire.deliver(self.seal(b"early bird"))
        self.assertEqual(self.app.got, [b"early bird"])
        self.assertEqual(self.hear(), b"")

    def test_write_before_it(self) -> None:
        """What is written before the handshake waits, and goes out in order, in front of what is written after it."""
        self.start(b"one ", b"two ", b"x" * 40_000)
        self.app.transport.write(b" three ")
        self.assertNotIn(b"one", self.wire.value())
        self.shake()
        self.app.transport.write(b"four")
        self.assertEqual(self.hear(), b"one two " + b"x" * 40_000 + b" three four")
        self.wire.deliver(self.seal(b"hello"))
        self.assertEqual(self.app.got, [b"hello"])

    def test_refused(self) -> None:
        """A client whose versions are too old ends without a word of what was written."""
        self.start(b"secret")
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(SSL.TLS1_1_VERSION)
        client = SSL.Connection(context, None)
        client.set_connect_state()
        with contextlib.suppress(SSL.Error):
            client.do_handshake()
        hello = b""
        with contextlib.suppress(SSL.WantReadError):
            hello = client.bio_read(65536)
        self.wire.deliver(hello or b"\x16\x03\x01\x00\x01\x01")
        self.assertTrue(self.wire.disconnecting)
        self.assertTrue(issubclass(self.end() or object, SSL.Error))
        self.app.transport.write(b"late")

    def test_application_data_before_it(self) -> None:
        """A record of application data in place of a handshake ends the connection."""
        self.wire.deliver(b"\x17\x03\x03\x00\x20" + bytes(32))
        self.assertEqual((self.app.got, self.wire.disconnecting), ([], True))


class Writing(TlsCase):
    """What the server sends."""

    def setUp(self) -> None:
        super().setUp()
        self.shake()

    def test_one_write(self) -> None:
        """One message is one record in one write, at once."""
        for size in (1, 100, 1300, RECORD - SPARE, RECORD):
            self.wire.writes.clear()
            self.app.transport.write(b"x" * size)
            self.assertEqual([len(records(data)) for data in self.wire.writes], [1])
            self.heard = b""
            self.assertEqual(self.hear(), b"x" * size)

    def test_large(self) -> None:
        """More than a record holds is cut into records, in order with what is before and after it."""
        large = bytes(range(256)) * 400
        for data in (b"before", large[: RECORD + 1], large, b"behind"):
            self.app.transport.write(data)
        self.assertEqual(self.hear(), b"before" + large[: RECORD + 1] + large + b"behind")

    def test_nothing(self) -> None:
        """Nothing written is nothing sent, and breaks nothing."""
        self.app.transport.write(b"")
        self.assertEqual(self.wire.writes, [])
        self.app.transport.writeSequence([b"one ", b"", b"two"])
        self.assertEqual(self.hear(), b"one two")
        self.assertFalse(self.wire.disconnecting)

    def test_small_records(self) -> None:
        """A peer that takes small records only (RFC 6066 section 4) gets all of a message, and the next after it."""
        self.start(kind=SparingCertificate)
        self.shake()
        message = bytes(range(256)) * 16
        for _ in range(2):
            self.app.transport.write(message)
        self.app.transport.write(b"end")
        self.assertGreater(len(self.wire.writes), 16)
        self.assertEqual(self.hear(), message * 2 + b"end")

    def test_left_over(self) -> None:
        """What OpenSSL has to send by itself, however much it is, goes out in front of the message, and so does all of
        the message."""
        for left in (10, SPARE, 3000):
            self.heard = b""
            self.server._tlsConnection.send(b"y" * left)
            self.app.transport.write(b"x")
            self.assertEqual(self.hear(), b"y" * left + b"x")

    def test_nobody_reads(self) -> None:
        """When the peer doesn't read, whoever produces is told to pause, and to go on later; what is written all the
        same is neither lost nor out of order."""
        told: list[str] = []
        self.app.transport.registerProducer(Producer(told), True)
        self.wire.stop_reading()
        for number in range(5):
            self.app.transport.write(b"%d " % number)
        self.assertEqual(told, ["pause"])
        self.wire.read_all()
        self.assertEqual(told, ["pause", "resume"])
        self.app.transport.write(b"end")
        self.assertEqual(self.hear(), b"0 1 2 3 4 end")

    def test_after_a_failure(self) -> None:
        """When encrypting fails, the connection ends, and its reason is told."""
        self.server._tlsConnection = Failing(self.server._tlsConnection)
        self.app.transport.write(b"hello")
        self.assertTrue(self.wire.disconnecting)
        self.assertIs(self.end(), SSL.Error)
        self.app.transport.write(b"more")


class Writing12(Writing):
    """The same with TLS 1.2."""

    version = SSL.TLS1_2_VERSION


class Ending(TlsCase):
    """How a connection ends."""

    def setUp(self) -> None:
        super().setUp()
        self.shake()

    def test_client_closes(self) -> None:
        """close_notify is answered by ours, and the connection is closed in good order."""
        self.client.shutdown()
        self.wire.deliver(self.pending())
        self.assertRaises(SSL.ZeroReturnError, self.hear)
        self.assertTrue(self.wire.disconnecting)
        self.app.transport.write(b"late")
        self.end()
        self.assertNotIsInstance(getattr(self.app.lost, "value", None), SSL.Error)

    def test_client_closes_after_a_message(self) -> None:
        """The message in the same segment is heard first."""
        self.client.send(b"bye")
        self.client.shutdown()
        self.wire.deliver(self.pending())
        self.assertEqual((self.app.got, self.wire.disconnecting), ([b"bye"], True))

    def test_server_closes(self) -> None:
        """Ours goes out after what was written, what is written later does not; the client may still say something."""
        self.app.transport.write(b"bye")
        self.app.transport.loseConnection()
        self.app.transport.write(b"late")
        self.assertRaises(SSL.ZeroReturnError, self.hear)
        self.assertEqual(self.heard, b"bye")
        self.wire.deliver(self.seal(b"wait"))
        self.assertEqual(self.app.got, [b"wait"])
        self.assertFalse(self.wire.disconnecting)
        self.client.shutdown()
        self.wire.deliver(self.pending())
        self.assertTrue(self.wire.disconnecting)

    def test_server_closes_for_a_producer(self) -> None:
        """A producer may write until it is gone; then comes close_notify."""
        self.app.transport.registerProducer(Producer([]), True)
        self.app.transport.loseConnection()
        self.app.transport.write(b"last words")
        self.assertEqual(self.hear(), b"last words")
        self.app.transport.unregisterProducer()
        self.assertRaises(SSL.ZeroReturnError, self.hear)

    def test_abort(self) -> None:
        """After an abort nothing is heard, be it in the same segment or in another, and nothing is sent."""

        def abort(data: bytes) -> None:
            self.app.got.append(data)
            self.app.transport.abortConnection()

        self.app.on_data = abort  # type: ignore[assignment]
        self.wire.deliver(self.seal(b"one", b"two"))
        self.wire.deliver(self.seal(b"three"))
        self.assertEqual((self.app.got, self.wire.aborted), ([b"one"], True))
        self.wire.clear()
        self.app.transport.write(b"late")
        self.assertEqual(self.wire.value(), b"")

    def test_cut_off(self) -> None:
        """A connection that is gone without close_notify: the reason is reported, and writing does no harm."""
        self.wire.lose()
        self.assertIsNotNone(self.app.lost)
        self.app.transport.write(b"late")
        self.app.transport.loseConnection()

    def test_cut_off_within_a_record(self) -> None:
        """Half a record is never delivered."""
        self.wire.deliver(self.seal(b"hello")[:-1])
        self.wire.lose()
        self.assertEqual(self.app.got, [])
        self.assertIsNotNone(self.app.lost)


class Ending12(Ending):
    """The same with TLS 1.2, where alerts have a type of their own."""

    version = SSL.TLS1_2_VERSION


class Counting(SynchronousTestCase):
    """How many octets the last record lacks."""

    def test_missing(self) -> None:
        """By the lengths in the headers; unknown, and for the rest of the stream, where a header is cut in two."""
        record = b"\x17\x03\x03\x00\x04abcd"
        for data, before, missing in (
            (record, 0, 0),
            (record * 3, 0, 0),
            (record[:-1], 0, 1),
            (record[:5], 0, 4),
            (record + record[:7], 0, 2),
            (record[7:], 2, 0),
            (record[7:] + record, 2, 0),
            (record[7:8], 2, 1),
            (b"x" * 10, 100, 90),
            (record[:4], 0, -1),
            (record[:1], 0, -1),
            (record + record[:3], 0, -1),
            (record[7:] + record[:3], 2, -1),
            (record, -1, -1),
            (b"\x17\x03\x03\x00\x00", 0, 0),
        ):
            self.assertEqual(octets_missing(data, before), missing, (data, before))


class Failing:
    """A TLS connection that can't encrypt any more."""

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection = connection

    def send(self, data: bytes) -> int:
        raise SSL.Error([("SSL routines", "", "bad write retry")])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
