"""Scanners: strangers that look for users, numbers and trunks, by their User-Agent and by what they try.

Whether a stranger is answered is decided elsewhere, and in the same way whatever there is. Only addresses that are
certain are banned, those of WebSocket, TCP and TLS: a datagram may come from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable

from twisted.logger import Logger

from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.access.proofs import Proofs
from webrtcproxy.runtime.bounded import BoundedDict
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request
from webrtcproxy.transport.flow import Flow

log = Logger()

REMEMBERED = 256
"""Most User-Agents that are remembered; a browser has a few versions of two libraries."""

LONGEST_AGENT = 200
"""Characters of a User-Agent that are looked at."""

_PROBES = frozenset({403, 404, 405, 416, 480, 484, 501})
"""Refusals of an out-of-dialog request that would tell a stranger what there is."""


class Scanners:
    """Tells scanners from others.

    :param guard: bans them.
    :param proofs: whoever has proven to be a user is no scanner.
    :param user_agents: the beginnings of their User-Agents, in lower case.
    :param metrics: counts their requests.
    """

    def __init__(self, guard: LoginGuard, proofs: Proofs, user_agents: Iterable[str], metrics: Metrics) -> None:
        self._guard = guard
        self._proofs = proofs
        self._user_agents = tuple(user_agents)
        self._metrics = metrics
        self._known: BoundedDict[str, bool] = BoundedDict(REMEMBERED)

    def is_scanner(self, request: Request, flow: Flow) -> bool:
        """Whether a request that is not a trunk's has the User-Agent of a scanner; then its address is banned, and it
        gets no response."""
        agent = request.headers.get("User-Agent")
        if not agent:
            return False
        listed = self._known.get(agent)
        if listed is None:
            listed = self._is_listed(agent)
        if not listed or self._proofs.any(flow):
            return False
        self._metrics.refused("scanner")
        if flow.reliable:
            log.info("{call}: {host} is a scanner, by its User-Agent", call=request.log_id, host=flow.peer.host)
            self._guard.bans.ban(flow.peer.host, "user_agent")
        return True

    def refused(self, request: Request, flow: Flow, status: int) -> None:
        """An out-of-dialog request of a browser was refused by the proxy itself."""
        if status in _PROBES and not self._proofs.any(flow):
            self._guard.probed(flow.peer.host, request.uri)

    def ignored(self, request: Request, flow: Flow) -> None:
        """A request from the SIP side gets no response. One with a To tag may be from the peer of a call that is over,
        and does not count."""
        try:
            outside = request.to.tag is None
        except BadMessage:
            outside = True
        if flow.reliable and outside:
            self._guard.probed(flow.peer.host, request.uri)

    def foreign(self, request: Request, flow: Flow) -> None:
        """A request names a dialog of others. On the SIP side, the peer may be one that is only not known yet."""
        if flow.browser and not self._proofs.any(flow):
            self._guard.probed(flow.peer.host, request.log_id)

    def _is_listed(self, agent: str) -> bool:
        agent = agent[:LONGEST_AGENT]
        listed = self._known.get(agent)
        if listed is None:
            listed = self._known[agent] = agent.lower().startswith(self._user_agents)
        return listed
