"""What the tests of the browsers' side share: the service on a reactor in memory, and connections to it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.wire import Frame, Recorder, Wire, frame, frames, upgrade
from webrtcproxy.config import WssConfig
from webrtcproxy.transport.wss.server import UpgradeLogin, WebSocketServer
from webrtcproxy.transport.wss.websocket import FrameLimit


class BrowsersCase(SynchronousTestCase):
    """`self.browsers` listens on plain TCP in memory; `options` are those of [wss] that are not the default."""

    options: ClassVar[Mapping[str, Any]] = {}
    frame_limit = FrameLimit()
    page = None

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.reactor.advance(1000)
        self.receiver = Recorder()
        self.browsers = self.make(**self.options)

    def make(
        self, frame_limit: FrameLimit | None = None, login: UpgradeLogin | None = None, **options: Any
    ) -> WebSocketServer:
        """A service with these options of [wss]."""
        browsers = WebSocketServer(
            self.reactor,
            self.receiver,
            WssConfig(("tcp:8443",), **options),
            frame_limit=frame_limit or self.frame_limit,
            page=self.page,
            advertise="203.0.113.7",
            login=login,
        )
        browsers.startService()
        return browsers

    def connect(self, peer: str = "192.0.2.7", browsers: WebSocketServer | None = None) -> Wire:
        """A connection, before HTTP."""
        wire = Wire(peer)
        protocol = (browsers or self.browsers).site.buildProtocol(wire.getPeer())
        self.assertIsNotNone(protocol)
        return wire.attach(protocol)

    def ask(self, *args: str, browsers: WebSocketServer | None = None, **headers: str | None) -> tuple[Wire, bytes]:
        """An upgrade request and the head of its response."""
        peer = headers.pop("peer", "192.0.2.7")
        wire = self.connect(peer, browsers)
        wire.deliver(upgrade(*args, **headers))
        return wire, wire.take()

    def open(self, browsers: WebSocketServer | None = None, **headers: str | None) -> Wire:
        """An open WebSocket."""
        wire, response = self.ask(browsers=browsers, **headers)
        self.assertIn(b"HTTP/1.1 101", response)
        self.assertEqual(response.partition(b"\r\n\r\n")[2], b"")
        return wire

    def send(self, wire: Wire, payload: bytes, opcode: int = 1, **how) -> list[Frame]:
        """Send a frame; what came back."""
        wire.deliver(frame(payload, opcode, **how))
        return frames(wire.take())

    def assert_closing(self, wire: Wire, code: int) -> Frame:
        """The last frame closes with this code; the peer's half of the handshake ends the connection."""
        last = frames(wire.take())[-1]
        self.assertEqual((last.opcode, last.code), (8, code))
        return last
