"""WebSocketServer: the port that browsers connect to, with TLS, HTTP for the page, and WebSockets."""

# mypy: disable-error-code="no-untyped-call"
# (twisted.web is half typed)

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice, zip_longest
from math import ceil
from typing import Any, cast

from autobahn.websocket import USES_NVX
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from webrtcproxy.config import WssConfig
from webrtcproxy.config.addresses import network_of
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.runtime.loop_lag import HELD_UP
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.transport.certificate import reload_certificates, server_endpoint
from webrtcproxy.transport.connection import ConnectionLimits, TcpReactor
from webrtcproxy.transport.flow import Address, Flow, Receiver
from webrtcproxy.transport.local import LocalAddresses
from webrtcproxy.transport.source import address_of
from webrtcproxy.transport.wss.handshake import (
    HandshakeRejected,
    Origins,
    check,
    for_autobahn,
    forwarded_for,
    is_upgrade,
)
from webrtcproxy.transport.wss.site import BoundedSite, Channel, NothingHere, answer
from webrtcproxy.transport.wss.websocket import (
    POLICY,
    RESTART,
    TRY_LATER,
    FrameLimit,
    SipWebSocket,
    SipWebSocketFactory,
)

log = Logger()

Opened = Callable[[Flow], None]
"""Called with the flow of a WebSocket that is open, before its first message."""

UpgradeLogin = Callable[[Request, str, bool], Deferred[Opened]]
"""Logs a browser in while it connects. Called with the request for the WebSocket, the browser's address, and whether
the request has an Origin, which was admitted then. Fails with Refusal, whose status is one of HTTP."""

PARTS = 10
"""The browsers are checked in this many groups, one after the other, so that the cost of pings and pongs is spread
evenly even if thousands of browsers connected at once."""

RETRY_AFTER = "10"
"""Seconds after which a stopping proxy is likely to be available again."""

LOGIN_TIME = 30.0
"""Seconds that a browser has to log in, where others wait for its place."""

LOOKED_AT = 64
"""Most WebSockets that are looked at to find one that can make room."""


