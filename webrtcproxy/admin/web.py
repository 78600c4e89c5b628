"""Health and metrics over HTTP, on endpoints of their own, off the public port: for load balancers and Prometheus."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import MultiService
from twisted.internet.endpoints import serverFromString
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from webrtcproxy.metrics import CONTENT_TYPE


class Health(Resource):
    """``GET /health``: 200 while calls can be taken, 503 while they can't, with the reason as JSON.

    :param state: tells what counts: `healthy`, and anything that is worth knowing.
    """

    isLeaf = True

    def __init__(self, state: Callable[[], dict[str, object]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._state = state

    def render_GET(self, request: Request) -> bytes:
        """The state of this moment."""
        state = self._state()
        request.setResponseCode(200 if state["healthy"] else 503)
        request.setHeader(b"Content-Type", b"application/json")
        request.setHeader(b"Cache-Control", b"no-store")
        return json.dumps(state).encode() + b"\n"


class Exposition(Resource):
    """``GET /metrics``: for Prometheus.

    :param text: tells all metrics, in Prometheus' text format.
    """

    isLeaf = True

    def __init__(self, text: Callable[[], bytes]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._text = text

    def render_GET(self, request: Request) -> bytes:
        """The metrics of this moment."""
        request.setHeader(b"Content-Type", CONTENT_TYPE.encode())
        return self._text()


class _Site(Site):
    """Who asks every few seconds leaves no line in the log each time."""

    displayTracebacks = False

    def log(self, request: HttpRequest) -> None:
        """There is no access log."""


def web_service(
    reactor: object, listen: Iterable[str], state: Callable[[], dict[str, object]], metrics: Callable[[], bytes]
) -> MultiService:
    """Listens for HTTP while it runs; a port that is taken ends the start with CannotListenError.

    :param reactor: for the endpoints.
    :param listen: Twisted endpoint strings.
    :param state: see `Health`.
    :param metrics: see `Exposition`.
    """
    root = Resource()
    root.putChild(b"health", Health(state))
    root.putChild(b"metrics", Exposition(metrics))
    site = _Site(root)  # type: ignore[no-untyped-call]
    service = MultiService()
    for line in listen:
        endpoint = StreamServerEndpointService(serverFromString(reactor, line), site)
        endpoint._raiseSynchronously = True
        endpoint.setServiceParent(service)
    return service
