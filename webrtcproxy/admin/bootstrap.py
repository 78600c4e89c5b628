"""The bootstrap document: what a page needs to know to be a phone, as JSON for a user who has logged in."""

from __future__ import annotations

import json
import math
from typing import Final

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from webrtcproxy.admin.http_logins import HttpLogin, HttpLogins
from webrtcproxy.config import WssConfig
from webrtcproxy.config.addresses import HostPort
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.transport.wss.handshake import Origins, header_values
from webrtcproxy.transport.wss.peer import peer_of
from webrtcproxy.users.turn import IceServers

log = Logger()

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Type": "application/json",
    "Cross-Origin-Resource-Policy": "cross-origin",  # CORS says for whom
    "Referrer-Policy": "no-referrer",
    "Vary": "Origin, Authorization, Cookie",
    "X-Content-Type-Options": "nosniff",
}
_ERRORS: Final = {
    400: "request",
    401: "login",
    403: "forbidden",
    405: "method",
    429: "too-many-logins",
    503: "unavailable",
}
"""What the JSON of a refusal calls it, by HTTP status."""
_PHRASES: Final = {429: b"Too Many Requests"}
"""The reasons of those that Twisted does not know."""
_FROM_NO_OTHER: Final[tuple[list[str], ...]] = ([], ["same-origin"], ["none"])
"""What Sec-Fetch-Site is where no page of another origin has made the browser ask (Fetch Metadata section 2.3)."""


@implementer(IResource)
class Bootstrap:
    """``GET`` of the bootstrap document (docs/page.rst).

    :param wss: the port: its origins, its trusted proxies, the path of the WebSocket.
    :param logins: says who asks.
    :param ice: the ICE servers of each user.
    :param metrics: counts refusals.
    :param cookies: a cookie may have the login: the page of another origin in `origins` may have it sent, too.
    """

    isLeaf = True

    def __init__(
        self, wss: WssConfig, logins: HttpLogins, ice: IceServers, metrics: Metrics, cookies: bool = False
    ) -> None:
        self._wss = wss
        self._logins = logins
        self._ice = ice
        self._metrics = metrics
        self._cookies = cookies
        self._origins = Origins(wss.origins)

    def getChildWithDefault(self, name: bytes, request: Request) -> IResource:
        """Never called, since this is a leaf; the interface requires it."""
        resource: IResource = self
        return resource

    def putChild(self, path: bytes, child: IResource) -> None:
        """Not supported.

        :raises TypeError: always.
        """
        raise TypeError("the bootstrap document has no children")

    def render(self, request: Request) -> bytes | int:
        """Answer a request."""
        try:
            self._host(request)
            self._admit_origin(request)
            if request.method == b"OPTIONS":
                return _preflight(request)
            if request.method != b"GET":
                raise Refusal(405, headers=[("Allow", "GET, OPTIONS")])
        except Refusal as refusal:
            return self._refused(request, refusal)
        return self._when_logged_in(request)

    def _when_logged_in(self, request: Request) -> int:
        """Answer once it is known who asks; not at all if the browser has disconnected by then."""
        closed = request.notifyFinish()
        closed.addErrback(lambda _: None)

        def answer(body: bytes) -> None:
            if not closed.called:
                request.write(body)
                request.finish()

        login = maybeDeferred(self._logins.login, request, peer_of(request, self._wss.trusted_proxies))
        body = login.addCallback(self._document, request).addErrback(self._failed, request)
        body.addCallback(answer).addErrback(lambda failure: log.failure("A response can't be sent", failure))
        return NOT_DONE_YET

    def _document(self, login: HttpLogin, request: Request) -> bytes:
        user = login.user
        ice, valid = self._ice.of(user.aor, login.seconds)
        document: dict[str, object] = {
            "websocket": self._websocket(request),
            "address": f"sip:{user.aor}",
            "displayName": user.display_name,
            "iceServers": ice,
            "token": login.token,
            "expires": math.floor(valid),
        }
        return _json(request, 200, document)

    def _failed(self, failure: Failure, request: Request) -> bytes:
        refusal = failure.value
        if not isinstance(refusal, Refusal):
            log.failure("A bootstrap document can't be made", failure)
            refusal = Refusal(503, headers=[("Retry-After", "10")])
        return self._refused(request, refusal)

    def _refused(self, request: Request, refusal: Refusal) -> bytes:
        peer = peer_of(request, self._wss.trusted_proxies)
        log.info("Refused a bootstrap document to {peer}: {refusal}", peer=peer.host, refusal=refusal)
        self._metrics.refused("bootstrap")
        for name, value in refusal.headers:
            request.responseHeaders.addRawHeader(name, value)
        if refusal.status == 401 and not request.responseHeaders.hasHeader("WWW-Authenticate"):
            # Not Basic: the browser would ask for the password itself, and keep it.
            request.setHeader("WWW-Authenticate", 'Bearer realm="webrtcproxy"')
        return _json(request, refusal.status, {"error": _ERRORS.get(refusal.status, "refused")})

    def _admit_origin(self, request: Request) -> None:
        """Tell the browser that a page of another origin may read the answer, if it may.

        :raises Refusal: 403.
        """
        origins = header_values(request.requestHeaders, "Origin")
        if not origins:  # a page of the same origin, or no page; another's script, image or frame says so here
            if header_values(request.requestHeaders, "Sec-Fetch-Site") not in _FROM_NO_OTHER:
                raise Refusal(403, "Pages Of This Origin May Not Have It")
            return
        if len(origins) > 1 or not self._origins.admit(origins[0], self._host(request)):
            raise Refusal(403, "Pages Of This Origin May Not Have It")
        request.setHeader("Access-Control-Allow-Origin", origins[0])
        request.setHeader("Access-Control-Expose-Headers", "Retry-After")
        if self._cookies:
            request.setHeader("Access-Control-Allow-Credentials", "true")

    def _host(self, request: Request) -> str:
        """Host and port by which the browser has reached us.

        :raises Refusal: 400.
        """
        try:
            (text,) = header_values(request.requestHeaders, "Host")
            return str(HostPort.parse(text))
        except ValueError as error:
            raise Refusal(400, "Host Is Missing Or Wrong") from error

    def _websocket(self, request: Request) -> str:
        if self._wss.url is not None:
            return self._wss.url
        scheme = "wss" if peer_of(request, self._wss.trusted_proxies).tls else "ws"
        return f"{scheme}://{self._host(request)}{self._wss.path}"


def _preflight(request: Request) -> bytes:
    """Tell a browser that the page of another origin may send its credentials (Fetch section 4.8)."""
    request.setResponseCode(204)
    request.setHeader("Access-Control-Allow-Methods", "GET")
    request.setHeader("Access-Control-Allow-Headers", "Authorization")
    request.setHeader("Access-Control-Max-Age", "600")
    request.setHeader("Vary", "Origin")
    return b""


def _json(request: Request, status: int, value: dict[str, object]) -> bytes:
    body = json.dumps(value).encode() + b"\n"
    request.setResponseCode(status, _PHRASES.get(status))
    for name, text in {**_HEADERS, "Content-Length": str(len(body))}.items():
        request.setHeader(name, text)
    return body
