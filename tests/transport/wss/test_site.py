"""The HTTP around a WebSocket: the page, slow and broken requests, what is no WebSocket."""

from twisted.web.resource import Resource

from tests.support.wire import options, upgrade
from tests.transport.case import BrowsersCase
from webrtcproxy.transport.wss import site


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

    def test_keep_alive(self) -> None:
        """A WebSocket may follow the page on the same connection."""
        wire = self.connect()
        wire.deliver(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertIn(b"a page", wire.take())
        wire.deliver(upgrade())
        self.assertIn(b" 101 ", wire.take())
        self.assertEqual(len(self.send(wire, options())), 1)

    def test_no_page(self) -> None:
        """Without a page: 404."""
        self.page = None
        wire = self.connect(browsers=self.make())
        wire.deliver(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertIn(b" 404 ", wire.take())

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
        """A head that does not end is refused at 16 KiB or 100 headers."""
        for head in (b"X: " + b"y" * 20000, b"X: y\r\n" * 102):
            wire = self.connect()
            wire.deliver(b"GET / HTTP/1.1\r\n" + head + b"\r\n", size=1000)
            self.assertTrue(wire.disconnecting)

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
