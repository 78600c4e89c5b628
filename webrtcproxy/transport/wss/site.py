"""HTTP on the port of the WebSockets: twisted.web with limits, without access log and version banner."""

# mypy: disable-error-code="no-untyped-call"
# (twisted.web is half typed)

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from OpenSSL import SSL
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

from webrtcproxy.config.addresses import network_of
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.transport.connection import ConnectionLimits, IStream, RejectAll
from webrtcproxy.transport.source import address_of
from webrtcproxy.transport.tls import describe_failure

log = Logger()

HEAD = 10.0
"""Seconds after the connection or the last response in which a whole request must arrive, TLS handshake included."""

RESPONSE = 60.0
"""Seconds that a response may take to be sent."""

LINGER = 5.0
"""Seconds between closing a connection and aborting it."""

STOPPING = 0.5
"""The same where the service stops, for one that nothing is sent on: a browser keeps such a connection for its next
request, and does not notice that it is being closed."""


SECURITY_HEADERS: Final = {
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}
"""What every response has, unless its resource sets something else."""


class PageRequest(Request):
    """A request whose response does not name the software, and has the headers by which browsers are careful."""

    def render(self, resrc: IResource) -> None:
        """Let the resource respond."""
        headers = self.responseHeaders
        headers.removeHeader(b"server")
        for name, value in SECURITY_HEADERS.items():
            headers.setRawHeaders(name, [value])
        hsts = cast(QuietSite, self.site).hsts
        if hsts and self.isSecure():
            headers.setRawHeaders(b"strict-transport-security", [b"max-age=%d" % hsts])
        super().render(resrc)


