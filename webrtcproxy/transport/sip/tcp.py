"""SIP over TCP: accepted connections, and connections that the first message opens (RFC 3261 section 18)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Factory, Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, read
from webrtcproxy.sip.stream import PING, PONG, StreamReader
from webrtcproxy.transport.connection import (
    Backpressure,
    Connection,
    ConnectionLimits,
    IStream,
    TcpReactor,
    detect_dead_peer,
)
from webrtcproxy.transport.flow import Address, Receiver
from webrtcproxy.transport.local import LocalAddresses, is_wildcard
from webrtcproxy.transport.source import address_of, stamp_received

log = Logger()

FIRST_MESSAGE = 15.0
"""Seconds within which the peer of an accepted connection must send a whole message."""

IDLE = 600.0
"""Seconds without a message after which a connection is closed, unless a callback waits for its loss."""

CONNECT = 8.0
"""The timeout for opening a connection, in seconds."""

LINGER = 5.0
"""Seconds between closing a connection and aborting it."""

QUEUE = 256 * 1024
"""Octets that may wait for a connection that is being opened."""

CONNECTIONS = 2000
PER_ADDRESS = 100


class TcpFlow(Connection):
    """One TCP connection. The first `send` on a flow of ours opens it, and messages wait until it is made.

    :param via_transport: ``TCP`` or ``TLS``.
    :param connect: opens the connection; None if the peer has opened it.
    :param domain: the name that the certificate of the peer must contain, if we open the connection over TLS.
    """

    __slots__ = ("_closed", "_connect", "_protocol", "_queue", "_queued", "domain")

    browser = False

    def __init__(
        self,
        clock: IReactorTime,
        peer: Address,
        sent_by: str,
        connect: Callable[[TcpFlow], None] | None = None,
        via_transport: str = "TCP",
        domain: str = "",
    ) -> None:
        super().__init__(clock, peer, sent_by, via_transport)
        self.domain = domain
        self._connect = connect
        self._protocol: TcpConnection | None = None
        self._queue: list[bytes] = []
        self._queued = 0
        self._closed = False

    @property
    def closed(self) -> bool:
        """True once nothing can be sent any more."""
        return self._closed

    def send(self, data: bytes) -> None:
        """Send one message, or queue it while the connection is being opened.

        :raises FlowLost: the connection is closed, or too many octets wait.
        """
        if self._closed:
            raise FlowLost(f"{self!r} is closed")
        if self._protocol is not None:
            self._protocol.write(data)
            return
        self._queued += len(data)
        if self._queued > QUEUE:
            raise FlowLost(f"too much waits for {self!r}")
        self._queue.append(data)
        connect, self._connect = self._connect, None
        if connect is not None:
            connect(self)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection when everything is written; `code` and `reason` are for WebSockets."""
        self._closed = True
        if self._protocol is not None:
            self._protocol.close()

    def connected(self, protocol: TcpConnection) -> None:
        """The connection is made: send the queued messages. Called by the protocol."""
        self._protocol = protocol
        waiting, self._queue = self._queue, []
        for data in waiting:
            protocol.write(data)
        if self._closed:
            protocol.close()

    def connection_lost(self) -> None:
        """The connection is closed, or could not be made. Called by the protocol."""
        self._closed = True
        self._protocol = None
        self._queue = []
        super().connection_lost()

    def __repr__(self) -> str:
        return f"<{self.via_transport.capitalize()}Flow {self.peer.host} port {self.peer.port}>"


