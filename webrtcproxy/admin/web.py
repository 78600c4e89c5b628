"""Health and metrics over HTTP, for load balancers and Prometheus, on endpoints apart from the public port."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TypeVar

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from webrtcproxy.runtime.internals import fail_at_start
from webrtcproxy.runtime.metrics import CONTENT_TYPE
from webrtcproxy.transport.certificate import server_endpoint
from webrtcproxy.transport.connection import TcpReactor
from webrtcproxy.transport.wss.site import Folder, QuietSite

T = TypeVar("T")

Report = Callable[[], T | Deferred[T]]
"""Returns a report, or a Deferred that fires with it once other processes have sent their parts."""


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
        return _answer(request, self._state(), self._text)

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
        return _answer(request, self._content(), self._text)

    def _text(self, request: Request, text: bytes) -> bytes:
        request.setHeader(b"Content-Type", CONTENT_TYPE.encode())
        return text


def _answer(request: Request, result: T | Deferred[T], write: Callable[[Request, T], bytes]) -> bytes | int:
    """Respond now, or when the result is available; not at all if the client has disconnected by then."""
    if not isinstance(result, Deferred):
        return write(request, result)
    closed = request.notifyFinish()
    closed.addErrback(lambda _: None)

    def found(value: T) -> None:
        if not closed.called:
            request.write(write(request, value))
            request.finish()

    result.addCallback(found).addErrback(request.processingFailed)
    return NOT_DONE_YET


def web_service(
    reactor: TcpReactor, listen: Iterable[str], state: Report[dict[str, object]], metrics: Report[bytes]
) -> MultiService:
    """Listens for HTTP while it runs; a port that is taken ends the start with CannotListenError.

    :param reactor: for the endpoints.
    :param listen: Twisted endpoint strings.
    :param state: see `Health`.
    :param metrics: see `Exposition`.
    """
    root = Folder()  # type: ignore[no-untyped-call]
    root.putChild(b"health", Health(state))
    root.putChild(b"metrics", Exposition(metrics))
    site = QuietSite(root)
    service = MultiService()
    for line in listen:
        endpoint = StreamServerEndpointService(server_endpoint(reactor, line), site)
        fail_at_start(endpoint)
        endpoint.setServiceParent(service)
    return service
