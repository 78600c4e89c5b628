"""Any octets into the whole proxy, from anybody and from the peers of a call: no exception anywhere, and nothing in the
log that anybody could fill a disk with (docs/decisions.rst)."""

from collections.abc import Iterator
from typing import cast

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls.world import PLAIN, Browser, TrunkPeer, World
from tests.support.configs import PBX
from tests.support.exposition import Readings
from tests.support.fuzz import Mutator, rounds
from tests.support.wire import Wire, frame, upgrade
from tests.transport.sip.test_udp import FakeSocket
from webrtcproxy.config import WssConfig
from webrtcproxy.runtime.log import LogFilter
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Message, Request, read, respond
from webrtcproxy.transport.flow import Address
from webrtcproxy.transport.local import LocalAddresses
from webrtcproxy.transport.sip.tcp import TcpTransport
from webrtcproxy.transport.sip.udp import UdpTransport
from webrtcproxy.transport.wss.server import WebSocketServer

TRUNK = "192.0.2.50"
STRANGER = "203.0.113.66"


class FuzzCase(SynchronousTestCase):
    """A proxy with a trunk, and sockets in memory."""

    def setUp(self) -> None:
        self.world = World(PBX)
        self.reactor = MemoryReactorClock()
        self.reactor.advance(1000)
        self.udp = UdpTransport(self.world.transactions, LocalAddresses())
        self.udp.makeConnection(FakeSocket())
        self.tcp = TcpTransport(self.reactor, self.world.transactions, LocalAddresses())
        self.tcp.bound(Address("192.0.2.1", 5060))
        config = WssConfig(("tcp:8443",))
        self.browsers = WebSocketServer(self.reactor, self.world.transactions, config, advertise="203.0.113.7")
        self.browsers.startService()
        self.given: list[bytes] = []
        log = LogFilter("info", globalLogPublisher, self.reactor)
        log.startService()
        self.addCleanup(log.stopService)

    def unharmed(self) -> None:
        """Nothing has failed; if something has, what was sent last is told."""
        failures = self.flushLoggedErrors()
        self.assertEqual([failure.getTraceback() for failure in failures], [], self.given[-5:])

    def turn(self) -> None:
        """A moment goes by for all."""
        self.reactor.advance(0.6)
        self.world.turn(0.6)


class StrangersTests(FuzzCase):
    """From anybody, and from the address of a trunk."""

    def test_seen(self) -> None:
        """A failure would be seen here: the log passes it on to trial."""
        Logger().failure("x", Failure(KeyError("\udcff")))
        self.assertRaises(AssertionError, self.unharmed)

    def test_start_lines(self) -> None:
        """A start line that ends early is no message: silence, and one more in the metrics (RFC 3261 section 7)."""
        readings = Readings(self.world.metrics)
        count = 0
        for line in (b"SIP/2.0 200 OK", b"INVITE sip:bob@pbx.example.com SIP/2.0"):
            for end in range(1, len(line) + 1):
                for tail in (b"", b"\r\n", b"\r\n\r\n"):
                    count += 1
                    self.udp.datagramReceived(line[:end] + tail, (STRANGER, 5060))
        self.unharmed()
        self.assertEqual(cast(FakeSocket, self.udp.transport).written, [])
        self.assertEqual(readings.moved(), {'refused_total{reason="malformed"}': count})

    def test_datagrams(self) -> None:
        """UDP."""
        for mutator in rounds(500):
            self.given.append(mutator.message())
            host = mutator.random.choice((TRUNK, STRANGER))
            self.udp.datagramReceived(self.given[-1], (host, 5060))
            self.turn()
            self.unharmed()

    def test_connections(self) -> None:
        """TCP, cut anywhere."""
        for mutator in rounds(300):
            wire = Wire(mutator.random.choice((TRUNK, STRANGER)))
            protocol = self.tcp.buildProtocol(wire.getPeer())
            if protocol is not None:
                wire.attach(protocol)
                self.given.append(mutator.message() + mutator.message())
                wire.deliver(self.given[-1], mutator.random.choice((0, 0, 100)))
                wire.lose()
            self.turn()
            self.unharmed()

    def test_frames(self) -> None:
        """WebSocket messages: the connection is never closed with 1011, internal error (RFC 6455 section 7.4.1)."""
        for mutator in rounds(300):
            wire = Wire(STRANGER)
            wire.attach(self.browsers.site.buildProtocol(wire.getPeer()))
            wire.deliver(upgrade())
            self.assertIn(b" 101 ", wire.take())
            self.given.append(mutator.message())
            wire.deliver(frame(self.given[-1], 2))
            self.assertNotIn(b"\x03\xf3internal", wire.take(), self.given[-1:])
            wire.lose()
            self.turn()
            self.unharmed()


class PeersTests(FuzzCase):
    """From the peers of calls: what they say is broken, and what comes next, too."""

    def broken(self, mutator: Mutator, data: bytes) -> bytes:
        """A message, perhaps broken."""
        return mutator.change(data) if mutator.random.random() < 0.7 else data

    def read(self, data: bytes) -> Message | None:
        """What the proxy has sent; None where it answers something that lacks what an answer repeats."""
        try:
            return read(data)
        except BadMessage:
            return None

    def say(self, peer: Browser | TrunkPeer, data: bytes) -> None:
        """Send octets as this peer."""
        self.given.append(data)
        try:
            message = read(data)
        except BadMessage as error:
            self.world.transactions.bad_message(error, peer.flow)
        else:
            self.world.transactions.message_received(message, peer.flow)

    def answers(self, mutator: Mutator, peer: Browser | TrunkPeer) -> Iterator[bytes]:
        """Answers, perhaps broken, to each request that was sent to a peer."""
        sent, peer.flow.sent = peer.flow.sent, []
        for heard in map(self.read, sent):
            if isinstance(heard, Request) and heard.method != "ACK":
                status = mutator.random.choice((100, 180, 183, 200, 200, 202, 302, 401, 407, 422, 486, 491, 503))
                headers = [("Contact", "<sip:x@192.0.2.50>"), ("RSeq", "1"), ("Session-Expires", "90;refresher=uas")]
                headers += [("Require", "100rel")] * (status == 183)
                headers += [("WWW-Authenticate", 'Digest realm="a", nonce="b", qop="auth"')] * (status == 401)
                headers += [("Content-Type", "application/sdp")]
                body = PLAIN if status < 300 else b""
                made = respond(heard, status, to_tag="callee", headers=headers, body=body)
                yield self.broken(mutator, made.to_bytes())

    def test_calls(self) -> None:
        """Calls in both directions."""
        for mutator in rounds(60):
            alice = self.world.browser()
            alice.bind()
            trunk = self.world.trunk()
            outward = mutator.random.random() < 0.5
            first = alice.invite("sip:bob@pbx.example.com") if outward else trunk.call(alice)
            for _ in range(6):
                for peer in (alice, trunk):
                    for data in list(self.answers(mutator, peer)):
                        self.say(peer, data)
                    method = mutator.random.choice(("INFO", "UPDATE", "BYE", "REFER", "NOTIFY", "PRACK", "INVITE"))
                    uri = first.headers.get("Contact") or ""
                    within = respond(first, 200, to_tag="callee", headers=[("Contact", uri)])
                    extra = peer.inside(method, first, within, cseq=mutator.random.randint(2, 9))
                    self.say(peer, self.broken(mutator, extra.to_bytes()))
                self.turn()
                self.unharmed()
            alice.flow.lose()
        for peer in self.world.peers:
            peer.flow.lose()
        self.world.rest()