class TcpConnection(Protocol):
    """The protocol of one connection: splits the octets into messages.

    :param owner: the transport that it belongs to.
    :param flow: its flow.
    :param first: seconds within which the first message must arrive.
    """

    transport: IStream

    def __init__(self, owner: TcpTransport, flow: TcpFlow, first: float) -> None:
        self._owner = owner
        self._flow = flow
        self._first = first
        self._reader = StreamReader()
        self._message_seen = False
        self._closing = False
        self._timer: IDelayedCall | None = None
        self._backpressure: Backpressure | None = None

    def connectionMade(self) -> None:
        """The connection is made."""
        self.transport.setTcpNoDelay(True)
        detect_dead_peer(self.transport)
        self._backpressure = Backpressure(self._owner.reactor, self.transport, self._cut)
        self._timer = self._owner.reactor.callLater(self._first, self._idle)
        self._owner.opened(self, self._flow)
        self.ready()

    def ready(self) -> None:
        """Messages can be sent."""
        self._flow.connected(self)

    def write(self, data: bytes) -> None:
        """Write one message.

        :raises FlowLost: the peer does not read.
        """
        if self._backpressure is None or not self._backpressure.admits(len(data)):
            raise FlowLost(f"{self._flow!r} does not read")
        self._message_seen = True
        self.transport.write(data)

    def close(self) -> None:
        """Close, and abort a little later if the peer does not close."""
        if self._closing:
            return
        self._closing = True
        self.wait(LINGER, self.abort)
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Octets have arrived."""
        items = self._split(data)
        while items:
            for item in items:
                self._guarded(self._received, item)
            items = self._split(b"")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is closed."""
        self._closing = True
        if self._backpressure is not None:
            self._backpressure.stopProducing()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._flow.connection_lost()
        self._owner.closed(self, self._flow)

    def _split(self, data: bytes) -> list[bytes]:
        """The messages that are complete; none if the framing is lost."""
        if self._flow.closed:
            return []
        try:
            return self._reader.feed(data)
        except BadMessage as error:
            self._guarded(self._framing_lost, error)
            self._flow.close()
            return []

    def _guarded(self, call: Callable[[Any], None], argument: object) -> None:
        try:
            call(argument)
        except Exception:
            log.failure("A message from {flow} could not be handled", flow=self._flow)

    def _received(self, item: bytes) -> None:
        if self._flow.closed:
            return
        self._message_seen = True
        if item == PING:
            self.transport.write(PONG)
            return
        receiver = self._owner.receiver
        try:
            message = read(item, stream=True)
        except BadMessage as error:
            if isinstance(error.request, Request):
                stamp_received(error.request, self._flow.peer)
            receiver.bad_message(error, self._flow)
            return
        if isinstance(message, Request):
            stamp_received(message, self._flow.peer)
        receiver.message_received(message, self._flow)

    def _framing_lost(self, error: BadMessage) -> None:
        """The start of the next message is unknown: refuse this one, and close (RFC 3261 section 18.3)."""
        log.info("Closing {flow}: {why}", flow=self._flow, why=error.why)
        if isinstance(error.request, Request):
            stamp_received(error.request, self._flow.peer)
        self._owner.receiver.bad_message(error, self._flow)

    def _idle(self) -> None:
        if not self._message_seen and not self._flow.watched:
            log.info("Closing {flow}: it is silent", flow=self._flow)
            self._flow.close()
            return
        self._message_seen = False
        self.wait(IDLE, self._idle)

    def wait(self, seconds: float, then: Callable[[], None]) -> None:
        """Set the only timer of the connection: it calls `then` after this many seconds."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._owner.reactor.callLater(seconds, then)

    def _cut(self, why: str) -> None:
        log.info("Cutting {flow}: {why}", flow=self._flow, why=why)
        self._flow.close()
        self.abort()

    def abort(self) -> None:
        """Cut the connection."""
        self.transport.abortConnection()


class TcpTransport(ServerFactory[Any]):
    """One listening TCP socket, and the connections that peers and the proxy have opened at its address.

    :param receiver: takes the messages.
    :param local: determines our sent-by.
    :param limits: counts the connections.
    """

    noisy = False
    via_transport: ClassVar[str] = "TCP"

    def __init__(
        self, reactor: TcpReactor, receiver: Receiver, local: LocalAddresses, limits: ConnectionLimits | None = None
    ) -> None:
        self.reactor = reactor
        self.receiver = receiver
        self.address = Address("", 0)
        self._local = local
        self._limits = ConnectionLimits(CONNECTIONS, PER_ADDRESS) if limits is None else limits
        self._outgoing: dict[tuple[Address, str], TcpFlow] = {}
        self._connecting: dict[TcpFlow, Deferred[Any]] = {}
        self._open: dict[TcpConnection, Deferred[None]] = {}
        self._stopped = False

    def bound(self, address: Address) -> None:
        """The socket is bound to this address."""
        self.address = address

    def buildProtocol(self, addr: IAddress | None) -> TcpConnection | None:
        """A peer has connected. Returns None, which closes the connection, if there are too many."""
        peer = address_of(addr)
        if self._stopped or self._limits.full or self._limits.full_for(peer.host):
            log.info("Refused {kind} from {host}: too many connections", kind=self.via_transport, host=peer.host)
            return None
        flow = TcpFlow(self.reactor, peer, self._sent_by(peer), via_transport=self.via_transport)
        return self.connection(flow, FIRST_MESSAGE)

    def connection(self, flow: TcpFlow, first: float) -> TcpConnection:
        """The protocol of a new connection.

        :param first: seconds within which the first message must arrive.
        """
        return TcpConnection(self, flow, first)

    def flow_to(self, address: Address, domain: str = "") -> TcpFlow:
        """A flow to `address`: the connection that is open there, or one that the first message opens.

        :param domain: for TLS only.
        """
        return self._flow(address, "")

    def _flow(self, address: Address, domain: str) -> TcpFlow:
        flow = self._outgoing.get((address, domain))
        if flow is None or flow.closed:
            sent_by = self._sent_by(address)
            flow = TcpFlow(self.reactor, address, sent_by, self._connect, self.via_transport, domain)
        return flow

    def client_factory(self, flow: TcpFlow) -> IProtocolFactory:
        """Makes the protocol of a connection that we open."""
        return _ClientFactory(lambda: self.connection(flow, IDLE))

    def stop(self) -> Deferred[None]:
        """Close all connections, including those being opened; fires when all are closed."""
        self._stopped = True
        for connecting in list(self._connecting.values()):
            connecting.cancel()
        for connection in list(self._open):
            connection.close()
        return DeferredList(list(self._open.values())).addCallback(lambda _: None)

    def opened(self, connection: TcpConnection, flow: TcpFlow) -> None:
        """A connection is open. Called by the connection."""
        self._limits.opened(flow.peer.host)
        self._open[connection] = Deferred()

    def closed(self, connection: TcpConnection, flow: TcpFlow) -> None:
        """A connection is closed. Called by the connection."""
        self._limits.closed(flow.peer.host)
        self._forget(flow)
        self._open.pop(connection).callback(None)

    def _connect(self, flow: TcpFlow) -> None:
        host, port = flow.peer
        kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        bind = None if is_wildcard(self.address.host) else (self.address.host, 0)
        self._outgoing[flow.peer, flow.domain] = flow
        endpoint = kind(self.reactor, host, port, CONNECT, bind)
        connecting = maybeDeferred(lambda: endpoint.connect(self.client_factory(flow)))
        self._connecting[flow] = connecting
        connecting.addBoth(self._connected, flow)

    def _connected(self, result: object, flow: TcpFlow) -> None:
        """A connection is made, or not; if it fails at once, the flow must not be lost from within `send`."""
        if not isinstance(result, Failure):
            del self._connecting[flow]
        elif self._stopped:
            self._connect_failed(flow, result)
        else:
            self.reactor.callLater(0, self._connect_failed, flow, result)

    def _connect_failed(self, flow: TcpFlow, failure: Failure) -> None:
        log.info("{flow} was not made: {why}", flow=flow, why=failure.getErrorMessage())
        del self._connecting[flow]
        self._forget(flow)
        flow.connection_lost()

    def _forget(self, flow: TcpFlow) -> None:
        if self._outgoing.get((flow.peer, flow.domain)) is flow:
            del self._outgoing[flow.peer, flow.domain]

    def _sent_by(self, peer: Address) -> str:
        return self._local.sent_by(self.address, peer.host)


class _ClientFactory(Factory[TcpConnection]):
    """Makes the protocol of one connection that we open."""

    noisy = False

    def __init__(self, build: Callable[[], TcpConnection]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> TcpConnection:
        """The connection is made."""
        return self._build()
