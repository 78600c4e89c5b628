"""Health, metrics and bans over HTTP, on endpoints apart from the public port."""

from __future__ import annotations

import json
from collections.abc import Iterable

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import MultiService
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.web.resource import Resource
from twisted.web.server import Request

from webrtcproxy.access.bans import BanReport
from webrtcproxy.admin.bans import BanList, Lift
from webrtcproxy.admin.report import Report, respond_with
from webrtcproxy.runtime.internals import fail_at_start
from webrtcproxy.runtime.metrics import CONTENT_TYPE
from webrtcproxy.transport.certificate import reload_certificates, server_endpoint
from webrtcproxy.transport.connection import TcpReactor
from webrtcproxy.transport.wss.site import Folder, QuietSite


class Health(Resource):
    """``GET /health``: 200 while the proxy takes calls, else 503; the state as JSON.

    :param state: returns `healthy`, and further facts.
    """

    isLeaf = True

    def __init__(self, state: Report[dict[str, object]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._state = state

    def render_GET(self, request: Request) -> bytes | int:
        """The current state."""
        return respond_with(request, self._state(), self._text)

    def _text(self, request: Request, state: dict[str, object]) -> bytes:
        request.setResponseCode(200 if state["healthy"] else 503)
        request.setHeader(b"Content-Type", b"application/json")
        request.setHeader(b"Cache-Control", b"no-store")
        return json.dumps(state).encode() + b"\n"


class Exposition(Resource):
    """``GET /metrics``: for Prometheus.

    :param text: returns all metrics, in Prometheus' text format.
    """

    isLeaf = True

    def __init__(self, text: Report[bytes]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._content = text

    def render_GET(self, request: Request) -> bytes | int:
        """The current metrics."""
        return respond_with(request, self._content(), self._text)

    def _text(self, request: Request, text: bytes) -> bytes:
        request.setHeader(b"Content-Type", CONTENT_TYPE.encode())
        return text


class WebService(MultiService):
    """Listens for HTTP while it runs.

    :param endpoints: where.
    :param site: what it serves.
    """

    def __init__(self, endpoints: Iterable[IStreamServerEndpoint], site: QuietSite) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._endpoints = list(endpoints)
        for endpoint in self._endpoints:
            service = StreamServerEndpointService(endpoint, site)
            fail_at_start(service)
            service.setServiceParent(self)

    def reload(self) -> None:
        """Read the certificates again."""
        reload_certificates(self._endpoints)


def web_service(
    reactor: TcpReactor,
    listen: Iterable[str],
    state: Report[dict[str, object]],
    metrics: Report[bytes],
    bans: Report[list[BanReport]],
    lift: Lift,
) -> WebService:
    """Listens for HTTP while it runs; a port that is taken ends the start with CannotListenError.

    :param reactor: for the endpoints.
    :param listen: Twisted endpoint strings.
    :param state: see `Health`.
    :param metrics: see `Exposition`.
    :param bans: see `BanList`.
    :param lift: see `BanList`.
    """
    root = Folder()  # type: ignore[no-untyped-call]
    root.putChild(b"health", Health(state))
    root.putChild(b"metrics", Exposition(metrics))
    root.putChild(b"bans", BanList(bans, lift))
    return WebService([server_endpoint(reactor, line) for line in listen], QuietSite(root))
