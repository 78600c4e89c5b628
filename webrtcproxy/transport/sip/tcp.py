"""SIP over TCP: accepted connections, and connections that the first message opens (RFC 3261 section 18)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocolFactory
from twisted.internet.protocol import Factory, Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.config.addresses import network_of
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, read
from webrtcproxy.sip.stream import PING, PONG, StreamReader
from webrtcproxy.transport.connection import Backpressure, IStream, TcpReactor, detect_dead_peer
from webrtcproxy.transport.flow import Address, Receiver
from webrtcproxy.transport.local import LocalAddresses, is_wildcard
from webrtcproxy.transport.sip.slots import Slots
from webrtcproxy.transport.sip.tcp_flow import TcpFlow
from webrtcproxy.transport.source import address_of, stamp_received

log = Logger()

FIRST_MESSAGE = 15.0
"""Seconds within which a known peer must send a whole message after it has connected."""

IDLE = 600.0
"""Seconds without a message after which a connection is closed, unless a callback waits for its loss."""

CONNECT = 8.0
"""The timeout for opening a connection, in seconds."""

LINGER = 5.0
"""Seconds between closing a connection and aborting it."""

STRANGER = 5.0
"""Seconds for which the connection of a stranger stays open, unless a dialog or a transaction uses it."""


class TcpConnection(Protocol):
    """The protocol of one connection: splits the octets into messages.

    :param owner: the transport that it belongs to.
    :param flow: its flow.
    :param first: seconds within which the first message must arrive.
    :param stranger: the peer has connected, and is not known: what it sends does not keep the connection open.
    :ivar stranger: the same, until the peer is known.
    """

    transport: IStream

    def __init__(self, owner: TcpTransport, flow: TcpFlow, first: float, stranger: bool = False) -> None:
        self.stranger = stranger
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

    def cut(self, network: str) -> None:
        """Cut the connection where it is a stranger's in a banned network, and no dialog uses it."""
        if self.stranger and not self._flow.watched and network_of(self._flow.peer.host) == network:
            self.abort()

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
        if self.stranger:
            self._stranger_waits()
            return
        if not self._message_seen and not self._flow.watched:
            log.info("Closing {flow}: it is silent", flow=self._flow)
            self._flow.close()
            return
        self._message_seen = False
        self.wait(IDLE, self._idle)

    def _stranger_waits(self) -> None:
        """The time of a stranger is over: the connection stays only while a dialog or a transaction uses it."""
        if self._owner.is_known(self, self._flow):
            self.wait(FIRST_MESSAGE, self._idle)
        elif self._flow.watched:
            self.wait(STRANGER, self._idle)
        else:
            log.info("Closing {flow}: it is no trunk's, and no dialog uses it", flow=self._flow)
            self._flow.close()

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
    :param slots: counts the connections, and tells strangers from others.
    :param metrics: counts refused connections.
    """

    noisy = False
    via_transport: ClassVar[str] = "TCP"

    def __init__(
        self,
        reactor: TcpReactor,
        receiver: Receiver,
        local: LocalAddresses,
        slots: Slots | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.reactor = reactor
        self.receiver = receiver
        self.address = Address("", 0)
        self._local = local
        self._slots = slots or Slots()
        self._metrics = metrics or Metrics()
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
        stranger = not self._slots.knows(peer.host)
        if self._stopped or not self._slots.admits(peer.host, stranger):
            log.info("Refused {kind} from {host}: too many connections", kind=self.via_transport, host=peer.host)
            self._metrics.refused("connections_limit")
            return None
        flow = TcpFlow(self.reactor, peer, self._sent_by(peer), via_transport=self.via_transport)
        return self.connection(flow, STRANGER if stranger else FIRST_MESSAGE, stranger)

    def connection(self, flow: TcpFlow, first: float, stranger: bool = False) -> TcpConnection:
        """The protocol of a new connection; the parameters are those of `TcpConnection`."""
        return TcpConnection(self, flow, first, stranger)

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

    def cut(self, network: str) -> None:
        """Cut the connections of strangers in a banned network."""
        for connection in list(self._open):
            connection.cut(network)

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
        self._slots.opened(flow.peer.host, connection.stranger)
        self._open[connection] = Deferred()

    def closed(self, connection: TcpConnection, flow: TcpFlow) -> None:
        """A connection is closed. Called by the connection."""
        self._slots.closed(flow.peer.host, connection.stranger)
        self._forget(flow)
        self._open.pop(connection).callback(None)

    def is_known(self, connection: TcpConnection, flow: TcpFlow) -> bool:
        """Whether the peer of a stranger's connection is known by now, as when a trunk's name has been resolved; then
        it is no stranger's any more. Called by the connection."""
        if not self._slots.knows(flow.peer.host):
            return False
        self._slots.closed(flow.peer.host, connection.stranger)
        connection.stranger = False
        self._slots.opened(flow.peer.host, connection.stranger)
        return True

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
