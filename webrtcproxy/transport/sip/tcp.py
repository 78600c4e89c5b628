"""SIP over TCP: connections that peers open, and those that we open on the first message (RFC 3261 section 18)."""

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
from webrtcproxy.sip.stream import PING, StreamReader
from webrtcproxy.transport.connection import (
    Backpressure,
    Connection,
    ConnectionLimits,
    IStream,
    TcpReactor,
    watch_for_death,
)
from webrtcproxy.transport.flow import Address, Receiver
from webrtcproxy.transport.local import LocalAddresses, is_wildcard
from webrtcproxy.transport.source import address_of, stamp_received

log = Logger()

PONG = b"\r\n"

FIRST_MESSAGE = 15.0
"""Seconds until an accepted connection must have sent a whole message."""

IDLE = 600.0
"""Seconds without a message after which a connection that nobody watches is closed."""

CONNECT = 8.0
"""Seconds for a connection of ours to be made."""

LINGER = 5.0
"""Seconds between closing a connection and aborting it."""

QUEUE = 256 * 1024
"""Octets that may wait for a connection of ours to be made."""

CONNECTIONS = 2000
PER_ADDRESS = 100


class TcpFlow(Connection):
    """One TCP connection. One of ours is opened by the first `send`; messages wait for it.

    :param via_transport: ``TCP`` or ``TLS``.
    :param dial: opens the connection; None where the peer did.
    :param domain: what the certificate of the peer has to name, with TLS where we open the connection.
    """

    __slots__ = ("_closed", "_dial", "_protocol", "_queue", "_queued", "domain")

    browser = False

    def __init__(
        self,
        clock: IReactorTime,
        peer: Address,
        sent_by: str,
        dial: Callable[[TcpFlow], None] | None = None,
        via_transport: str = "TCP",
        domain: str = "",
    ) -> None:
        super().__init__(clock, peer, sent_by, via_transport)
        self.domain = domain
        self._dial = dial
        self._protocol: TcpConnection | None = None
        self._queue: list[bytes] = []
        self._queued = 0
        self._closed = False

    @property
    def closed(self) -> bool:
        """True once nothing can be sent any more."""
        return self._closed

    def send(self, data: bytes) -> None:
        """Send one message, or queue it for the connection that is being made.

        :raises FlowLost: the connection is gone, or too much waits.
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
        dial, self._dial = self._dial, None
        if dial is not None:
            dial(self)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End the connection when all is written; `code` and `reason` mean nothing here."""
        self._closed = True
        if self._protocol is not None:
            self._protocol.leave()

    def connected(self, protocol: TcpConnection) -> None:
        """The connection is there: what waited is sent. For the protocol."""
        self._protocol = protocol
        waiting, self._queue = self._queue, []
        for data in waiting:
            protocol.write(data)
        if self._closed:
            protocol.leave()

    def lost(self) -> None:
        """The connection is gone, or was never made. For the protocol."""
        self._closed = True
        self._protocol = None
        self._queue = []
        self.end()

    def __repr__(self) -> str:
        return f"<{self.via_transport.capitalize()}Flow {self.peer.host} port {self.peer.port}>"


class TcpConnection(Protocol):
    """Cuts what arrives into messages.

    :param owner: the socket it belongs to.
    :param flow: its flow.
    :param first: seconds until the first message must be here.
    """

    transport: IStream

    def __init__(self, owner: TcpTransport, flow: TcpFlow, first: float) -> None:
        self._owner = owner
        self._flow = flow
        self._first = first
        self._reader = StreamReader()
        self._heard = False
        self._leaving = False
        self._timer: IDelayedCall | None = None
        self._pressure: Backpressure | None = None

    def connectionMade(self) -> None:
        """The connection is there."""
        self.transport.setTcpNoDelay(True)
        watch_for_death(self.transport)
        self._pressure = Backpressure(self._owner.reactor, self.transport, self._cut)
        self._timer = self._owner.reactor.callLater(self._first, self._silent)
        self._owner.arrived(self, self._flow)
        self.ready()

    def ready(self) -> None:
        """Messages can be sent."""
        self._flow.connected(self)

    def write(self, data: bytes) -> None:
        """Write one message.

        :raises FlowLost: the peer does not read.
        """
        if self._pressure is None or not self._pressure.admits(len(data)):
            raise FlowLost(f"{self._flow!r} does not read")
        self._heard = True
        self.transport.write(data)

    def leave(self) -> None:
        """Close, and abort a little later if the peer keeps the connection."""
        if self._leaving:
            return
        self._leaving = True
        self.wait(LINGER, self.abort)
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Some octets."""
        items = self._cut_out(data)
        while items:
            for item in items:
                self._guarded(self._item, item)
            items = self._cut_out(b"")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self._leaving = True
        if self._pressure is not None:
            self._pressure.stopProducing()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._flow.lost()
        self._owner.departed(self, self._flow)

    def _cut_out(self, data: bytes) -> list[bytes]:
        """The messages that are whole now; none where the framing is lost."""
        if self._flow.closed:
            return []
        try:
            return self._reader.feed(data)
        except BadMessage as error:
            self._guarded(self._lost_framing, error)
            self._flow.close()
            return []

    def _guarded(self, call: Callable[[Any], None], argument: object) -> None:
        try:
            call(argument)
        except Exception:
            log.failure("A message from {flow} was too much", flow=self._flow)

    def _item(self, item: bytes) -> None:
        if self._flow.closed:
            return
        self._heard = True
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

    def _lost_framing(self, error: BadMessage) -> None:
        """Nobody knows where the next message begins: say so (RFC 3261 section 18.3)."""
        log.info("Closing {flow}: {why}", flow=self._flow, why=error.why)
        if isinstance(error.request, Request):
            stamp_received(error.request, self._flow.peer)
        self._owner.receiver.bad_message(error, self._flow)

    def _silent(self) -> None:
        if not self._heard and not self._flow.watched:
            log.info("Closing {flow}: it is silent", flow=self._flow)
            self._flow.close()
            return
        self._heard = False
        self.wait(IDLE, self._silent)

    def wait(self, seconds: float, then: Callable[[], None]) -> None:
        """Have `then` called in so many seconds, instead of what was to be called."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._owner.reactor.callLater(seconds, then)

    def _cut(self, why: str) -> None:
        log.info("Cutting {flow}: {why}", flow=self._flow, why=why)
        self._flow.close()
        self.abort()

    def abort(self) -> None:
        """End the connection at once."""
        self.transport.abortConnection()


