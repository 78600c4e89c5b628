"""The port of the browsers with real sockets and TLS, and Autobahn's client on the other side."""

import socket
import ssl
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource

from tests.support.phones import Browser, Refused
from tests.support.wire import Recorder, options
from webrtcproxy.config import WssConfig
from webrtcproxy.demo.certificate import write_certificate
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.transport.flow import Flow
from webrtcproxy.transport.wss import site
from webrtcproxy.transport.wss.server import WebSocketServer


class _Page(Resource):
    isLeaf = True

    def render_GET(self, request):
        return b"x" * 300_000


class _Raw(Protocol):
    """A TCP connection that says what it has read and when it ended."""

    def __init__(self) -> None:
        self.data = b""
        self.ended: Deferred = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason=connectionDone) -> None:
        self.ended.callback(self.data)


class RealCase(TestCase):
    """`self.url` is a WebSocket over TLS."""

    timeout = 20
    options = {}
    scheme = "wss"

    def setUp(self) -> None:
        self.key, self.certificate = write_certificate(Path(self.mktemp()).absolute(), ["localhost"])
        self.receiver = Recorder()
        config = WssConfig((self.line(), self.line("127.0.0.2")), **self.options)
        self.browsers = WebSocketServer(reactor, self.receiver, config, page=_Page())
        self.browsers.startService()
        self.addCleanup(self.stop)
        self.port = self.browsers.addresses[0].port
        self.url = f"{self.scheme}://127.0.0.1:{self.port}/"

    def line(self, interface: str = "127.0.0.1") -> str:
        """The endpoint string."""
        return f"ssl:0:interface={interface}:privateKey={self.key}:certKey={self.certificate}"

    async def stop(self) -> None:
        """The service, and after it nothing may be left of a connection."""
        await self.browsers.stopService()
        self.assertEqual(self.browsers.connections, 0)
        self.assertEqual(self.browsers._limits._hosts, {})
        self.assertEqual(self.browsers.site._open, {})

    async def browser(self, **kwargs) -> Browser:
        """An open WebSocket."""
        found = await Browser.connect(reactor, self.url, **kwargs)
        self.addCleanup(found.abort)
        return found

    async def flow_of(self, browser: Browser) -> Flow:
        """The flow of a browser."""
        browser.send(options())
        await browser.receive()
        return self.receiver.flow

    def lost(self, flow: Flow) -> Deferred:
        """Fires when the flow is lost."""
        heard: Deferred = Deferred()
        flow.on_lost(lambda: heard.callback(None))
        return heard


