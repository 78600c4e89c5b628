"""RateLimits: how often a user, an address and a trunk may send requests outside of dialogs, and how often a trunk
may be called, and be sent messages that may cost money.

The limits are of a user over all its connections, of an address over all its users, and of a trunk (`LimitsConfig`,
`TrunkLimits`). They are looked at in this order, and nothing is taken where one of them refuses: so a user that is over
its limit takes nothing from the others at its address.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal, NoReturn, get_args

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.access.caller import Caller
from webrtcproxy.access.limits import Rates
from webrtcproxy.access.refusal_log import RefusalLog
from webrtcproxy.config import Config, Trunk
from webrtcproxy.config.addresses import network_of
from webrtcproxy.config.limits import PartyLimits, TrunkLimits
from webrtcproxy.runtime.errors import Denied
from webrtcproxy.sip.message import Request

Kind = Literal["calls", "messages", "registrations"]
"""What is counted for itself."""

KINDS: dict[str, Kind] = {"INVITE": "calls", "REFER": "calls"}
"""The kind of a request by its method; all others but REGISTER are messages."""

_ANY_PEER = TrunkLimits()
"""Of a registrar that has no section."""

_NAMES = {"calls": "Calls", "messages": "Requests", "registrations": "Registrations"}


class RateLimits:
    """The rates of this process.

    :param config: the whole configuration.
    :param clock: for the time.
    :param refusals: the log.
    """

    def __init__(self, config: Config, clock: IReactorTime, refusals: RefusalLog) -> None:
        limits = config.limits
        self._refusals = refusals
        self._user_limits = limits.of_user(config.calls.limit_per_connection)
        self._user = _rates(self._user_limits)
        self._calls = config.calls.limit
        self._address = _rates(limits.of_address(config.wss.connections_per_address))
        self._rates = {kind: Rates(clock) for kind in get_args(Kind)}

    def check_browser(self, request: Request, host: str, caller: Caller) -> None:
        """Count a request of a browser outside of dialogs, other than REGISTER.

        :param host: the IP address of the browser.
        :param caller: what it has proven.
        :raises Denied: 503 with Retry-After where there were too many within the last minute.
        """
        kind = KINDS.get(request.method, "messages")
        place, aor, most = network_of(host), caller.aor, self._user[kind]
        if caller.user is not None:
            most = _rates(caller.user.limits_over(self._user_limits))[kind]
        self._take(request, kind, place, (aor or (place, None), place), aor, most)

    def check_register(self, request: Request, host: str, caller: Caller) -> None:
        """Count a REGISTER of a browser. Its user is the one that it wants to register.

        :param host: the IP address of the browser.
        :param caller: what it has proven.
        :raises Denied: 503 with Retry-After where there were too many within the last minute.
        """
        place, aor, most = network_of(host), request.to.address.aor, self._user["registrations"]
        keys: tuple[Hashable, Hashable] = (place, aor), place
        if aor == caller.aor:  # connected: nobody else there keeps it from staying so
            keys = (place, aor, True), (place, True)
        self._take(request, "registrations", place, keys, aor, most)

    def _take(
        self, request: Request, kind: Kind, place: str, keys: tuple[Hashable, Hashable], aor: str | None, most: int
    ) -> None:
        """Count a request for its user and its address.

        :param place: the address, as it is counted.
        :param keys: of the user, and of the address.
        :param aor: the user's address-of-record; None where it has proven none.
        :param most: what the user may do in a minute.
        """
        user, whole = keys
        per_address = self._address[kind]
        empty = self._rates[kind].take((user, most, most), (whole, per_address, per_address))
        if empty is None:
            return
        call_id, method = request.log_id, request.method
        which, wait = empty
        if which == 1:
            option = f"[limits] address-{kind}-per-minute"
            self._refuse(call_id, method, kind, place, option, per_address, wait)
        who = f"user {aor}" if aor else f"all without a login at {place}"
        self._refuse(call_id, method, kind, who, f"[limits] user-{kind}-per-minute", most, wait)

    def check_peer(self, request: Request, host: str, trunk: Trunk | None) -> None:
        """Count an INVITE of the SIP side outside of dialogs.

        :param host: its address, which counts where it is no trunk's: of a registrar that has no section.
        :raises Denied: 503 with Retry-After where there were too many within the last minute.
        """
        if request.method != "INVITE":
            return
        name, limits = (host, _ANY_PEER) if trunk is None else (f"trunk {trunk.name}", trunk.limits)
        most = limits.rate(self._calls)
        empty = self._rates["calls"].take((("from", name), most, max(1, most // 6)))
        if empty is not None:
            self._refuse(request.log_id, "INVITE", "calls", name, "calls-per-minute", most, empty[1])

    def check_callee(self, call_id: str, trunk: Trunk, method: str = "INVITE") -> None:
        """Count a call that goes to a trunk, or that it is to make by itself.

        :param call_id: its Call-ID, as it may stand in the log.
        :param method: INVITE, or REFER.
        :raises Denied: 503 with Retry-After where there were too many within the last minute.
        """
        most = trunk.limits.calls_to_per_minute
        if most:
            self._take_to(call_id, method, "calls", trunk, "calls-to-per-minute", most)

    def check_message(self, call_id: str, trunk: Trunk) -> None:
        """Count a MESSAGE that goes to a number at a trunk.

        :param call_id: its Call-ID, as it may stand in the log.
        :raises Denied: 503 with Retry-After where there were too many within the last minute.
        """
        most = trunk.limits.messages_to_per_minute
        if most:
            self._take_to(call_id, "MESSAGE", "messages", trunk, "messages-to-per-minute", most)

    def _take_to(self, call_id: str, method: str, kind: Kind, trunk: Trunk, option: str, most: int) -> None:
        """Count a request that goes to a trunk."""
        empty = self._rates[kind].take((("to", trunk.name), most, most))
        if empty is not None:
            self._refuse(call_id, method, kind, f"trunk {trunk.name}", option, most, empty[1])

    def _refuse(self, call_id: str, method: str, kind: Kind, who: str, option: str, most: int, wait: float) -> NoReturn:
        why = f"more than {option} = {most} of {who}"
        denied = Denied(503, f"Too Many {_NAMES[kind]}", "rate_limit", retry_after=wait)
        raise self._refusals.denied(denied, call_id, method, (option, who), why)


def _rates(limits: PartyLimits) -> dict[Kind, int]:
    return {
        "calls": limits.calls_per_minute,
        "messages": limits.messages_per_minute,
        "registrations": limits.registrations_per_minute,
    }
