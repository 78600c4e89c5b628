"""Slots: how many SIP connections there may be, and which of them strangers can't take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from webrtcproxy.transport.connection import ConnectionLimits

CONNECTIONS: Final = 2000
"""Connections of known peers to one listening socket."""
PER_ADDRESS: Final = 100
"""The same from one address."""
STRANGERS: Final = 200
"""Connections of strangers to one listening socket."""
STRANGERS_PER_ADDRESS: Final = 5
"""The same from one address."""

Knows = Callable[[str], bool]
"""Whether an IP address is that of a trunk, or of a registrar at which a browser is registered."""


class Slots:
    """Counts the connections of one listening socket. A peer that is not known may be one of a dialog that calls from
    another address, so it gets a connection; but strangers have a share of their own, and known peers all the rest.

    :param knows: tells known peers from strangers by their addresses; by default all are known.
    :param known: the limits of known peers, and of the connections that the proxy opens.
    :param strangers: the limits of strangers.
    :param is_banned: whether strangers at an IP address may not connect.
    """

    __slots__ = ("_is_banned", "_known", "_strangers", "knows")

    def __init__(
        self,
        knows: Knows = lambda host: True,
        known: ConnectionLimits | None = None,
        strangers: ConnectionLimits | None = None,
        is_banned: Callable[[str], bool] = lambda host: False,
    ) -> None:
        self.knows = knows
        self._is_banned = is_banned
        self._known = known or ConnectionLimits(CONNECTIONS, PER_ADDRESS)
        self._strangers = strangers or ConnectionLimits(STRANGERS, STRANGERS_PER_ADDRESS)

    def admits(self, host: str, stranger: bool) -> bool:
        """Whether there may be one more connection from this address."""
        limits = self._of(stranger)
        return not (stranger and self._is_banned(host)) and not limits.full and not limits.full_for(host)

    def opened(self, host: str, stranger: bool) -> None:
        """A connection with this address is open."""
        self._of(stranger).opened(host)

    def closed(self, host: str, stranger: bool) -> None:
        """A connection with this address is closed; `stranger` as when it was opened."""
        self._of(stranger).closed(host)

    def _of(self, stranger: bool) -> ConnectionLimits:
        return self._strangers if stranger else self._known
