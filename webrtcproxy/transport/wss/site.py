"""HTTP in front of the WebSocket: twisted.web without access log and version banner, and with limits."""

# mypy: disable-error-code="no-untyped-call"
# (twisted.web is half typed)

from __future__ import annotations

from typing import cast

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.transport.connection import ConnectionLimits, IStream
from webrtcproxy.transport.source import address_of

log = Logger()

HEAD = 10.0
"""Seconds from the connection, or the last response, until a whole request must be here; TLS handshake included."""

RESPONSE = 60.0
"""Seconds that a response may take to be sent."""

LINGER = 5.0
"""Seconds between closing a connection and aborting it."""


class PageRequest(Request):
    """A request; its response does not say what software this is."""

    def render(self, resrc: IResource) -> None:
        """Have the resource answer."""
        self.responseHeaders.removeHeader(b"server")
        super().render(resrc)


class Channel(HTTPChannel):
    """One HTTP connection, until it becomes a WebSocket.

    Twisted's own time limit begins anew with every octet that trickles in, and stops while a response is sent; here
    both are bounded. No resource of ours takes a body, so a request with one is refused.
    """

    maxHeaders = 100
    site: BoundedSite
    _leaving = False
    _deaf = False

    def connectionMade(self) -> None:
        """A peer has connected."""
        self.site.arrived(self)
        super().connectionMade()

    def resetTimeout(self) -> None:
        """Octets don't buy time."""

    def allHeadersReceived(self) -> None:
        """The head of a request is here."""
        if self.length != 0:
            self._deaf = True
            cast(IStream, self.transport).write(
                b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            )
            self.loseConnection()
            return
        super().allHeadersReceived()

    def rawDataReceived(self, data: bytes) -> None:
        """Octets of a body, or of the next request while this one is answered."""
        if not self._deaf:
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:
        """A whole request is here."""
        super().allContentReceived()
        if self.requests and self.transport is not None:
            self.setTimeout(RESPONSE)

    def loseConnection(self) -> None:
        """Close, and abort a little later if the peer keeps the connection."""
        super().loseConnection()
        self._leaving = True
        self.setTimeout(LINGER)

    def timeoutConnection(self) -> None:
        """Time is up."""
        if self._leaving:
            cast(IStream, self.transport).abortConnection()
        else:
            self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        super().connectionLost(reason)
        self.site.departed(self, cast(IStream | None, self.transport))

    def hand_over(self) -> IStream:
        """Let go of the transport, for a protocol that takes over: no timer, producer or count of ours stays.

        Left registered, the channel and its request would live as long as the transport (8 KB).
        """
        transport = cast(IStream, self.transport)
        self.setTimeout(None)
        transport.unregisterProducer()
        self.transport = None
        self.site.departed(self, transport)
        return transport


class RejectAll(Protocol):
    """Ends a connection before any TLS. (Returning None from `buildProtocol` is not for what stands behind TLS.)"""

    def connectionMade(self) -> None:
        """A peer has connected."""
        cast(IStream, self.transport).abortConnection()


class BoundedSite(Site):
    """A Site that counts its connections.

    :param resource: the root.
    :param census: refuses a connection, before any TLS, where it has too many.
    :param metrics: counts what is refused.
    """

    protocol = Channel  # type: ignore[assignment]  # no HTTP/2: a WebSocket could not take it over
    displayTracebacks = False
    noisy = False

    def __init__(self, reactor: IReactorTime, resource: IResource, census: ConnectionLimits, metrics: Metrics) -> None:
        super().__init__(resource, PageRequest, timeout=HEAD, reactor=reactor)
        self._census = census
        self._metrics = metrics
        self._open: dict[Channel, Deferred[None]] = {}

    def buildProtocol(self, addr: IAddress | None) -> Channel | RejectAll:  # type: ignore[override]
        """A peer has connected."""
        host = address_of(addr).host
        if self._census.full or self._census.crowded(host):
            log.info("Refused {host}: too many connections", host=host)
            self._metrics.refused("connections_limit")
            return RejectAll()
        return cast(Channel, super().buildProtocol(addr))

    def acceptableProtocols(self) -> list[bytes]:
        """What TLS may agree on."""
        return [b"http/1.1"]

    def log(self, request: HttpRequest) -> None:
        """There is no access log."""

    def startFactory(self) -> None:
        """Nothing: what Twisted starts here is the clock of the access log."""

    def stopFactory(self) -> None:
        """Nothing."""

    def arrived(self, channel: Channel) -> None:
        """A connection is made. For the channel."""
        self._census.enter(address_of(cast(IStream, channel.transport).getPeer()).host)
        self._open[channel] = Deferred()

    def departed(self, channel: Channel, transport: IStream | None) -> None:
        """A connection is gone, or is no longer HTTP. For the channel."""
        gone = self._open.pop(channel, None)
        if gone is not None and transport is not None:
            self._census.leave(address_of(transport.getPeer()).host)
            gone.callback(None)

    def close_all(self) -> Deferred[None]:
        """Close all HTTP connections; fires when they are gone."""
        for channel in list(self._open):
            channel.loseConnection()
        return DeferredList(list(self._open.values())).addCallback(lambda _: None)


def answer(request: Request, status: int, text: str) -> bytes:
    """A short plain text as the response; the connection is closed behind it."""
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    request.setHeader(b"Connection", b"close")
    request.channel.persistent = False
    return text.encode()