class TcpTransport(ServerFactory[Any]):
    """One listening TCP socket, and the connections that peers or we opened at its address.

    :param receiver: who takes the messages.
    :param local: knows what we are called.
    :param census: counts the connections.
    """

    noisy = False
    via_transport: ClassVar[str] = "TCP"

    def __init__(
        self, reactor: TcpReactor, receiver: Receiver, local: LocalAddresses, census: ConnectionLimits | None = None
    ) -> None:
        self.reactor = reactor
        self.receiver = receiver
        self.address = Address("", 0)
        self._local = local
        self._census = ConnectionLimits(CONNECTIONS, PER_ADDRESS) if census is None else census
        self._ours: dict[tuple[Address, str], TcpFlow] = {}
        self._dialling: dict[TcpFlow, Deferred[Any]] = {}
        self._open: dict[TcpConnection, Deferred[None]] = {}
        self._stopped = False

    def bound(self, address: Address) -> None:
        """Tell where it listens."""
        self.address = address

    def buildProtocol(self, addr: IAddress | None) -> TcpConnection | None:
        """A peer has connected; None, which closes the connection, where there are too many."""
        peer = address_of(addr)
        if self._stopped or self._census.full or self._census.crowded(peer.host):
            log.info("Refused {kind} from {host}: too many connections", kind=self.via_transport, host=peer.host)
            return None
        flow = TcpFlow(self.reactor, peer, self._sent_by(peer), via_transport=self.via_transport)
        return self.connection(flow, FIRST_MESSAGE)

    def connection(self, flow: TcpFlow, first: float) -> TcpConnection:
        """The protocol of a new connection.

        :param first: seconds until the first message must be here.
        """
        return TcpConnection(self, flow, first)

    def flow_to(self, address: Address, domain: str = "") -> TcpFlow:
        """A flow to `address`: the connection that we have there, or one that the first message opens.

        :param domain: plays no part without TLS.
        """
        return self._flow(address, "")

    def _flow(self, address: Address, domain: str) -> TcpFlow:
        flow = self._ours.get((address, domain))
        if flow is None or flow.closed:
            sent_by = self._sent_by(address)
            flow = TcpFlow(self.reactor, address, sent_by, self._dial, self.via_transport, domain)
        return flow

    def dialled(self, flow: TcpFlow) -> IProtocolFactory:
        """What a connection of ours is made with."""
        return _Dialled(lambda: self.connection(flow, IDLE))

    def stop(self) -> Deferred[None]:
        """Close all connections, give up those that are being made; fires when they are gone."""
        self._stopped = True
        for connecting in list(self._dialling.values()):
            connecting.cancel()
        for connection in list(self._open):
            connection.leave()
        return DeferredList(list(self._open.values())).addCallback(lambda _: None)

    def arrived(self, connection: TcpConnection, flow: TcpFlow) -> None:
        """A connection is made. For the connection."""
        self._census.enter(flow.peer.host)
        self._open[connection] = Deferred()

    def departed(self, connection: TcpConnection, flow: TcpFlow) -> None:
        """A connection is gone. For the connection."""
        self._census.leave(flow.peer.host)
        self._forget(flow)
        gone = self._open.pop(connection)
        gone.callback(None)

    def _dial(self, flow: TcpFlow) -> None:
        host, port = flow.peer
        kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        bind = None if is_wildcard(self.address.host) else (self.address.host, 0)
        self._ours[flow.peer, flow.domain] = flow
        endpoint = kind(self.reactor, host, port, CONNECT, bind)
        connecting = maybeDeferred(lambda: endpoint.connect(self.dialled(flow)))
        self._dialling[flow] = connecting
        connecting.addBoth(self._dialled, flow)

    def _dialled(self, result: object, flow: TcpFlow) -> None:
        """A connection is made or not; where it fails on the spot, nobody may be told from inside `send`."""
        if not isinstance(result, Failure):
            del self._dialling[flow]
        elif self._stopped:
            self._not_made(flow, result)
        else:
            self.reactor.callLater(0, self._not_made, flow, result)

    def _not_made(self, flow: TcpFlow, failure: Failure) -> None:
        log.info("{flow} was not made: {why}", flow=flow, why=failure.getErrorMessage())
        del self._dialling[flow]
        self._forget(flow)
        flow.lost()

    def _forget(self, flow: TcpFlow) -> None:
        if self._ours.get((flow.peer, flow.domain)) is flow:
            del self._ours[flow.peer, flow.domain]

    def _sent_by(self, peer: Address) -> str:
        return self._local.sent_by(self.address, peer.host)


class _Dialled(Factory[TcpConnection]):
    """Hands one connection of ours its protocol."""

    noisy = False

    def __init__(self, build: Callable[[], TcpConnection]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> TcpConnection:
        """We have connected."""
        return self._build()
