"""SIP over WebSocket, server side (RFC 6455, RFC 7118): one connection, and its flow."""

# mypy: disable-error-code="no-untyped-call"
# (Autobahn is half typed)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from socket import SO_SNDBUF, SOL_SOCKET
from typing import TYPE_CHECKING, Protocol

from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.config import WssConfig
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.runtime.internals import WebSocket
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.stream import PING, PONG
from webrtcproxy.transport.connection import Backpressure, Connection, IStream
from webrtcproxy.transport.flow import Address, Receiver
from webrtcproxy.transport.local import LocalAddresses
from webrtcproxy.transport.source import address_of, stamp_received
from webrtcproxy.transport.wss.frame import TwoMessages, frame, read_one, whole_message

if TYPE_CHECKING:
    from autobahn.websocket.types import ConnectionRequest

log = Logger()

NORMAL, PROTOCOL_ERROR, POLICY, INTERNAL, RESTART, TRY_LATER = 1000, 1002, 1008, 1011, 1012, 1013
"""Close codes that are sent here (RFC 6455 section 7.4.1 and its registry); Autobahn sends 1007 and 1009."""

CLOSE_HANDSHAKE = 2.0
"""Seconds within which the peer must finish the closing handshake."""

LINGER = 5.0
"""Seconds between closing the connection under the WebSocket and aborting it."""

FRAMES = 512
"""Frames that one message may consist of."""

SEND_BUFFER = 128 * 1024
"""Octets of kernel buffer for a connection; by default, a slow reader could hold megabytes."""

PING_FRAME = b"\x89\0"
"""A ping without content (RFC 6455 section 5.5.2)."""

PONG_HEAD = b"\x8a\x80"
"""The first octets of a masked pong without content, the response to that ping."""

PONG_SIZE = 6
"""Octets of that pong."""

_OPEN = WebSocket.STATE_OPEN


@dataclass(frozen=True, slots=True)
class FrameLimit:
    """The limit of frames from one WebSocket, as a token bucket.

    :param rate: frames a second in the long run.
    :param burst: frames at once.
    """

    rate: float = 100.0
    burst: int = 500


class WebSocketOwner(Protocol):
    """The part of the server that a WebSocket uses."""

    receiver: Receiver

    @property
    def reactor(self) -> IReactorTime:
        """Runs the timers."""

    @property
    def config(self) -> WssConfig:
        """The limits of the configuration."""

    @property
    def frame_limit(self) -> FrameLimit:
        """The limit of each WebSocket's frames."""

    @property
    def local(self) -> LocalAddresses:
        """Determines our sent-by."""

    @property
    def metrics(self) -> Metrics:
        """Counts refused connections."""

    def opened(self, socket: SipWebSocket) -> tuple[int, str] | None:
        """A WebSocket is open.

        :returns: the close code and the reason if a limit is reached, else None.
        """

    def closed(self, socket: SipWebSocket) -> None:
        """A WebSocket is closed."""


class WssFlow(Connection):
    """The flow to one browser, for the lifetime of its WebSocket."""

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
            self._socket.start_closing(code, reason)

    def connection_lost(self) -> None:
        """The connection is closed. Called by the protocol."""
        self._socket = None
        super().connection_lost()

    def __repr__(self) -> str:
        return f"<WssFlow {self.peer.host} port {self.peer.port}>"


