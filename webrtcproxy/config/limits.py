"""The limits of one user, one address and one trunk: how much each may do, so that something is left for the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from webrtcproxy.config.kinds import Kind, whole
from webrtcproxy.config.option import option

MAX_LIMIT: Final = 1_000_000
"""The highest limit of connections, calls and subscriptions."""

MAX_RATE: Final = 1_000_000
"""The highest rate, and the highest number of minutes."""


def _most(unit: str) -> Kind[int]:
    return whole(0, MAX_RATE, unit)


@dataclass(frozen=True, slots=True)
class PartyLimits:
    """What one user, one address or one trunk may do; 0 for no limit.

    :ivar calls: calls at once.
    :ivar calls_per_minute: INVITEs and REFERs outside of dialogs, those included that are challenged or refused.
    :ivar messages_per_minute: other requests outside of dialogs.
    :ivar registrations_per_minute: REGISTERs.
    :ivar minutes_per_day: of answered calls to a trunk, within 24 hours from the first one.
    """

    calls: int = 0
    calls_per_minute: int = 0
    messages_per_minute: int = 0
    registrations_per_minute: int = 0
    minutes_per_day: int = 0


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """What one user and one address may do, over all their connections; 0 is no limit."""

    user_calls: int | None = option(
        _most("calls"),
        "Calls at once that one user may have made, over all its connections; above this limit, it gets 503.",
        default=None,
        absent="as many as ``[calls] limit-per-connection``",
    )
    user_calls_per_minute: int | None = option(
        _most("calls"),
        "Calls and transfers of one user in a minute, those included that are challenged or refused: one with a digest"
        " counts twice. As many may come at once after a quiet minute; above this limit, it gets 503 with Retry-After."
        " The browsers of one address that have not proven who they are count as one user.",
        default=None,
        absent="12 for each of ``[calls] limit-per-connection``",
    )
    user_messages_per_minute: int | None = option(
        _most("requests"),
        "The same for all other requests of a user outside of dialogs: MESSAGE, SUBSCRIBE, OPTIONS and others.",
        default=None,
        absent="30 for each of ``[calls] limit-per-connection``",
    )
    user_registrations_per_minute: int | None = option(
        _most("REGISTERs"),
        "REGISTERs for one user from one address in a minute, the first ones without a digest included: so nobody keeps"
        " a user out from another address.",
        default=None,
        absent="12 for each of ``[calls] limit-per-connection``",
    )
    user_minutes_per_day: int = option(
        _most("minutes"),
        "Minutes of calls to trunks that one user may have within 24 hours from the first one; then its calls end, and"
        " new ones get 403 with Retry-After.",
        default=0,
    )
    address_calls: int | None = option(
        _most("calls"),
        "Calls at once from one IP address (IPv6: one /64), over all its users.",
        default=None,
        absent="as many as ``[wss] connections-per-address``",
    )
    address_calls_per_minute: int | None = option(
        _most("calls"),
        "Calls and transfers from one address in a minute, counted as those of a user.",
        default=None,
        absent="4 for each of ``[wss] connections-per-address``",
    )
    address_messages_per_minute: int | None = option(
        _most("requests"),
        "All other requests outside of dialogs from one address in a minute.",
        default=None,
        absent="8 for each of ``[wss] connections-per-address``",
    )
    address_registrations_per_minute: int | None = option(
        _most("REGISTERs"),
        "REGISTERs from one address in a minute, for whatever users.",
        default=None,
        absent="4 for each of ``[wss] connections-per-address``",
    )
    address_minutes_per_day: int = option(
        _most("minutes"), "Minutes of calls to trunks from one address within 24 hours.", default=0
    )
    share: int = option(
        whole(1, 100, "percent"),
        "The most of ``[calls] limit`` that the calls from one address or from one trunk may take, so that the rest is"
        " left for others; and the most of what its address may have that one user may take. The same of"
        " ``[subscriptions] limit``.",
        default=80,
    )

    def of_user(self, calls: int) -> PartyLimits:
        """Those of one user.

        :param calls: how many calls one connection may have.
        """
        return PartyLimits(
            _times(self.user_calls, calls),
            _times(self.user_calls_per_minute, 12 * calls),
            _times(self.user_messages_per_minute, 30 * calls),
            _times(self.user_registrations_per_minute, 12 * calls),
            self.user_minutes_per_day,
        )

    def of_address(self, connections: int) -> PartyLimits:
        """Those of one address.

        :param connections: how many WebSockets one address may have.
        """
        return PartyLimits(
            _times(self.address_calls, connections),
            _times(self.address_calls_per_minute, 4 * connections),
            _times(self.address_messages_per_minute, 8 * connections),
            _times(self.address_registrations_per_minute, 4 * connections),
            self.address_minutes_per_day,
        )


def _times(limit: int | None, absent: int) -> int:
    return absent if limit is None else limit


@dataclass(frozen=True, slots=True)
class TrunkLimits:
    """What one trunk may do; a part of its section."""

    calls: int = option(
        _most("calls"),
        "Calls at once to and from the trunk together; above this limit, browsers get 503, and the trunk 486.",
        default=0,
        absent="no limit but that of ``[limits] share`` for calls from it",
    )
    calls_per_minute: int | None = option(
        _most("calls"),
        "Calls from the trunk in a minute, those that are refused included, at most a sixth of them at once; above this"
        " limit, it gets 503 with Retry-After.",
        default=None,
        absent="6 for each of ``[calls] limit``",
    )
    calls_to_per_minute: int = option(
        _most("calls"),
        "Calls to the trunk in a minute, whoever makes them, those that it refuses included: one that it challenges and"
        " whose digest is the browser's counts twice, as does one that it redirects to itself. A REFER by which it is"
        " to call somebody counts as well. As many may come at once after a quiet minute; above this limit, browsers"
        " get 503 with Retry-After, and the trunk gets nothing.",
        default=0,
    )
    messages_to_per_minute: int = option(
        _most("messages"),
        "MESSAGEs to numbers at the trunk in a minute, whoever sends them, since each may cost money; those to names do"
        " not count. Above this limit, browsers get 503 with Retry-After, and the trunk gets nothing.",
        default=300,
    )
    minutes_per_day: int = option(
        _most("minutes"),
        "Minutes of calls to the trunk within 24 hours from the first one; then calls to it end, and new ones get 403"
        " with Retry-After.",
        default=0,
    )

    def rate(self, calls: int) -> int:
        """Calls from it in a minute.

        :param calls: how many calls there may be at once.
        """
        return _times(self.calls_per_minute, 6 * calls)
