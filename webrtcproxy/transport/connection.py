"""The common part of all connections: callbacks for their loss, back-pressure, limits on their number."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import cast

from twisted.internet.interfaces import IConsumer, IDelayedCall, IPushProducer, IReactorTCP, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from zope.interface import implementer

from webrtcproxy.config.addresses import network_of
from webrtcproxy.transport.flow import Address

log = Logger()


class TcpReactor(IReactorTCP, IReactorTime):
    """The part of a reactor that TCP uses."""


class Connection:
    """The part of a Flow that WebSocket and TCP share.

    :param peer: the peer's address.
    :param sent_by: our host:port towards it.
    :param via_transport: the transport token for our Via.
    """

    __slots__ = ("_clock", "_ended", "_watchers", "peer", "sent_by", "via_transport")

    reliable = True
    opened = True

    def __init__(self, clock: IReactorTime, peer: Address, sent_by: str, via_transport: str) -> None:
        self._clock = clock
        self._ended = False
        self._watchers: dict[object, Callable[[], None]] | None = None
        self.peer = peer
        self.sent_by = sent_by
        self.via_transport = via_transport

    @property
    def watched(self) -> bool:
        """True while a callback waits for the loss of the connection."""
        return bool(self._watchers)

    def on_lost(self, call: Callable[[], None]) -> Callable[[], None]:
        """Have `call` called once when the connection is lost; in the next turn of the reactor if it is lost already.

        :returns: a function that withdraws the callback.
        """
        if self._ended:
            late = self._clock.callLater(0, _safely, call)
            return lambda: late.cancel() if late.active() else None
        if self._watchers is None:
            self._watchers = {}
        key = object()
        self._watchers[key] = call
        return lambda: self._forget(key)

    def _forget(self, key: object) -> None:
        if self._watchers is not None:
            self._watchers.pop(key, None)

    def connection_lost(self) -> None:
        """The connection is lost: run the callbacks, once. Called by the protocol of the flow."""
        if self._ended:
            return
        self._ended = True
        watchers = self._watchers or {}
        while watchers:  # one of them may withdraw another
            _safely(watchers.pop(next(iter(watchers))))
        self._watchers = None


def _safely(call: Callable[[], None]) -> None:
    try:
        call()
    except Exception:
        log.failure("A callback failed when its connection was lost")


class IStream(ITCPTransport, IConsumer, IPushProducer):
    """The interface of the transport of a TCP or TLS connection."""


@implementer(IPushProducer)
class Backpressure:
    """Bounds the data that waits in a transport because its peer doesn't read.

    The transport reports when its buffer is full (64 KiB) and when it is empty again. In between, nothing is read from
    the peer, so that it can't cause more responses, and the octets sent are counted: after `MAX_WAITING` octets or
    `READ_TIMEOUT` seconds the connection is cut.

    :param cut: called once, with the reason, to cut the connection.
    """

    MAX_WAITING = 256 * 1024
    """Octets that may be sent while the peer doesn't read."""

    READ_TIMEOUT = 15.0
    """Seconds that the peer may take to read the waiting octets."""

    __slots__ = ("_clock", "_cut", "_timer", "_transport", "_waiting")

    def __init__(self, clock: IReactorTime, transport: IStream, cut: Callable[[str], None]) -> None:
        self._clock = clock
        self._transport = transport
        self._cut: Callable[[str], None] | None = cut
        self._timer: IDelayedCall | None = None
        self._waiting = 0
        transport.registerProducer(self, True)

    def admits(self, octets: int) -> bool:
        """Whether this many more octets may be written; if not, the connection is cut."""
        if self._timer is not None:
            self._waiting += octets
            if self._waiting > self.MAX_WAITING:
                self._end("it does not read what it is sent")
        return self._cut is not None

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        if self._timer is None and self._cut is not None:
            self._timer = self._clock.callLater(self.READ_TIMEOUT, self._end, "it reads too slowly")
            self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The transport's buffer is empty."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._waiting = 0
            self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """The connection is closed or closing: stop watching."""
        self._cut = None
        if self._timer is not None:
            timer, self._timer = self._timer, None
            if timer.active():
                timer.cancel()

    def _end(self, why: str) -> None:
        cut = self._cut
        self.stopProducing()
        if cut is not None:
            cut(why)


class RejectAll(Protocol):
    """Cuts a connection before TLS. (A factory under TLS can't return None from `buildProtocol`.)"""

    def connectionMade(self) -> None:
        """A peer has connected."""
        cast(IStream, self.transport).abortConnection()


class ConnectionLimits:
    """Counts connections, in total and for each address; the addresses of an IPv6 /64 network count as one.

    :param max_total: connections of all addresses.
    :param max_per_address: connections of one address.
    """

    __slots__ = ("_count", "_hosts", "max_per_address", "max_total")

    def __init__(self, max_total: int, max_per_address: int) -> None:
        self.max_total = max_total
        self.max_per_address = max_per_address
        self._count = 0
        self._hosts: dict[str, int] = {}

    @property
    def full(self) -> bool:
        """True if no further connection is admitted."""
        return self._count >= self.max_total

    def full_for(self, host: str) -> bool:
        """True if no further connection from this address is admitted."""
        return self._hosts.get(network_of(host), 0) >= self.max_per_address

    def opened(self, host: str) -> None:
        """A connection from this address is open."""
        key = network_of(host)
        self._count += 1
        self._hosts[key] = self._hosts.get(key, 0) + 1

    def closed(self, host: str) -> None:
        """A connection from this address is closed."""
        key = network_of(host)
        self._count -= 1
        left = self._hosts[key] - 1
        if left:
            self._hosts[key] = left
        else:
            del self._hosts[key]


def detect_dead_peer(transport: IStream) -> None:
    """Have the kernel notice within about 90 seconds that the peer has vanished, and within 30 seconds if data was
    sent: by default it retransmits data for a quarter of an hour, and keep-alive covers idle connections only."""
    transport.setTcpKeepAlive(True)
    kernel = getattr(transport, "socket", None)
    if kernel is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        kernel.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        kernel.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
        kernel.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000)  # milliseconds (RFC 5482)
