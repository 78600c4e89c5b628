"""SIP over WebSocket, the side that browsers connect to (RFC 6455, RFC 7118): one connection, and its flow."""

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
"""Close codes that we send (RFC 6455 section 7.4.1 and its registry); 1007 and 1009 are sent by Autobahn."""

CLOSE_HANDSHAKE = 2.0
"""Seconds that the peer has for its half of the closing handshake."""

LINGER = 5.0
"""Seconds between closing the connection under the WebSocket and aborting it."""

FRAMES = 512
"""Frames that one message may consist of."""

SEND_BUFFER = 128 * 1024
"""Octets of kernel buffer for a connection; by itself the kernel lets a slow reader have megabytes."""

PING_FRAME = b"\x89\0"
"""A ping without content (RFC 6455 section 5.5.2)."""

PONG_HEAD = b"\x8a\x80"
"""How a masked pong without content begins, which is what answers it."""

PONG_SIZE = 6
"""Octets of that pong."""

_OPEN = WebSocket.STATE_OPEN


@dataclass(frozen=True, slots=True)
class FrameLimit:
    """How many frames one WebSocket may send.

    :param rate: frames a second that it may go on sending.
    :param burst: frames that it may send at once.
    """

    rate: float = 100.0
    burst: int = 500


class WebSocketOwner(Protocol):
    """What a WebSocket needs of the server that it belongs to."""

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
        """Knows our sent-by."""

    @property
    def metrics(self) -> Metrics:
        """Counts what is refused."""

    def opened(self, socket: SipWebSocket) -> tuple[int, str] | None:
        """A WebSocket is open.

        :returns: the close code and the reason where there is no room for it.
        """

    def closed(self, socket: SipWebSocket) -> None:
        """A WebSocket is closed."""


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
            self._socket.start_closing(code, reason)

    def connection_lost(self) -> None:
        """The connection is closed. For the protocol."""
        self._socket = None
        super().connection_lost()

    def __repr__(self) -> str:
        return f"<WssFlow {self.peer.host} port {self.peer.port}>"


class SipWebSocket(WebSocket):
    """One WebSocket.

    Autobahn does the handshake, frames, UTF-8, sizes and close codes; a whole message in one frame, as nearly all are,
    is read without it. Pings and the timer of the closing handshake are ours, on the clock of the owner.

    :param owner: the server.
    :param peer: the address of the peer, perhaps after a reverse proxy.
    :ivar last_received: when the last octets came, by the clock of the owner.
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
        """The request is good: `handshake.check` has read it."""
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
        self.backpressure = Backpressure(self.owner.reactor, self.transport, self._cut)
        sent_by = self.owner.local.sent_by(address_of(self.transport.getHost()), self.peer_address.host)
        secure = ISSLTransport.providedBy(self.transport)
        self.flow = WssFlow(self, self.peer_address, sent_by, "WSS" if secure else "WS")

    # What arrives

    def dataReceived(self, data: bytes) -> None:
        """Some octets."""
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
        """The head of a frame. Every frame takes a token, pings and fragments too: each of them costs."""
        if self.state == _OPEN:
            self._take_token()

    def _take_token(self) -> bool:
        """Take a token for one frame; where none is left, the connection is closed.

        :returns: whether there was one.
        """
        limit = self.owner.frame_limit
        self._tokens = min(limit.burst, self._tokens + (self.last_received - self._filled) * limit.rate) - 1
        self._filled = self.last_received
        if self._tokens < 0:
            self._ignoring = True
            self.fail(POLICY, "too many messages")
        return not self._ignoring

    def _whole_message(self, data: bytes) -> bytes | None:
        """The message that `data` is, where it is one whole frame and nothing else is half read, which is the rule; an
        empty one for a pong without content. All else is for Autobahn, and so is whatever is wrong with a frame."""
        if self.state != _OPEN or not self.idle():
            return None
        if len(data) == PONG_SIZE and data.startswith(PONG_HEAD):
            return b""
        payload = whole_message(data)
        if payload is None or len(payload) > self.owner.config.max_message:
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
        if self._frames == FRAMES + 1:
            self.fail(POLICY, "too many fragments")

    def message_arrived(self, payload: bytes) -> None:
        """A message is whole."""
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

    # What leaves

    def write(self, data: bytes) -> bool:
        """Send one message: as text where it is UTF-8, which every client takes, else as binary.

        :returns: False where the peer doesn't read; the connection is cut then.
        """
        if self.backpressure is None or not self.backpressure.admits(len(data)):
            return False
        self.transport.write(frame(data))
        return True

    def start_closing(self, code: int, reason: str) -> None:
        """Begin the closing handshake; nothing happens where it has begun.

        :param code: of the close frame (RFC 6455 section 7.4).
        """
        if self.state == _OPEN:
            self.sendCloseFrame(code=code, reasonUtf8=reason.encode()[:123], isReply=False)

    def check_alive(self, now: float) -> None:
        """Ping a peer that has been silent for a while, drop one that does not even answer that. For the owner.

        :param now: the time, by the clock of the owner.
        """
        config = self.owner.config
        silent = now - self.last_received
        if silent >= config.ping + config.ping_timeout:
            self._cut("it does not answer pings")
        elif silent >= config.ping and self.last_pinged <= self.last_received:
            self.last_pinged = now
            if self.state == _OPEN:
                self.transport.write(PING_FRAME)

    # The end

    def failing(self, code: int, reason: str) -> None:
        """The peer breaks a rule: its connection is about to be closed."""
        if self.state == _OPEN:
            log.info("Closing {peer}: {code} {why}", peer=self.peer_address.host, code=code, why=reason)
            self.owner.metrics.refused("websocket")

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        """Autobahn's way to begin or to answer the closing handshake."""
        if self.state == _OPEN and not isReply:
            self._end_after(CLOSE_HANDSHAKE, lambda: self.dropConnection(abort=True))
        super().sendCloseFrame(code, reasonUtf8, isReply)

    def _cut(self, why: str) -> None:
        if self.state == self.STATE_CLOSED:
            return
        log.info("Cutting {peer}: {why}", peer=self.peer_address.host, why=why)
        self._ignoring = True
        self.dropConnection(abort=True)

    def dropConnection(self, abort: bool = False) -> None:
        """Autobahn's way to end the connection under the WebSocket."""
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
    """What Autobahn wants its connections to have in common.

    :param owner: of all connections.
    """

    noisy = False

    def __init__(self, owner: WebSocketOwner) -> None:
        super().__init__(protocols=["sip"], server="", reactor=owner.reactor)
        self._owner = owner
        limit = owner.config.max_message
        self.setProtocolOptions(
            allowNullOrigin=True,  # the origin has been looked at; left out, this call would set it to False
            webStatus=False,
            maxMessagePayloadSize=limit,
            maxFramePayloadSize=limit,
            failByDrop=False,  # else there is no close code
            echoCloseCodeReason=True,
            openHandshakeTimeout=0,  # it is over at once
            closeHandshakeTimeout=0,  # ours is used: Autobahn's timers run on the global reactor
        )
        self._kind = SipWebSocket.with_options(self)

    def connection(self, peer: Address) -> SipWebSocket:
        """The protocol for one connection."""
        socket = self._kind(self._owner, peer)
        socket.factory = self
        return socket
