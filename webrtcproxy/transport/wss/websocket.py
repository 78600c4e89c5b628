"""SIP over WebSocket, the side that browsers connect to (RFC 6455, RFC 7118): one connection, and its flow."""

# mypy: disable-error-code="no-untyped-call"
# (Autobahn is half typed)

from __future__ import annotations

from collections.abc import Callable
from socket import SO_SNDBUF, SOL_SOCKET
from typing import TYPE_CHECKING, Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request
from webrtcproxy.transport.connection import Backpressure, Connection, IStream
from webrtcproxy.transport.flow import Address
from webrtcproxy.transport.source import address_of, stamp_received
from webrtcproxy.transport.wss.frame import TwoMessages, frame, read_one, whole_message

if TYPE_CHECKING:
    from autobahn.websocket.types import ConnectionRequest

    from webrtcproxy.transport.wss.server import WebSocketServer

log = Logger()

NORMAL, PROTOCOL_ERROR, POLICY, INTERNAL, RESTART, TRY_LATER = 1000, 1002, 1008, 1011, 1012, 1013
"""Close codes of ours (RFC 6455 section 7.4.1 and its registry); 1007 and 1009 are sent by Autobahn."""

CLOSE_HANDSHAKE = 2.0
"""Seconds that the peer has for its half of the closing handshake."""

LINGER = 5.0
"""Seconds between closing the connection under the WebSocket and aborting it."""

FRAMES = 512
"""Frames that one message may consist of."""

SEND_BUFFER = 128 * 1024
"""Octets of kernel buffer for a connection; by itself the kernel lets a slow reader have megabytes."""

PING = b"\r\n\r\n"
PONG = b"\r\n"

PING_FRAME = b"\x89\0"
"""A ping without content (RFC 6455 section 5.5.2)."""

PONG_HEAD = b"\x8a\x80"
"""How a masked pong without content begins, which is what answers it."""

PONG_SIZE = 6
"""Octets of that pong."""

_OPEN = WebSocketServerProtocol.STATE_OPEN


