"""Ladder: who said what in a scenario, in order, as the scripted endpoints of a test saw it."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response

# What most ladders are made of, as the one that does it sees it, and as the other one does. A re-INVITE that is taken
# looks as an INVITE does.
SET_UP, TAKEN = ["> INVITE sdp", "< 200 INVITE sdp", "> ACK"], ["< INVITE sdp", "> 200 INVITE sdp", "< ACK"]
HANGS_UP, HUNG_UP = ["> BYE", "< 200 BYE"], ["< BYE", "> 200 BYE"]
REGISTERED = ["> REGISTER", "< 401 REGISTER", "> REGISTER", "< 200 REGISTER"]


class Named(Protocol):
    """An endpoint, as far as a ladder is concerned."""

    user: str


class Ladder:
    """The rungs of one test: ``alice > INVITE sdp``, ``trunk < INVITE sdp``, ``trunk > 200 INVITE sdp``.

    ``>`` is what an endpoint sent, ``<`` what it heard; ``sdp`` stands after what has a body of that kind. 100 Trying
    and repeats are left out, since they depend on time.
    """

    def __init__(self) -> None:
        self.rungs: list[str] = []
        self._calls: set[str] = set()

    def knows(self, request: Request) -> bool:
        """Whether `request` is of this test: what an earlier one has left unanswered is repeated for a while."""
        return request.to.tag is None or request.call_id in self._calls

    def add(self, endpoint: Named, message: Request | Response, arrow: str) -> None:
        """Note one message; `arrow` is ``>`` or ``<``."""
        if isinstance(message, Request):
            with suppress(BadMessage):
                self._calls.add(message.call_id)
        if isinstance(message, Response):
            if message.status == 100:
                return
            method = (message.headers.get("CSeq") or "").rpartition(" ")[2]  # which may be anything, in a 400
            what = f"{message.status} {method}"
        else:
            what = message.method
        body = " sdp" if message.body and "sdp" in (message.headers.get("Content-Type") or "") else ""
        self.rungs.append(f"{endpoint.user} {arrow} {what}{body}")

    def of(self, user: str) -> list[str]:
        """The rungs of one endpoint, without its name: between two endpoints the order depends on the network."""
        return [rung.partition(" ")[2] for rung in self.rungs if rung.partition(" ")[0] == user]
