"""HttpToken: the token in an HTTP request, and where a browser may put it. A page can't set headers of a WebSocket, so
there are other places (docs/tokens.rst)."""

# mypy: disable-error-code="no-untyped-call"
# (twisted.web is half typed)

from __future__ import annotations

from typing import Final, NamedTuple

from twisted.web.server import Request

from webrtcproxy.config import TokensConfig
from webrtcproxy.runtime.errors import Refusal

PROTOCOL_PREFIX: Final = "token."
"""What stands before a token that is offered as a subprotocol, beside ``sip``."""


class HttpToken(NamedTuple):
    """A token, not verified.

    :ivar ambient: it came in a cookie, which a browser sends whatever page has asked for it to connect.
    """

    text: str
    ambient: bool = False


def token_in(request: Request, config: TokensConfig) -> HttpToken | None:
    """The token in a request: in Authorization (RFC 6750 section 2.1), a subprotocol, the query, or, where it is in
    none of them, in a cookie.

    :raises Refusal: 400, as HTTP status, where there is more than one (RFC 6750 section 2).
    """
    given = [*_bearers(request), *_subprotocols(request)]
    if config.query is not None:
        args: dict[bytes, list[bytes]] = request.args or {}
        given += [value.decode("latin-1") for value in args.get(config.query.encode(), ())]
    cookies = [] if given or config.cookie is None else _cookies(request, config.cookie)
    if len(given) + len(cookies) > 1:
        raise Refusal(400, "More Than One Token")
    if given:
        return HttpToken(given[0])
    return HttpToken(cookies[0], ambient=True) if cookies else None


def _values(request: Request, name: str) -> list[str]:
    return [value.decode("latin-1") for value in request.requestHeaders.getRawHeaders(name.encode()) or ()]


def _bearers(request: Request) -> list[str]:
    """The tokens in Authorization; other schemes are left to others."""
    found = []
    for value in _values(request, "authorization"):
        scheme, _, token = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            found.append(token.strip())
    return found


def _subprotocols(request: Request) -> list[str]:
    offered = [item.strip() for value in _values(request, "sec-websocket-protocol") for item in value.split(",")]
    return [item.removeprefix(PROTOCOL_PREFIX) for item in offered if item.startswith(PROTOCOL_PREFIX)]


def _cookies(request: Request, name: str) -> list[str]:
    """The values of a cookie: several, where a neighbouring site has set one of the same name."""
    found = []
    for line in _values(request, "cookie"):
        for pair in line.split(";"):
            key, equals, value = pair.strip().partition("=")
            if equals and key == name:
                found.append(value.strip('"'))
    return found
