"""Shares bans, and which users have logged in where, among all workers: a browser's next connection may reach any of
them. Failed logins are counted by each worker for itself."""

from __future__ import annotations

from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.cluster.link import Header
from webrtcproxy.cluster.ownership import ALL
from webrtcproxy.cluster.protocol import BAN, LOGIN
from webrtcproxy.cluster.remote import Send
from webrtcproxy.runtime.metrics import BanReason


class SharedBans:
    """Joins the guard of one worker with those of the others.

    :param guard: of this worker.
    :param send: sends a frame.
    """

    def __init__(self, guard: LoginGuard, send: Send) -> None:
        self._guard = guard
        self._send = send
        guard.bans.banned = self._banned
        guard.logged_in = self._logged_in

    def apply(self, header: Header) -> None:
        """Take in what another worker has sent."""
        if header["do"] == BAN:
            self._guard.bans.ban_of_another(header["network"], header["why"], header["seconds"])
        else:
            self._guard.logged_in_elsewhere(header["network"], header["aor"])

    def _banned(self, network: str, why: BanReason, seconds: float) -> None:
        self._send({"to": ALL, "do": BAN, "network": network, "why": why, "seconds": seconds})

    def _logged_in(self, network: str, aor: str) -> None:
        self._send({"to": ALL, "do": LOGIN, "network": network, "aor": aor})