class SipWebSocket(WebSocket):
    """One WebSocket.

    Autobahn handles the handshake, frames, UTF-8, sizes and close codes; a whole message in one frame, which is nearly
    every message, bypasses it. Pings and the timer of the closing handshake run on the clock of the owner.

    :param owner: the server.
    :param peer: the address of the client, perhaps from X-Forwarded-For.
    :ivar last_received: when the last octets arrived, by the clock of the owner.
    """

    transport: IStream

    def __init__(self, owner: WebSocketOwner, peer: Address) -> None:
        super().__init__()
        self.owner = owner
        self.peer_address = peer
        self.flow: WssFlow | None = None
        self.backpressure: Backpressure | None = None
        self.last_received = self.last_pinged = owner.reactor.seconds()
        self._tokens = float(owner.frame_limit.burst)
        self._filled = self.last_received
        self._frames = 0
        self._ignoring = False
        self._end_timer: IDelayedCall | None = None

    # The handshake

    def onConnect(self, request: ConnectionRequest) -> str:
        """Accept the request: `handshake.check` has checked it."""
        return "sip"

    def onOpen(self) -> None:
        """The WebSocket is open."""
        self.forget_handshake()
        refusal = self.owner.opened(self)
        if refusal is not None:
            log.info("Refused {peer}: {why}", peer=self.peer_address.host, why=refusal[1])
            self.start_closing(*refusal)
            return
        kernel = getattr(self.transport, "socket", None)
        if kernel is not None:
            kernel.setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER)
        self.backpressure = Backpressure(self.owner.reactor, self.transport, self.cut)
        sent_by = self.owner.local.sent_by(address_of(self.transport.getHost()), self.peer_address.host)
        secure = ISSLTransport.providedBy(self.transport)
        self.flow = WssFlow(self, self.peer_address, sent_by, "WSS" if secure else "WS")

    # Receiving

    def dataReceived(self, data: bytes) -> None:
        """Octets have arrived."""
        if self._ignoring:
            return
        self.last_received = self.owner.reactor.seconds()
        try:
            payload = self._whole_message(data)
            if payload is None:
                self.read(data)
            elif self._take_token() and self.flow is not None:
                self._payload(payload, self.flow)
        except Exception:
            log.failure("What {peer} sent could not be handled", peer=self.peer_address.host)
            if self.state == _OPEN:
                self.fail(INTERNAL, "internal error")
            else:
                self.transport.abortConnection()

    def frame_began(self) -> None:
        """The head of a frame has arrived. Every frame takes a token, even pings and fragments: each has a cost."""
        if self.state == _OPEN:
            self._take_token()

    def _take_token(self) -> bool:
        """Take a token for one frame; if none is left, close the connection.

        :returns: whether there was a token.
        """
        limit = self.owner.frame_limit
        self._tokens = min(limit.burst, self._tokens + (self.last_received - self._filled) * limit.rate) - 1
        self._filled = self.last_received
        if self._tokens < 0:
            self._ignoring = True
            self.fail(POLICY, "too many messages")
        return not self._ignoring

    def _whole_message(self, data: bytes) -> bytes | None:
        """The message in `data` if it is one whole frame and no other is partly read, which is the usual case; empty
        for a pong without content. Autobahn handles everything else, including invalid frames."""
        if self.state != _OPEN or not self.idle():
            return None
        if len(data) == PONG_SIZE and data.startswith(PONG_HEAD):
            return b""
        payload = whole_message(data)
        if payload is None or len(payload) > self.owner.config.max_message:
            return None
        return payload

    def onMessageBegin(self, isBinary: bool) -> None:
        """The first frame of a message has arrived."""
        self._frames = 0
        super().onMessageBegin(isBinary)

    def onMessageFrameBegin(self, length: int) -> None:
        """A frame of a message has arrived; empty frames would evade Autobahn's size limit."""
        self._frames += 1
        super().onMessageFrameBegin(length)
        if self._frames == FRAMES + 1:
            self.fail(POLICY, "too many fragments")

    def message_arrived(self, payload: bytes) -> None:
        """A message is complete."""
        if self.state == _OPEN and self.flow is not None:
            self._payload(payload, self.flow)

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
                self.fail(PROTOCOL_ERROR, "more than one SIP message in one WebSocket message")
            return
        if isinstance(message, Request):
            stamp_received(message, flow.peer)
        receiver.message_received(message, flow)

    # Sending

    def write(self, data: bytes) -> bool:
        """Send one message: as text if it is UTF-8, which every client accepts, else as binary.

        :returns: False if the peer doesn't read; the connection is then cut.
        """
        if self.backpressure is None or not self.backpressure.admits(len(data)):
            return False
        self.transport.write(frame(data))
        return True

    def start_closing(self, code: int, reason: str) -> None:
        """Begin the closing handshake, unless it has begun.

        :param code: of the close frame (RFC 6455 section 7.4).
        """
        if self.state == _OPEN:
            self.sendCloseFrame(code=code, reasonUtf8=reason.encode()[:123], isReply=False)

    def cut(self, why: str) -> None:
        """Cut the connection, without a close frame.

        :param why: for the log.
        """
        if self.state == self.STATE_CLOSED:
            return
        log.info("Cutting {peer}: {why}", peer=self.peer_address.host, why=why)
        self._ignoring = True
        self.dropConnection(abort=True)

    def check_alive(self, now: float, reading_since: float = 0.0) -> None:
        """Ping a peer that has been silent for a while; cut one that does not respond to a ping. Called by the owner.

        :param now: the time, by the clock of the owner.
        :param reading_since: since when everything that arrives is read; before, a peer was not silent.
        """
        config = self.owner.config
        last_sign = max(self.last_received, reading_since)
        silent = now - last_sign
        if silent >= config.ping + config.ping_timeout:
            self.cut("it does not answer pings")
        elif silent >= config.ping and self.last_pinged <= last_sign:
            self.last_pinged = now
            if self.state == _OPEN:
                self.transport.write(PING_FRAME)

    # Closing

    def failing(self, code: int, reason: str) -> None:
        """The peer has violated the protocol: its connection is about to be closed."""
        if self.state == _OPEN:
            log.info("Closing {peer}: {code} {why}", peer=self.peer_address.host, code=code, why=reason)
            self.owner.metrics.refused("websocket")

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        """Autobahn's hook for its side of the closing handshake."""
        if self.state == _OPEN and not isReply:
            self._end_after(CLOSE_HANDSHAKE, lambda: self.dropConnection(abort=True))
        super().sendCloseFrame(code, reasonUtf8, isReply)

    def dropConnection(self, abort: bool = False) -> None:
        """Autobahn's hook for closing the TCP connection under the WebSocket."""
        if self.state != self.STATE_CLOSED:
            self._stop_timer()
            if not abort:
                self._end_after(LINGER, self.transport.abortConnection)
        super().dropConnection(abort)

    def _end_after(self, seconds: float, end: Callable[[], None]) -> None:
        self._end_timer = self.owner.reactor.callLater(seconds, end)

    def _stop_timer(self) -> None:
        if self._end_timer is not None and self._end_timer.active():
            self._end_timer.cancel()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is closed."""
        self._stop_timer()
        if self.backpressure is not None:
            self.backpressure.stopProducing()
        super().connectionLost(reason)
        flow, self.flow = self.flow, None
        if flow is not None:
            flow.connection_lost()
        self.owner.closed(self)


class SipWebSocketFactory(WebSocketServerFactory):
    """The factory that Autobahn requires; its options apply to all connections.

    :param owner: of all connections.
    """

    noisy = False

    def __init__(self, owner: WebSocketOwner) -> None:
        super().__init__(protocols=["sip"], server="", reactor=owner.reactor)
        self._owner = owner
        limit = owner.config.max_message
        self.setProtocolOptions(
            allowNullOrigin=True,  # the origin is already checked; without this argument the call would set it to False
            webStatus=False,
            maxMessagePayloadSize=limit,
            maxFramePayloadSize=limit,
            failByDrop=False,  # otherwise there is no close code
            echoCloseCodeReason=True,
            openHandshakeTimeout=0,  # it ends at once
            closeHandshakeTimeout=0,  # our own timer is used: Autobahn's run on the global reactor
        )
        self._kind = SipWebSocket.with_options(self)

    def connection(self, peer: Address) -> SipWebSocket:
        """The protocol for one connection."""
        socket = self._kind(self._owner, peer)
        socket.factory = self
        return socket