class Secure(RealCase):
    """WebSockets over TLS."""

    async def test_request(self) -> None:
        """A request and its answer; our Via says WSS, and where."""
        browser = await self.browser()
        browser.send(options())
        answer = await browser.receive()
        self.assertEqual((answer.status, answer.via.received), (200, "127.0.0.1"))
        flow = self.receiver.flow
        self.assertEqual((flow.via_transport, flow.sent_by), ("WSS", f"127.0.0.1:{self.port}"))

    async def test_large(self) -> None:
        """60 KB both ways, in several segments and TLS records."""
        browser = await self.browser()
        head = options().replace(b"Content-Length: 0", b"Content-Length: 60000")
        browser.send(head + b"x" * 60000)
        await browser.receive()
        self.assertEqual(len(self.receiver.messages[0][0].body), 60000)
        self.receiver.flow.send(head + b"y" * 60000)
        self.assertEqual((await browser.receive()).body, b"y" * 60000)

    async def test_refused(self) -> None:
        """A page of another site sees the handshake fail."""
        with self.assertRaises(Refused) as caught:
            await Browser.connect(reactor, self.url, origin="https://evil.example")
        self.assertIn("403", str(caught.exception))
        with self.assertRaises(Refused) as caught:
            await Browser.connect(reactor, self.url, protocols=["xmpp"])
        self.assertIn("400", str(caught.exception))

    async def test_closed_by_us(self) -> None:
        """The page sees our close code and reason; then the flow is lost."""
        browser = await self.browser()
        flow = await self.flow_of(browser)
        lost = self.lost(flow)
        flow.close(1008, "no")
        self.assertEqual(await browser.closed, (True, 1008, "no"))
        await lost

    async def test_closed_by_page(self) -> None:
        """A page that closes gets its code back."""
        browser = await self.browser()
        lost = self.lost(await self.flow_of(browser))
        self.assertEqual((await browser.close(1000))[:2], (True, 1000))
        await lost

    async def test_page_gone(self) -> None:
        """A page that vanishes: the flow is lost at once."""
        browser = await self.browser()
        flow = await self.flow_of(browser)
        lost = self.lost(flow)
        await browser.abort()
        await lost
        self.assertRaises(FlowLost, flow.send, b"x")

    async def test_restart(self) -> None:
        """When the service stops the page sees 1012."""
        browsers = [await self.browser() for _ in range(3)]
        for browser in browsers:
            await self.flow_of(browser)
        stopped = self.browsers.stopService()
        for browser in browsers:
            self.assertEqual((await browser.closed).code, 1012)
        await stopped

    async def test_slow_reader(self) -> None:
        """A page that does not read is cut before much waits for it."""
        browser = await self.browser()
        flow = await self.flow_of(browser)
        lost = self.lost(flow)
        browser.pause()
        sent = 0
        with self.assertRaises(FlowLost):
            for _ in range(10_000):
                flow.send(b"x" * 1000)
                sent += 1000
                if sent % 20_000 == 0:
                    await deferLater(reactor, 0)
        self.assertLess(sent, 1_500_000)
        self.assertTrue(flow.closed)
        await lost

    async def test_new_certificate(self) -> None:
        """A renewed certificate is used by the next connection; one that is open lives on."""
        browser = await self.browser()
        before = await deferToThread(ssl.get_server_certificate, ("127.0.0.1", self.port))
        self.assertEqual(before, self.certificate.read_text())
        write_certificate(self.key.parent, ["renewed.example"])
        after = await deferToThread(ssl.get_server_certificate, ("127.0.0.1", self.port))
        self.assertEqual(after, self.certificate.read_text())
        self.assertNotEqual(after, before)
        await self.flow_of(browser)

    async def test_page(self) -> None:
        """The page, by HTTPS on the same port, whole; no version in its head."""
        found = await deferToThread(_get, self.port)
        head, _, body = found.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 OK"))
        self.assertNotIn(b"\r\nserver:", head.lower())
        self.assertEqual(len(body), 300_000)

    async def test_no_tls(self) -> None:
        """Whoever connects and does not shake hands is cut; so is who sends no TLS."""
        self.patch(site.BoundedSite, "timeOut", 0.05)
        self.browsers.site.timeOut = 0.05
        silent = await self.raw()
        await silent.ended
        garbage = await self.raw()
        garbage.transport.write(b"GET / HTTP/1.1\r\n\r\n")
        await garbage.ended

    async def test_turned_away(self) -> None:
        """Where there are too many connections, the next is ended before any TLS; no fault is logged."""
        self.browsers.site._limits.max_total = 1
        first = await self.raw()
        second = await self.raw()
        self.assertEqual(await second.ended, b"")
        self.assertFalse(first.ended.called)
        first.transport.abortConnection()
        await first.ended

    async def raw(self) -> _Raw:
        """A bare TCP connection."""
        return await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", self.port), _Raw())


class Plain(RealCase):
    """WebSockets without TLS, for a listener after a proxy that ends TLS."""

    scheme = "ws"
    options = {"ping": 0.3, "ping_timeout": 0.3}

    def line(self, interface: str = "127.0.0.1") -> str:
        return f"tcp:0:interface={interface}"

    async def test_request(self) -> None:
        """Our Via says WS."""
        flow = await self.flow_of(await self.browser())
        self.assertEqual(flow.via_transport, "WS")

    async def test_kept_alive(self) -> None:
        """A client that answers pings stays, for as long as it likes."""
        browser = await self.browser()
        await deferLater(reactor, 1.2)
        await self.flow_of(browser)

    async def test_half_open(self) -> None:
        """A client that stops to answer is cut."""
        browser = await self.browser()
        lost = self.lost(await self.flow_of(browser))
        browser.pause()
        await lost


def _get(port: int) -> bytes:
    """A GET by a client that is not Twisted."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as stream,
    ):
        stream.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        found = b""
        while chunk := stream.recv(65536):
            found += chunk
    return found
