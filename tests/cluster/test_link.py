"""Link: frames between two processes."""

from __future__ import annotations

import socket

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase, TestCase

from webrtcproxy.cluster.link import Header, Link, LinkFactory
from webrtcproxy.cluster.protocol import BIND, DATAGRAM, WRITE


class User:
    """Keeps what it receives."""

    def __init__(self) -> None:
        self.received: list[tuple[Header, bytes]] = []
        self.raw: list[bytes] = []
        self.ended = 0
        self.fails = False

    def frame(self, header: Header, body: bytes, raw: bytes) -> None:
        if self.fails:
            raise ValueError("no such frame")
        self.received.append((header, body))
        self.raw.append(raw)

    def link_ended(self) -> None:
        self.ended += 1


class Transport(StringTransport):
    """Knows whether it was aborted."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class RealTests(TestCase):
    """A link over a pair of sockets, as between two processes."""

    async def test_at_once_and_all(self) -> None:
        """What is sent is in the other end's socket when `send` returns; what that does not take follows, in order."""
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        user = User()
        link = Link(user)
        with ours:
            reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, LinkFactory(lambda: link))  # type: ignore[attr-defined]
        link.send({"do": "one"})
        theirs.settimeout(0)
        self.assertIn(b'{"do":"one"}', theirs.recv(100))
        for number in range(50):
            link.send({"do": "many", "number": number}, b"x" * 20_000)
        reader = User()
        there = Link(reader)
        there.makeConnection(Transport())
        while len(reader.received) < 50:
            await deferLater(reactor, 0)  # type: ignore[arg-type]
            try:
                data = theirs.recv(1 << 20)
            except BlockingIOError:
                continue
            there.dataReceived(data)
        self.assertEqual([header["number"] for header, _ in reader.received], list(range(50)))
        link.finish()
        await link.when_ended()


class LinkTests(SynchronousTestCase):
    """Two ends."""

    def setUp(self) -> None:
        self.ends = []
        for _ in range(2):
            user = User()
            link, transport = Link(user), Transport()
            link.makeConnection(transport)
            self.ends.append((user, link, transport))
        (self.here, self.link, self.wire), (self.there, self.other, _) = self.ends

    def flow(self, size: int = 1 << 30) -> None:
        """What is written arrives, in pieces of that size."""
        data = self.wire.value()
        self.wire.clear()
        for start in range(0, len(data), size):
            self.other.dataReceived(data[start : start + size])

    def test_frames(self) -> None:
        """Frames arrive whole and in order, bodies to the octet, however the stream is cut."""
        self.link.send({"do": "one", "text": "\udcff\n"})
        self.link.send({"do": "two"}, b"\n\0\xff\n")
        self.flow(3)
        self.assertEqual(
            self.there.received, [({"do": "one", "text": "\udcff\n"}, b""), ({"do": "two"}, b"\n\0\xff\n")]
        )

    def test_passed_on(self) -> None:
        """A frame that came can go on as it is."""
        self.link.send({"do": "one"}, b"body")
        self.flow()
        self.link.send_raw(self.there.raw[0])
        self.flow()
        self.assertEqual(self.there.received[0], self.there.received[1])

    def test_fault(self) -> None:
        """A frame that can't be understood costs itself only, and is logged."""
        self.there.fails = True
        self.link.send({"do": "one"})
        self.flow()
        self.link.send_raw(b"no json")
        self.flow()
        self.there.fails = False
        self.link.send({"do": "two"})
        self.flow()
        self.assertEqual(self.there.received, [({"do": "two"}, b"")])
        self.assertEqual(len(self.flushLoggedErrors()), 2)

    def test_end(self) -> None:
        """The end is told once, and nothing is sent any more."""
        self.link.connectionLost()
        self.assertEqual(self.here.ended, 1)
        self.assertFalse(self.link.send({"do": "one"}))
        self.link.close()
        self.assertFalse(self.wire.aborted)

    def test_when_ended(self) -> None:
        """One that waits for the end learns of it after all that has come, and who asks late at once."""
        waiting = self.other.when_ended(), self.other.when_ended()
        self.link.send({"do": "last"})
        self.flow()
        self.assertEqual([header["do"] for header, _ in self.there.received], ["last"])
        self.assertNoResult(waiting[0])
        self.other.connectionLost()
        for ended in (*waiting, self.other.when_ended()):
            self.successResultOf(ended)

    def test_does_not_keep_up(self) -> None:
        """While the other end does not read, what may be lost is lost, the rest waits."""
        self.link.pauseProducing()
        self.assertFalse(self.link.send({"do": DATAGRAM}, lossy=True))
        self.assertTrue(self.link.send({"do": BIND}))
        self.link.resumeProducing()
        self.assertTrue(self.link.send({"do": DATAGRAM}, lossy=True))
        self.flow()
        self.assertEqual([header["do"] for header, _ in self.there.received], [BIND, DATAGRAM])

    def test_does_not_read(self) -> None:
        """What waits is bounded: then the link is cut."""
        self.patch(Link, "MAX_WAITING", 1000)
        self.link.pauseProducing()
        sent = 0
        while self.link.send({"do": WRITE}, b"x" * 100):
            sent += 1
        self.assertTrue(5 <= sent <= 10, sent)
        self.assertTrue(self.wire.aborted)
