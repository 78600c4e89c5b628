"""The HTTP around a WebSocket: the page, slow and broken requests, what is no WebSocket."""

from ipaddress import ip_network

from OpenSSL import SSL
from twisted.internet.interfaces import ISSLTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from zope.interface import directlyProvides

from tests.support.exposition import Readings
from tests.support.wire import options, upgrade
from tests.transport.case import BrowsersCase
from webrtcproxy.config import WssConfig
from webrtcproxy.transport.wss import site
from webrtcproxy.transport.wss.server import WebSocketServer


class _Page(Resource):
    isLeaf = True

    def render_GET(self, request):
        return b"a page"


class Http(BrowsersCase):
    """HTTP beside the WebSocket."""

    page = _Page()

    def test_page(self) -> None:
        """A request without Upgrade gets the page, at the path of the WebSocket too; no version is named."""
        for path in (b"/", b"/other"):
            wire = self.connect()
            wire.deliver(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            response = wire.take()
            self.assertTrue(response.startswith(b"HTTP/1.1 200 "))
            self.assertTrue(response.endswith(b"a page"))
            self.assertNotIn(b"server:", response.lower())

    def test_careful_browsers(self) -> None:
        """Every response, of a page, of what is not there and of a refused WebSocket, has the headers by which browsers
        are careful; a resource may set others."""
        for request in (
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            upgrade("/other"),
            upgrade(origin="https://evil.example"),
        ):
            wire = self.connect()
            wire.deliver(request)
            response = wire.take().lower()
            for header in (
                b"content-security-policy: default-src 'none'; frame-ancestors 'none'",
                b"referrer-policy: no-referrer",
                b"x-content-type-options: nosniff",
            ):
                self.assertIn(b"\r\n" + header + b"\r\n", response)
            self.assertNotIn(b"strict-transport-security", response)

    def test_hsts(self) -> None:
        """Over TLS a browser is told to use nothing else for a year (RFC 6797 section 6.1); not without TLS, where it
        means nothing (section 7.2), and not where the option says so."""
        for seconds, told in ((31_536_000, True), (0, False)):
            for secure in (True, False):
                wire = self.connect(browsers=self.make(hsts=seconds))
                if secure:
                    directlyProvides(wire, ISSLTransport)
                for request in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", upgrade("/other")):
                    wire.deliver(request)
                    header = b"\r\nstrict-transport-security: max-age=31536000\r\n"
                    self.assertEqual(header in wire.take().lower(), told and secure)

    def test_handshake_failed(self) -> None:
        """Where TLS fails, as without a certificate that is asked for, the log says of whom and why, and it counts."""
        readings = Readings(self.browsers.metrics)
        wire = self.connect()
        with capturedLogs() as events:
            wire.protocol.connectionLost(Failure(SSL.Error([("", "", "peer did not return a certificate")])))
        self.assertEqual(
            [formatEvent(event) for event in events], ["No TLS with 192.0.2.7: peer did not return a certificate"]
        )
        self.assertEqual(readings.moved(), {'refused_total{reason="handshake"}': 1})

    def test_keep_alive(self) -> None:
        """A WebSocket may follow the page on the same connection."""
        wire = self.connect()
        wire.deliver(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertIn(b"a page", wire.take())
        wire.deliver(upgrade())
        self.assertIn(b" 101 ", wire.take())
        self.assertEqual(len(self.send(wire, options())), 1)

    def test_no_page(self) -> None:
        """Without a page: 404, whatever is asked for, and nothing of the program in it."""
        self.page = None
        for line in (b"GET /", b"GET /a/b", b"POST /", b"HEAD /index.html"):
            wire = self.connect(browsers=self.make())
            wire.deliver(line + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            response = wire.take()
            self.assertIn(b" 404 ", response)
            self.assertNotIn(b"wisted", response)
            self.assertIn(response.partition(b"\r\n\r\n")[2], (b"", b"There is nothing here.\n"))

    def test_body(self) -> None:
        """No resource takes a body: 413, and none of it is kept."""
        for header in (b"Content-Length: 5", b"Content-Length: 99999999999", b"Transfer-Encoding: chunked"):
            wire = self.connect()
            wire.deliver(b"POST / HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\nhello")
            self.assertTrue(wire.take().startswith(b"HTTP/1.1 413 "), header)
            wire.deliver(b"more")
            self.assertTrue(wire.disconnecting)
            wire.settle()
        self.assertEqual(self.reactor.getDelayedCalls(), [self.browsers._heartbeat.call])

    def test_large_head(self) -> None:
        """A head that does not end is refused at 16 KiB or 100 headers, and the connection closes at once: 414 for a
        request line (RFC 9110 section 15.5.15), 431 for headers (RFC 6585 section 5). What comes later is dropped."""
        first = b"GET / HTTP/1.1\r\n"
        many = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 900) for number in range(70))
        for head, status in (
            (b"GET /" + b"y" * 64_000, b"414"),
            (b"GET /" + b"y" * 64_000 + b" HTTP/1.1\r\n\r\n", b"414"),
            (first + b"X: " + b"y" * 64_000, b"431"),
            (first + b"X: " + b"y" * 64_000 + b"\r\n\r\n", b"431"),
            (first + many, b"431"),
            (first + b"X: y\r\n y\r\n" * 51 + b"\r\n", b"431"),
            (first + b"X: y\r\n" * 101 + b"\r\n", b"431"),
        ):
            for size in (1000, 65_536):
                wire = self.connect()
                wire.deliver(head, size=size)
                self.assertTrue(wire.disconnecting)
                response = wire.take()
                self.assertTrue(response.startswith(b"HTTP/1.1 " + status + b" "), response[:60])
                wire.deliver(b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertEqual(wire.take(), b"")
                wire.settle()

    def test_largest_head(self) -> None:
        """100 headers are not too many, in each request of a connection."""
        wire = self.connect()
        for _ in range(3):
            wire.deliver(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 99 + b"\r\n")
            self.assertIn(b" 200 ", wire.take())

    def test_slow_head(self) -> None:
        """Octets that trickle in buy no time: a whole request within ten seconds of the connection, or it ends."""
        wire = self.connect()
        wire.deliver(b"GET / HTTP/1.1\r\n")
        for count in range(20):
            wire.deliver(f"X-{count}: y\r\n".encode())
            self.reactor.advance(0.45)
        self.assertFalse(wire.disconnecting)
        self.reactor.advance(1)
        self.assertTrue(wire.disconnecting)

    def test_lingering(self) -> None:
        """A peer that keeps a closed connection is cut."""
        wire = self.connect()
        self.reactor.advance(site.HEAD)
        self.assertEqual((wire.disconnecting, wire.aborted), (True, False))
        self.reactor.advance(site.LINGER)
        self.assertTrue(wire.aborted)
        wire.settle()

    def test_stop(self) -> None:
        """A browser that keeps its connection for the next request holds up a stop for a moment only; one that still
        waits for its response has time to get it."""
        idle, busy = self.connect(), self.connect()
        idle.deliver(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.page.render_GET = lambda request: 1
        self.addCleanup(delattr, self.page, "render_GET")
        busy.deliver(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.browsers.stopService()
        self.reactor.advance(site.STOPPING)
        self.assertEqual((idle.aborted, busy.aborted), (True, False))
        self.reactor.advance(site.LINGER - site.STOPPING)
        self.assertTrue(busy.aborted)

    def test_between_requests(self) -> None:
        """The time starts over after each response."""
        wire = self.connect()
        for _ in range(4):
            self.reactor.advance(site.HEAD - 1)
            wire.deliver(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertFalse(wire.disconnecting)
        self.reactor.advance(site.HEAD)
        self.assertTrue(wire.disconnecting)

    def test_slow_response(self) -> None:
        """A response that the peer does not read does not last for ever."""
        self.page.render_GET = lambda request: 1
        self.addCleanup(delattr, self.page, "render_GET")
        wire = self.connect()
        wire.deliver(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.reactor.advance(site.RESPONSE - 1)
        self.assertFalse(wire.disconnecting)
        self.reactor.advance(1)
        self.assertTrue(wire.disconnecting)
        self.flushLoggedErrors()

    def test_garbage(self) -> None:
        """What is no HTTP ends the connection."""
        wire = self.connect()
        wire.deliver(b"\x16\x03\x01\x00\r\n\r\n")
        self.assertTrue(wire.disconnecting)


class Banned(BrowsersCase):
    """Addresses that may not connect (docs/access.rst, Strangers)."""

    page = _Page()

    def setUp(self) -> None:
        self.banned: set[str] = set()
        super().setUp()
        self.metrics = Readings(self.browsers.metrics)

    def make(self, **options) -> WebSocketServer:
        config = WssConfig(("tcp:8443",), **options)
        browsers = WebSocketServer(
            self.reactor, self.receiver, config, page=self.page, is_banned=self.banned.__contains__
        )
        browsers.startService()
        return browsers

    def test_before_anything(self) -> None:
        """A connection of a banned address is cut before TLS and HTTP, and counted; others are not."""
        self.banned.add("192.0.2.66")
        wire = self.connect("192.0.2.66")
        self.assertTrue(wire.disconnecting)
        self.assertEqual(wire.take(), b"")
        self.assertEqual(self.metrics.moved(), {'refused_total{reason="banned"}': 1})
        self.open(peer="192.0.2.7")

    def test_open_ones_are_cut(self) -> None:
        """What a network has open when it is banned is cut, WebSockets without a close frame; those of others stay, and
        so does one that may be spared: a user who is logged in."""
        page, stranger = self.connect("192.0.2.66"), self.open(peer="192.0.2.66")
        user, other = self.open(peer="192.0.2.66"), self.open(peer="192.0.2.7")
        self.send(user, options())
        spared = self.receiver.flow
        self.browsers.cut("192.0.2.66", lambda flow: flow is spared)
        self.assertEqual([wire.disconnecting for wire in (page, stranger, user, other)], [True, True, False, False])
        self.assertEqual(stranger.take(), b"")

    def test_behind_a_reverse_proxy(self) -> None:
        """A banned client of a trusted reverse proxy gets 403, from the page and for a WebSocket; others of its clients
        are served on the same connection."""
        browsers = self.make(trusted_proxies=(ip_network("192.0.2.7"),))
        self.banned.add("198.51.100.66")
        for path in (b"/", b"/other"):
            wire = self.connect(browsers=browsers)
            wire.deliver(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.1\r\n\r\n")
            self.assertIn(b" 200 ", wire.take())
            wire.deliver(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.66\r\n\r\n")
            self.assertIn(b" 403 ", wire.take())
        _, response = self.ask(browsers=browsers, x_forwarded_for="198.51.100.66")
        self.assertIn(b" 403 ", response)
        _, response = self.ask(browsers=browsers, x_forwarded_for="198.51.100.1")
        self.assertIn(b" 101 ", response)