class WssFlow(Connection):
    """The way to one browser, for as long as its WebSocket lives."""

    __slots__ = ("_socket",)

    browser = True

    def __init__(self, socket: SipWebSocket, peer: Address, sent_by: str, via_transport: str) -> None:
        super().__init__(socket.owner.reactor, peer, sent_by, via_transport)
        self._socket: SipWebSocket | None = socket

    @property
    def closed(self) -> bool:
        """True once the WebSocket is closing."""
        return self._socket is None or self._socket.state != _OPEN

    def send(self, data: bytes) -> None:
        """Send one message.

        :raises FlowLost: the WebSocket is closed, or its peer doesn't read.
        """
        socket = self._socket
        if socket is None or socket.state != _OPEN or not socket.write(data):
            raise FlowLost(f"{self!r} is closed")

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Begin the closing handshake."""
        if self._socket is not None:
            self._socket.shut(code, reason)

    def end(self) -> None:
        """The connection is gone. For the protocol."""
        self._socket = None
        super().end()

    def __repr__(self) -> str:
        return f"<WssFlow {self.peer.host} port {self.peer.port}>"


class SipWebSocket(WebSocketServerProtocol):
    """One WebSocket.

    Autobahn does the handshake, frames, UTF-8, sizes and close codes. Replaced are its hooks on the way of a message,
    where it logs and fires a signal for each, and its timers and options, which cost every idle connection memory: the
    pings are the owner's, the options stand in the class (see `SipWebSocketFactory`).

    :param owner: knows the limits and takes the messages.
    :param peer: who is there, perhaps behind a reverse proxy.
    """

    CONFIG_ATTRS: list[str] = []
    transport: IStream

    def __init__(self, owner: WebSocketServer, peer: Address) -> None:
        super().__init__()
        self.owner = owner
        self.peer_address = peer
        self.flow: WssFlow | None = None
        self.pressure: Backpressure | None = None
        self.heard = self.pinged = owner.reactor.seconds()
        self._tokens = float(owner.options.burst)
        self._filled = self.heard
        self._frames = 0
        self._deaf = False
        self._linger: IDelayedCall | None = None

    # The handshake

    def onConnect(self, request: ConnectionRequest) -> str:
        """The request is good: `handshake.check` has seen it."""
        return "sip"

    def onOpen(self) -> None:
        """The WebSocket is open."""
        # Nothing reads these again, and they are a tenth of what a connection costs.
        del self._transport_details, self.http_headers, self.http_request_data, self.http_response_data
        refusal = self.owner.opened(self)
        if refusal is not None:
            log.info("Refused {peer}: {why}", peer=self.peer_address.host, why=refusal[1])
            self.shut(*refusal)
            return
        kernel = getattr(self.transport, "socket", None)
        if kernel is not None:
            kernel.setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER)
        self.pressure = Backpressure(self.owner.reactor, self.transport, self._cut)
        sent_by = self.owner.local.sent_by(address_of(self.transport.getHost()), self.peer_address.host)
        secure = ISSLTransport.providedBy(self.transport)
        self.flow = WssFlow(self, self.peer_address, sent_by, "WSS" if secure else "WS")

    # What arrives

    def dataReceived(self, data: bytes) -> None:
        """Some octets."""
        if self._deaf:
            return
        self.heard = self.owner.reactor.seconds()
        try:
            payload = self._alone(data)
            if payload is None:
                self._dataReceived(data)
            elif self._may_go_on() and self.flow is not None:
                self._payload(payload, self.flow)
        except Exception:
            log.failure("What {peer} sent was too much", peer=self.peer_address.host)
            if self.state == _OPEN:
                self._fail_connection(INTERNAL, "internal error")
            else:
                self.transport.abortConnection()

    def onFrameBegin(self) -> None:
        """The head of a frame. Every frame takes a token, pings and fragments too: each of them costs."""
        if self.state == _OPEN:
            self._may_go_on()
        super().onFrameBegin()

    def _may_go_on(self) -> bool:
        """Take a token for one frame; where there is none left, the connection is closed."""
        options = self.owner.options
        self._tokens = min(options.burst, self._tokens + (self.heard - self._filled) * options.rate) - 1
        self._filled = self.heard
        if self._tokens < 0:
            self._deaf = True
            self._fail_connection(POLICY, "too many messages")
        return not self._deaf

    def _alone(self, data: bytes) -> bytes | None:
        """The message that `data` is, where it is one whole frame and nothing else is going on: nearly always; an empty
        one for a pong without content. All else is for Autobahn, and so is whatever is wrong with a frame."""
        if self.state != _OPEN or self.data or self.inside_message or self.current_frame is not None:
            return None
        if len(data) == PONG_SIZE and data.startswith(PONG_HEAD):
            return b""
        payload = whole_message(data)
        if payload is None or len(payload) > self.owner.options.max_message:
            return None
        return payload

    def onMessageBegin(self, isBinary: bool) -> None:
        """The first frame of a message."""
        self._frames = 0
        super().onMessageBegin(isBinary)

    def onMessageFrameBegin(self, length: int) -> None:
        """A frame of a message; empty ones would get past Autobahn's limit of the size."""
        self._frames += 1
        super().onMessageFrameBegin(length)
        if self._frames > FRAMES and not self.failedByMe:
            self._fail_connection(POLICY, "too many fragments")

    def onMessageEnd(self) -> None:
        """A message is whole."""
        parts, self.message_data = self.message_data, []
        if self.state == _OPEN and self.flow is not None:
            self._payload(b"".join(parts), self.flow)

    def _payload(self, payload: bytes, flow: WssFlow) -> None:
        if payload == PING:
            self.write(PONG)
            return
        if not payload.strip(b"\r\n"):
            return
        receiver = self.owner.receiver
        try:
            message = read_one(payload)
        except BadMessage as error:
            if isinstance(error.request, Request):
                stamp_received(error.request, flow.peer)
            receiver.bad_message(error, flow)
            if isinstance(error, TwoMessages):
                self._fail_connection(PROTOCOL_ERROR, "more than one SIP message in one WebSocket message")
            return
        if isinstance(message, Request):
            stamp_received(message, flow.peer)
        receiver.message_received(message, flow)

    # What leaves

    def write(self, data: bytes) -> bool:
        """Send one message: as text where it is UTF-8, which every client takes, else as binary.

        :returns: False where the peer doesn't read; the connection is cut then.
        """
        if self.pressure is None or not self.pressure.admits(len(data)):
            return False
        self.transport.write(frame(data))
        return True

    def shut(self, code: int, reason: str) -> None:
        """Begin the closing handshake; nothing where it has begun."""
        if self.state == _OPEN:
            self.sendCloseFrame(code=code, reasonUtf8=reason.encode()[:123], isReply=False)

    def check_alive(self, now: float) -> None:
        """Ping a peer that has been silent for a while, drop one that does not even answer that. For the owner."""
        options = self.owner.options
        silent = now - self.heard
        if silent >= options.ping + options.ping_timeout:
            self._cut("it does not answer pings")
        elif silent >= options.ping and self.pinged <= self.heard:
            self.pinged = now
            if self.state == _OPEN:
                self.transport.write(PING_FRAME)

    # The end

    def _fail_connection(self, code: int = POLICY, reason: str = "") -> None:
        """Autobahn's way to end a connection that breaks a rule."""
        if self.state == _OPEN:
            log.info("Closing {peer}: {code} {why}", peer=self.peer_address.host, code=code, why=reason)
            self.owner.metrics.refused("websocket")
        super()._fail_connection(code, reason)

    def _cut(self, why: str) -> None:
        if self.state == self.STATE_CLOSED:
            return
        log.info("Cutting {peer}: {why}", peer=self.peer_address.host, why=why)
        self._deaf = True
        self.wasNotCleanReason = why
        self.dropConnection(abort=True)

    def dropConnection(self, abort: bool = False) -> None:
        """Autobahn's way to end the connection under the WebSocket."""
        if self.state != self.STATE_CLOSED and not abort:
            self._linger = self.owner.reactor.callLater(LINGER, self.transport.abortConnection)
        super().dropConnection(abort)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        for timer in (self._linger, self.closeHandshakeTimeoutCall):
            if timer is not None and timer.active():
                timer.cancel()
        if self.pressure is not None:
            self.pressure.stopProducing()
        super().connectionLost(reason)
        flow, self.flow = self.flow, None
        if flow is not None:
            flow.end()
        self.owner.closed(self)