class WebSocketServer(Service):
    """All connections from browsers.

    :param receiver: takes the messages.
    :param config: where to listen, which origins may connect, and the limits. The Via transport is WSS on ``ssl:``
        endpoints and WS on ``tcp:`` (with a reverse proxy that terminates TLS). ``connections_per_address`` also limits
        HTTP connections.
    :param frame_limit: of each WebSocket; None for the default.
    :param page: the resource for HTTP requests other than those for a WebSocket; None for 404.
    :param resources: other resources, by their path.
    :param advertise: the host for Via and Contact if it is not the socket's address.
    :param metrics: counts refused connections.
    :param is_banned: whether browsers at an IP address may not connect.
    :param inherited: descriptors of sockets that already listen, one for each line of ``listen``.
    :param login: logs browsers in; None where they do so by SIP only.
    :ivar is_needed: whether a flow is that of a browser that has logged in or registered, or has a dialog. Where there
        is no room, one that is not makes room, so that no stranger keeps others out.
    :ivar is_draining: whether the proxy is about to stop: nobody who connects is let in then.
    """

    name = "wss"

    def __init__(
        self,
        reactor: TcpReactor,
        receiver: Receiver,
        config: WssConfig,
        *,
        frame_limit: FrameLimit | None = None,
        page: IResource | None = None,
        resources: Mapping[str, IResource] | None = None,
        advertise: str | None = None,
        metrics: Metrics | None = None,
        is_banned: Callable[[str], bool] = lambda host: False,
        inherited: Sequence[int] = (),
        login: UpgradeLogin | None = None,
    ) -> None:
        self.reactor = reactor
        self.receiver = receiver
        self.metrics = metrics or Metrics()
        self.config = config
        self.frame_limit = frame_limit or FrameLimit()
        self.local = LocalAddresses(advertise)
        places = zip_longest(config.listen, inherited)
        self._endpoints = [server_endpoint(reactor, *place, config.client_ca) for place in places]
        self._limits = ConnectionLimits(config.connections, config.connections_per_address)
        self._origins = Origins(config.origins)
        self._login = login
        self._factory = SipWebSocketFactory(self)
        underway = ConnectionLimits(max(config.connections // 4, 256), max(config.connections_per_address, 16))
        self._is_banned = is_banned
        self.site = _Site(
            reactor, page or NothingHere(), resources or {}, underway, self.metrics, config.hsts, is_banned, self
        )
        self._ports: list[IListeningPort] = []
        self._sockets: dict[SipWebSocket, float] = {}
        self.is_needed: Callable[[Flow], bool] = lambda flow: True
        self.is_draining: Callable[[], bool] = lambda: False
        self._unchecked: list[SipWebSocket] = []
        self._part = 1
        self._looked_at = 0.0
        self._reading_since = 0.0
        self.closings = 0
        self._heartbeat = LoopingCall(self._check_alive)
        self._heartbeat.clock = reactor
        self._listening = False
        self._emptied: Deferred[None] | None = None

    @property
    def addresses(self) -> list[Address]:
        """The listening addresses."""
        return [address_of(port.getHost()) for port in self._ports]

    def privilegedStartService(self) -> None:
        """Listen while the process still has the privilege for low ports.

        :raises CannotListenError: a port is taken, or the address is not one of this machine.
        """
        super().privilegedStartService()
        self._listen()

    def startService(self) -> None:
        """Listen, unless it does already, and start pinging.

        :raises CannotListenError: a port is taken, or the address is not one of this machine.
        """
        self._listen()
        super().startService()
        if not USES_NVX:
            log.warn("Autobahn runs without NVX: each message costs several times as much CPU")
        if self.config.ping:
            every = max(min(self.config.ping, self.config.ping_timeout) / 4, 0.25)
            self._looked_at = self.reactor.seconds()
            self._heartbeat.start(every / PARTS, now=False)

    def stopService(self) -> Deferred[None]:
        """Close everything, WebSockets with 1012 (service restart); fires when all is closed, within seconds."""
        super().stopService()
        self._listening = False
        if self._heartbeat.running:
            self._heartbeat.stop()
        ports, self._ports = self._ports, []
        closing: list[Deferred[Any]] = [maybeDeferred(port.stopListening) for port in ports]
        for socket in list(self._sockets):
            socket.start_closing(RESTART, "service restart")
        emptied: Deferred[None] = succeed(None)
        if self._sockets:
            emptied = self._emptied = Deferred()
        return gatherResults([*closing, self.site.close_all(), emptied]).addCallback(lambda _: None)

    def reload(self) -> None:
        """Read the certificates again."""
        reload_certificates(self._endpoints)

    def upgrade(self, request: Request) -> Deferred[None]:
        """Turn a request for a WebSocket into one.

        :returns: fires with None when it is one; fails with Refusal, whose status is one of HTTP, where the browser
            may not log in, and with CancelledError where it has gone meanwhile.
        :raises HandshakeRejected: the request is refused.
        """
        if request.path != self.config.path.encode():
            raise HandshakeRejected(404, "There is no WebSocket at this path")
        if request.method != b"GET":
            raise HandshakeRejected(405, "A WebSocket begins with GET")
        if request.clientproto != b"HTTP/1.1":
            raise HandshakeRejected(400, "A WebSocket begins with HTTP/1.1")
        self._check_running()
        key = check(request.requestHeaders, self._origins)
        peer = self.client_of(request)
        if self._login is None:
            self._open(None, request, key, peer)
            return succeed(None)
        login = self._login(request, peer.host, request.requestHeaders.hasHeader(b"Origin"))
        request.notifyFinish().addErrback(lambda _: login.cancel())
        return login.addCallback(self._open, request, key, peer)

    def _open(self, logged_in: Opened | None, request: Request, key: str, peer: Address) -> None:
        """Turn a request that was checked into a WebSocket.

        :param logged_in: called with its flow.
        """
        self._check_running()
        socket = self._factory.connection(peer)
        transport = cast(Channel, request.channel).release_transport()
        if isinstance(transport, ProtocolWrapper):  # TLS
            transport.wrappedProtocol = socket
        else:
            transport.protocol = socket  # type: ignore[attr-defined]  # every transport of Twisted's has it
        socket.makeConnection(transport)
        transport.resumeProducing()
        socket.dataReceived(for_autobahn(key))
        if logged_in is not None and socket.flow is not None:
            logged_in(socket.flow)

    def _check_running(self) -> None:
        """Refuse whoever connects while the proxy is stopping, or about to."""
        if not self._listening or self.is_draining():
            raise HandshakeRejected(503, "The service is ending", [("Retry-After", RETRY_AFTER)], "overload")

    def client_of(self, request: Request) -> Address:
        """The address of the client of an HTTP request, perhaps from X-Forwarded-For, and the port at the socket."""
        seen = address_of(request.getClientAddress())
        return Address(forwarded_for(request.requestHeaders, seen.host, self.config.trusted_proxies), seen.port)

    def cut(self, network: str, spared: Callable[[Flow], bool]) -> None:
        """Cut the connections of a banned network.

        :param spared: whether the browser on a flow may stay.
        """
        self.site.cut(network)
        for socket in list(self._sockets):
            if network_of(socket.peer_address.host) == network and not (socket.flow and spared(socket.flow)):
                socket.cut("its address is banned")

    def opened(self, socket: SipWebSocket) -> tuple[int, str] | None:
        """A WebSocket is open. Called by the WebSocket.

        :returns: the close code and the reason if a limit is reached, else None.
        """
        host = socket.peer_address.host
        refusal = None
        if self._limits.full and not self._make_room():
            refusal = TRY_LATER, "too many connections"
        elif self._limits.full_for(host):
            refusal = POLICY, "too many connections from this address"
        if refusal is not None:
            self.metrics.refused("connections_limit")
        self._sockets[socket] = self.reactor.seconds()
        self._limits.opened(host)
        return refusal

    def closed(self, socket: SipWebSocket) -> None:
        """A WebSocket is closed. Called by the WebSocket."""
        if socket not in self._sockets:
            return
        del self._sockets[socket]
        self.closings += 1
        self._limits.closed(socket.peer_address.host)
        emptied = self._emptied
        if emptied is not None and not self._sockets:
            self._emptied = None
            emptied.callback(None)

    @property
    def connections(self) -> int:
        """The number of open WebSockets."""
        return len(self._sockets)

    def _make_room(self) -> bool:
        """Cut a connection that nobody needs; of some that are looked at, those first that were not lately.

        :returns: whether there was one.
        """
        young = self.reactor.seconds() - LOGIN_TIME
        for socket in list(islice(self._sockets, LOOKED_AT)):
            opened = self._sockets.pop(socket)
            self._sockets[socket] = opened
            if opened <= young and not (socket.flow and self.is_needed(socket.flow)):
                socket.cut("it has not logged in, and others wait for its place")
                return True
        return False

    def _listen(self) -> None:
        if self._listening:
            return
        self._listening = True
        for endpoint in self._endpoints:
            results: list[object] = []
            endpoint.listen(self.site).addCallback(self._bound).addErrback(results.append)
            if results and isinstance(results[0], Failure):
                results[0].raiseException()

    def _bound(self, port: IListeningPort) -> None:
        self._ports.append(port)
        log.info("WebSockets on {where}", where=port.getHost())

    def _check_alive(self) -> None:
        if not self._unchecked:
            self._unchecked = list(self._sockets)
            self._part = ceil(len(self._unchecked) / PARTS)
        now = self.reactor.seconds()
        if now - self._looked_at >= (self._heartbeat.interval or 0.0) + HELD_UP:
            self._reading_since = now  # before, nothing was read, whatever they have sent
        self._looked_at = now
        for _ in range(min(self._part, len(self._unchecked))):
            self._unchecked.pop().check_alive(now, self._reading_since)


class _Site(BoundedSite):
    """Separates requests for a WebSocket from those for the page, and for other resources by their path."""

    def __init__(
        self,
        reactor: TcpReactor,
        page: IResource,
        resources: Mapping[str, IResource],
        limits: ConnectionLimits,
        metrics: Metrics,
        hsts: int,
        is_banned: Callable[[str], bool],
        owner: WebSocketServer,
    ) -> None:
        super().__init__(reactor, page, limits, metrics, hsts, is_banned)
        self._resources = {path.encode(): resource for path, resource in resources.items()}
        self._owner = owner
        self._upgrade = _Upgrade(owner)

    def getResourceFor(self, request: Request) -> IResource:
        """The resource for a request; the clients of a reverse proxy can be told apart only here."""
        owner = self._owner
        if owner.config.trusted_proxies and self._is_banned(owner.client_of(request).host):
            self._metrics.refused("banned")
            return _Banned()
        if is_upgrade(request.requestHeaders):
            return self._upgrade
        found: IResource = self._resources.get(request.path) or super().getResourceFor(request)
        return found


class _Banned(Resource):
    """The resource for clients of a reverse proxy that are banned."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """Refuse the request."""
        return answer(request, 403, "Forbidden.\n")


class _Upgrade(Resource):
    """The resource that accepts a request for a WebSocket, or refuses it with a reason."""

    isLeaf = True

    def __init__(self, owner: WebSocketServer) -> None:
        super().__init__()
        self._owner = owner

    def render(self, request: Request) -> bytes | int:
        """Accept or refuse the request."""
        try:
            opening = self._owner.upgrade(request)
        except HandshakeRejected as refused:
            return self._refusal(request, refused)
        opening.addErrback(self._failed, request)
        return NOT_DONE_YET

    def _failed(self, failure: Failure, request: Request) -> None:
        """The browser may not log in."""
        if failure.check(CancelledError):
            return
        why = failure.value
        if isinstance(why, Refusal):
            why = HandshakeRejected(why.status, why.reason, why.headers, "login")
        elif not isinstance(why, HandshakeRejected):
            log.failure("A WebSocket can't be opened", failure)
            why = HandshakeRejected(500, "It can't be opened")
        if cast(Channel, request.channel).is_open:
            body = self._refusal(request, why)
            request.setHeader("Content-Length", str(len(body)))
            request.write(body)
            request.finish()

    def _refusal(self, request: Request, refused: HandshakeRejected) -> bytes:
        peer = address_of(request.getClientAddress()).host
        log.info("Refused {peer}: {status} {why}", peer=peer, status=refused.status, why=refused.why)
        self._owner.metrics.refused(refused.reason)
        for name, value in refused.headers:
            request.setHeader(name, value)
        return answer(request, refused.status, f"{refused.why}.\n")