class NothingHere(Resource):
    """The response for whatever is not there: the same 404, wherever it is asked for."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """404."""
        return plain(request, 404, "There is nothing here.\n")


class Folder(Resource):
    """Has its children, and nothing else."""

    def getChild(self, path: bytes, request: Request) -> IResource:
        """What is not a child is `NothingHere`."""
        return NothingHere()

    def render(self, request: Request) -> bytes:
        """The folder itself is not there either."""
        return plain(request, 404, "There is nothing here.\n")


class QuietSite(Site):
    """A Site without access log, whose responses tell nothing about the program.

    :param hsts: seconds for which browsers that came over TLS are to use nothing else (RFC 6797); 0 for not.
    """

    displayTracebacks = False
    noisy = False

    def __init__(self, resource: IResource, hsts: int = 0, **more: Any) -> None:
        super().__init__(resource, PageRequest, **more)
        self.hsts = hsts

    def log(self, request: HttpRequest) -> None:
        """Do nothing: no access log."""


class Channel(HTTPChannel):
    """One HTTP connection, until it becomes a WebSocket.

    Twisted's own timeout restarts with every octet that arrives, and stops while a response is sent; here both phases
    are bounded. No resource accepts a body, so a request with one is refused.
    """

    maxHeaders = 100
    site: BoundedSite
    _closing = False
    _ignoring = False
    _lines = 0
    _octets = 0

    def connectionMade(self) -> None:
        """A peer has connected."""
        self.site.opened(self)
        super().connectionMade()

    def resetTimeout(self) -> None:
        """Do nothing: octets do not extend the timeout."""

    def dataReceived(self, data: bytes) -> None:
        """Octets have arrived; after a refusal they are dropped."""
        if not self._ignoring:
            super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """A line of a head has arrived. Too many of them, or too many octets, are refused by RFC 6585 section 5."""
        self._octets += len(line)
        if self._octets > self.totalHeadersSize or (line and self._lines > self.maxHeaders):
            self._head_too_large()
            return
        self._lines += bool(line)
        super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line of a head is too long, whether or not its end has arrived. Twisted would wait for its timeout."""
        self._head_too_large()

    def _head_too_large(self) -> None:
        if self._lines:
            self._refuse(b"431 Request Header Fields Too Large")
        else:
            self._refuse(b"414 URI Too Long")

    def allHeadersReceived(self) -> None:
        """The head of a request is complete."""
        self._lines = self._octets = 0
        if self.length != 0:
            self._refuse(b"413 Content Too Large")
            return
        super().allHeadersReceived()

    def _refuse(self, status: bytes) -> None:
        """Refuse a request before a resource sees it, and close."""
        self._ignoring = True
        self.clearLineBuffer()
        cast(IStream, self.transport).write(
            b"HTTP/1.1 " + status + b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )
        self.loseConnection()

    def rawDataReceived(self, data: bytes) -> None:
        """Octets of a body have arrived, or of the next request during a response."""
        if not self._ignoring:
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:
        """A request is complete."""
        super().allContentReceived()
        if self.requests and self.transport is not None:
            self.setTimeout(RESPONSE)

    def loseConnection(self) -> None:
        """Close, and abort a little later if the peer does not close."""
        super().loseConnection()
        self._closing = True
        self.setTimeout(LINGER)

    def end(self) -> None:
        """The service stops."""
        idle = not self.requests
        self.loseConnection()
        if idle:
            self.setTimeout(STOPPING)

    def timeoutConnection(self) -> None:
        """The timeout has expired."""
        if self._closing:
            cast(IStream, self.transport).abortConnection()
        else:
            self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is closed; if TLS has failed, as without a certificate that was asked for, it is logged."""
        if reason.check(SSL.Error):
            self.site.handshake_failed(cast(IStream, self.transport), reason)
        super().connectionLost(reason)
        self.site.closed(self, cast(IStream | None, self.transport))

    @property
    def is_open(self) -> bool:
        """Whether a response can be sent: the connection is neither closed, nor closing, nor released."""
        return self.transport is not None and not self._closing

    def release_transport(self) -> IStream:
        """Release the transport to another protocol: no timer, producer or count of this channel remains.

        If they stayed registered, the channel and its request would live as long as the transport (8 KB).
        """
        transport = cast(IStream, self.transport)
        self.setTimeout(None)
        transport.unregisterProducer()
        self.transport = None
        self.site.closed(self, transport)
        return transport


class BoundedSite(QuietSite):
    """A Site that limits its connections.

    :param resource: the root.
    :param limits: once they are reached, connections are refused, before TLS.
    :param metrics: counts refused connections.
    :param hsts: see `QuietSite`.
    :param is_banned: whether connections from an IP address are refused, before TLS.
    """

    protocol = Channel  # type: ignore[assignment]  # no HTTP/2: a WebSocket could not take it over

    def __init__(
        self,
        reactor: IReactorTime,
        resource: IResource,
        limits: ConnectionLimits,
        metrics: Metrics,
        hsts: int = 0,
        is_banned: Callable[[str], bool] = lambda host: False,
    ) -> None:
        super().__init__(resource, hsts, timeout=HEAD, reactor=reactor)
        self._limits = limits
        self._metrics = metrics
        self._is_banned = is_banned
        self._open: dict[Channel, Deferred[None]] = {}

    def buildProtocol(self, addr: IAddress | None) -> Channel | RejectAll:  # type: ignore[override]
        """A peer has connected."""
        host = address_of(addr).host
        if self._is_banned(host):
            self._metrics.refused("banned")
            return RejectAll()
        if self._limits.full or self._limits.full_for(host):
            log.info("Refused {host}: too many connections", host=host)
            self._metrics.refused("connections_limit")
            return RejectAll()
        return cast(Channel, super().buildProtocol(addr))

    def acceptableProtocols(self) -> list[bytes]:
        """The protocols to offer in TLS (ALPN)."""
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """Do nothing: Twisted would start the clock of the access log."""

    def stopFactory(self) -> None:
        """Do nothing."""

    def opened(self, channel: Channel) -> None:
        """A connection is made. Called by the channel."""
        self._limits.opened(address_of(cast(IStream, channel.transport).getPeer()).host)
        self._open[channel] = Deferred()

    def closed(self, channel: Channel, transport: IStream | None) -> None:
        """A connection is closed, or is no longer HTTP. Called by the channel."""
        closed = self._open.pop(channel, None)
        if closed is not None and transport is not None:
            self._limits.closed(address_of(transport.getPeer()).host)
            closed.callback(None)

    def handshake_failed(self, transport: IStream, reason: Failure) -> None:
        """TLS has failed. Called by the channel."""
        why = describe_failure(reason, "us")
        log.info("No TLS with {host}: {why}", host=address_of(transport.getPeer()).host, why=why)
        self._metrics.refused("handshake")

    def cut(self, network: str) -> None:
        """Cut the HTTP connections of a banned network."""
        for channel in list(self._open):
            transport = cast(IStream, channel.transport)
            if network_of(address_of(transport.getPeer()).host) == network:
                transport.abortConnection()

    def close_all(self) -> Deferred[None]:
        """Close all HTTP connections; fires when all are closed."""
        for channel in list(self._open):
            channel.end()
        return DeferredList(list(self._open.values())).addCallback(lambda _: None)


def plain(request: Request, status: int, text: str) -> bytes:
    """A short plain text as the response."""
    body = text.encode()
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    request.setHeader(b"Content-Length", b"%d" % len(body))
    return body


def answer(request: Request, status: int, text: str) -> bytes:
    """A short plain text as the response; the connection is closed after it."""
    request.setHeader(b"Connection", b"close")
    request.channel.persistent = False
    return plain(request, status, text)
