"""The bans over HTTP, beside health and metrics: what there is, and the end of one.

No page of another site can lift a ban: a browser asks before it sends DELETE (CORS), no response here permits it, and
each DELETE of a browser has an Origin, which is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import Request

from webrtcproxy.access.bans import BanReport
from webrtcproxy.admin.report import Report, respond_with

Lift = Callable[[str], bool | Deferred[bool]]
"""Ends the ban of an address, or of a network as the list has it; returns whether there was one, or a Deferred that
fires with it."""


class BanList(Resource):
    """``GET /bans``: the bans as JSON. ``DELETE /bans/ADDRESS``: 204 if a ban is lifted, 404 if there was none.

    :param bans: returns the bans.
    :param lift: ends one.
    """

    isLeaf = True

    def __init__(self, bans: Report[list[BanReport]], lift: Lift) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._bans = bans
        self._lift = lift

    def render_GET(self, request: Request) -> bytes | int:
        """The bans of now."""
        return respond_with(request, self._bans(), self._list)

    def render_DELETE(self, request: Request) -> bytes | int:
        """Lift a ban."""
        if request.getHeader(b"origin") is not None:
            request.setResponseCode(403)
            return b""
        name = b"/".join(request.postpath or ()).decode("ascii", "replace")
        return respond_with(request, self._lift(name), self._lifted)

    def _list(self, request: Request, bans: list[BanReport]) -> bytes:
        request.setHeader(b"Content-Type", b"application/json")
        request.setHeader(b"Cache-Control", b"no-store")
        return json.dumps(bans).encode() + b"\n"

    def _lifted(self, request: Request, was_banned: bool) -> bytes:
        request.setResponseCode(204 if was_banned else 404)
        return b""