class SipWebSocketFactory(WebSocketServerFactory):
    """What Autobahn wants its connections to have in common.

    :param owner: of all connections.
    """

    noisy = False

    def __init__(self, owner: WebSocketServer) -> None:
        super().__init__(protocols=["sip"], server="", reactor=owner.reactor)
        self._owner = owner
        self._batched_timer = _Timers(owner.reactor)
        limit = owner.options.max_message
        self.setProtocolOptions(
            allowNullOrigin=True,  # the origin has been looked at; left out, this call would set it to False
            webStatus=False,
            maxMessagePayloadSize=limit,
            maxFramePayloadSize=limit,
            failByDrop=False,  # else there is no close code
            echoCloseCodeReason=True,
            closeHandshakeTimeout=CLOSE_HANDSHAKE,
        )
        fixed = {name: _unbound(getattr(self, name)) for name in WebSocketServerProtocol.CONFIG_ATTRS}
        self._kind = type("SipWebSocket", (SipWebSocket,), {"log": _Silence(), **fixed})

    def connection(self, peer: Address) -> SipWebSocket:
        """The protocol for one connection."""
        socket: SipWebSocket = self._kind(self._owner, peer)
        socket.factory = self
        return socket


class _Timers:
    """Autobahn's timers on the clock that we were given; it takes the global reactor by itself."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock

    def call_later(self, delay: float, call: Callable[..., Any], *args: Any) -> IDelayedCall:
        """Have `call` called in `delay` seconds."""
        return self._clock.callLater(delay, call, *args)


class _Silence:
    """In place of Autobahn's logger: it has several lines for each message, and quotes what peers sent."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return self._nothing

    def _nothing(self, *args: object, **kwargs: object) -> None:
        pass


def _unbound(value: object) -> object:
    """`value` as it is to stand in a class, so that a function in it stays a function."""
    return staticmethod(value) if callable(value) else value
