"""CallLimits: how many calls a user, an address and a trunk may have at once, and for how long in a day; and how many
subscriptions a user and an address may have."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from webrtcproxy.access.caller import Caller
from webrtcproxy.access.limits import CallCounts, CallLimit, CountedCall
from webrtcproxy.access.policy import AccessRequest, Permitted
from webrtcproxy.access.rates import RateLimits
from webrtcproxy.access.refusal_log import RefusalLog
from webrtcproxy.config import Config, Trunk
from webrtcproxy.config.addresses import network_of
from webrtcproxy.config.limits import PartyLimits
from webrtcproxy.runtime.errors import Denied

SOON = 10.0
"""Seconds after which one of several calls may be over."""

_OPTIONS = {
    "user": "[limits] user-calls or share",
    "address": "[limits] address-calls or share",
    "trunk": "calls",
    "calls from": "[limits] share",
    "subscriptions of user": "[limits] share",
    "subscriptions of address": "[limits] share",
    "minutes of user": "[limits] user-minutes-per-day",
    "minutes of address": "[limits] address-minutes-per-day",
    "minutes of trunk": "minutes-per-day",
}
"""The option that limits calls, by the kind of the key."""

Ended = Callable[[AccessRequest, float], None]
"""Called when a call is over, with the seconds since its 2xx; 0 where it was not answered."""


class CallLimits:
    """The calls of this process, as far as they are limited.

    :param config: the whole configuration.
    :param clock: for the time.
    :param rates: how many calls a minute a trunk gets.
    :param refusals: the log, and the count of refusals.
    :param ended: called at the end of each call that the access policy has permitted.
    """

    def __init__(
        self, config: Config, clock: IReactorTime, rates: RateLimits, refusals: RefusalLog, ended: Ended
    ) -> None:
        limits = config.limits
        self.clock = clock
        self.ended = ended
        self._rates = rates
        self._refusals = refusals
        self._counts = CallCounts(clock)
        self._share = _part(config.calls.limit, limits.share)
        self._user = limits.of_user(config.calls.limit_per_connection)
        self._address = limits.of_address(config.wss.connections_per_address)
        self._calls_of_address = _least(self._address.calls, self._share)
        self._share_of_user = _part(self._calls_of_address, limits.share)
        self._subscriptions = _part(config.subscriptions.limit, limits.share)
        self._subscriptions_of_user = _part(self._subscriptions, limits.share)
        self._from_trunks = {trunk.name: self._from_trunk(trunk) for trunk in config.trunks}
        self._to_trunks = {trunk.name: _limits_of(trunk) for trunk in config.trunks}

    def __len__(self) -> int:
        """How many users, addresses and trunks have calls."""
        return len(self._counts)

    def begin_of_browser(self, call_id: str, caller: Caller, host: str) -> PermittedCall:
        """Begin the call of a browser.

        :param host: the IP address of the browser.
        :raises Denied: 503 with Retry-After where there are too many calls of its user or its address.
        """
        of_address = CallLimit(("address", network_of(host)), self._calls_of_address)
        limits = [of_address]
        if caller.aor is not None:
            calls = _least(self._of_user(caller).calls, self._share_of_user)
            limits = [CallLimit(("user", caller.aor), calls), of_address]
        return PermittedCall(self, call_id, caller, host, self.begin(call_id, limits, 503))

    def begin_of_peer(self, call_id: str, host: str, trunk: Trunk | None) -> PermittedCall:
        """Begin a call of the SIP side.

        :param host: its address, which counts where it is no trunk's: of a registrar that has no section.
        :raises Denied: 486 with Retry-After where there are too many calls of it.
        """
        limits = [CallLimit(("calls from", host), self._share)] if trunk is None else self._from_trunks[trunk.name]
        return PermittedCall(self, call_id, None, host, self.begin(call_id, limits, 486))

    def begin_subscription(self, call_id: str, method: str, caller: Caller, host: str) -> CountedCall:
        """Begin a subscription of a browser, which counts until it has ended.

        :param method: SUBSCRIBE or REFER.
        :param host: the IP address of the browser.
        :raises Denied: 503 with Retry-After where its user or its address has its share of all that there may be.
        """
        limits = [CallLimit(("subscriptions of address", network_of(host)), self._subscriptions)]
        if caller.aor is not None:
            limits.insert(0, CallLimit(("subscriptions of user", caller.aor), self._subscriptions_of_user))
        return self.begin(call_id, limits, 503, method)

    def begin_to_trunk(self, call_id: str, caller: Caller | None, host: str, trunk: Trunk) -> CountedCall | None:
        """Count a call that goes to a trunk.

        :param caller: at whose expense it is; None for a call of the SIP side.
        :param host: the address that it comes from.
        :returns: its count, or None where it has no limit but how often the trunk may be called.
        :raises Denied: with Retry-After: 503 where there are too many calls at the trunk, or too many within the last
            minute; 403 where the minutes of the user, the address or the trunk are used up.
        """
        limits = self._limits_to(caller, host, trunk)
        if limits:
            self._check(call_id, limits, 503)
        self._rates.check_callee(call_id, trunk)
        return self._counts.begin(limits) if limits else None

    def _limits_to(self, caller: Caller | None, host: str, trunk: Trunk) -> Sequence[CallLimit]:
        """The limits of a call that goes to a trunk; only those that there are."""
        limits = self._to_trunks[trunk.name]
        if caller is None:
            return limits
        minutes = self._address.minutes_per_day
        if minutes:
            limits = [*limits, CallLimit(("minutes of address", network_of(host)), 0, 60.0 * minutes)]
        if caller.aor is not None:
            minutes = self._of_user(caller).minutes_per_day
            if minutes:
                limits = [*limits, CallLimit(("minutes of user", caller.aor), 0, 60.0 * minutes)]
        return limits

    def begin(self, call_id: str, limits: Sequence[CallLimit], busy: int, method: str = "INVITE") -> CountedCall:
        """Count a call or a subscription, where none of its limits is reached.

        :param limits: of calls or of seconds, each.
        :param busy: the status where there are too many at once.
        :param method: of its request, for the log.
        :raises Denied: with that status, or 403 where the time of a day is used up.
        """
        self._check(call_id, limits, busy, method)
        return self._counts.begin(limits)

    def _check(self, call_id: str, limits: Sequence[CallLimit], busy: int, method: str = "INVITE") -> None:
        """Check that none of some limits is reached."""
        for limit in limits:
            if self._counts.is_full(limit):
                kind, name = limit.key
                what = "Calls" if method == "INVITE" else "Subscriptions"
                denied = Denied(busy, f"Too Many {what} Of Yours", "calls_limit", retry_after=SOON)
                why = f"{kind} {name} has as many as {_OPTIONS[kind]} = {limit.calls}"
                raise self._refusals.denied(denied, call_id, method, limit.key, why)
            wait = self._counts.used_up_for(limit) if limit.seconds else 0.0
            if wait:
                kind, name = limit.key
                denied = Denied(403, "Minutes Of This Day Used Up", "minutes_limit", retry_after=wait)
                why = f"the {kind} {name} are used up: {_OPTIONS[kind]} = {limit.seconds / 60:.0f}"
                raise self._refusals.denied(denied, call_id, method, limit.key, why)

    def _from_trunk(self, trunk: Trunk) -> Sequence[CallLimit]:
        share = CallLimit(("calls from", trunk.name), self._share)
        calls = trunk.limits.calls
        return [share, CallLimit(("trunk", trunk.name), calls)] if calls else [share]

    def _of_user(self, caller: Caller) -> PartyLimits:
        """The limits of a user: those of `[limits]`, where it has none of its own."""
        return self._user if caller.user is None else caller.user.limits_over(self._user)


class PermittedCall:
    """One call from its INVITE to its end.

    :param limits: those that it has to keep.
    :param caller: the caller that is a browser, or None.
    :param host: the address that it comes from.
    :param counted: its count.
    """

    __slots__ = (
        "_answered_at", "_call_id", "_caller", "_counted", "_end", "_host", "_is_joined", "_joined", "_limits",
        "_permitted", "_reached", "_timer",
    )  # fmt: skip

    def __init__(
        self, limits: CallLimits, call_id: str, caller: Caller | None, host: str, counted: CountedCall
    ) -> None:
        self._limits = limits
        self._call_id = call_id
        self._caller = caller
        self._host = host
        self._counted = [counted]
        self._reached = 1
        self._end: Callable[[], None] | None = None
        self._permitted: Permitted | None = None
        self._answered_at = 0.0
        self._timer: IDelayedCall | None = None
        self._joined: list[PermittedCall] = []
        self._is_joined = False

    def goes_to(self, trunk: Trunk | None, permitted: Permitted | None) -> None:
        """A target of the call is found; a further one where it is redirected or transferred.

        :param trunk: where it leads, or None.
        :param permitted: what the access policy has permitted, where it was asked.
        :raises Denied: 503 where there are too many calls at that trunk, or too many within the last minute; 403 where
            the minutes of the user, the address or the trunk are used up; with Retry-After.
        """
        limits, end = self._limits, self._end
        if len(self._counted) > self._reached:
            self.leave_target()
        if trunk is not None:
            caller, host = self._caller, self._host
            if permitted is not None:  # a transferor pays for the call that it has asked for
                caller, host = permitted.question.caller, permitted.question.address
            counted = limits.begin_to_trunk(self._call_id, caller, host, trunk)
            if counted is not None:
                self._counted.append(counted)
                if end is not None:
                    counted.answered(end)
        if permitted is not None:
            self._permitted = permitted
        if end is not None and self._permitted is not None:
            self._start_timer(end, self._permitted.permit.seconds)

    @property
    def caller(self) -> Caller | None:
        """The caller that is a browser, or None."""
        return self._caller

    @property
    def permitted(self) -> Permitted | None:
        """What the access policy has permitted last; None where it was not asked, as about a call that comes in."""
        found = (each._permitted for each in (self, *self._joined) if each._permitted is not None)
        return next(found, None)

    def answered(self, end: Callable[[], None]) -> None:
        """The caller has got its 2xx.

        :param end: called if the call has to end since its time is used up.
        """
        self._answered_at, self._end = self._limits.clock.seconds(), end
        for counted in self._counted:
            counted.answered(end)
        self._reached = len(self._counted)
        if self._permitted is not None:
            self._start_timer(end, self._permitted.permit.seconds)

    def reach_target(self) -> None:
        """The target that was found last has answered: the call counts at its trunk until it is over."""
        self._reached = len(self._counted)

    def leave_target(self) -> None:
        """The target that was found last has refused, or is not wanted any more."""
        while len(self._counted) > self._reached:
            self._counted.pop().ended()

    def join(self, other: PermittedCall, caller_left: bool) -> None:
        """The call goes on with an end of another one, which is over by itself: what that one is counted for, and the
        time that it has been given, hold until this call is over.

        :param other: it is answered, too.
        :param caller_left: its caller is the one that has brought both together and leaves.
        """
        assert self._end is not None
        if caller_left:
            other._counted.pop(0).ended()  # for the caller it is no call any more; its minutes are
            other._reached -= 1
        for each in (other, *other._joined):
            each._go_on_in_another(self._end)
            if each._counted or each._permitted is not None:
                self._joined.append(each)
        other._joined.clear()

    def _go_on_in_another(self, end: Callable[[], None]) -> None:
        self._is_joined, self._end = True, end
        for counted in self._counted:
            counted.ends_with(end)
        timer = self._timer
        if timer is not None and timer.active():
            self._start_timer(end, max(0.001, timer.getTime() - self._limits.clock.seconds()))

    def over(self) -> None:
        """The call has ended. One that goes on in another ends with that."""
        if self._is_joined:
            return
        for each in (self, *self._joined):
            each._over()

    def _over(self) -> None:
        if self._timer is not None:
            self._stop_timer()
        for counted in self._counted:
            counted.ended()
        answered, self._end = self._end is not None, None
        permitted = self._permitted
        if permitted is not None:
            seconds = self._limits.clock.seconds() - self._answered_at if answered else 0.0
            self._limits.ended(permitted.question, seconds)

    def _start_timer(self, end: Callable[[], None], seconds: float) -> None:
        if self._timer is not None:
            self._stop_timer()
        if seconds:
            self._timer = self._limits.clock.callLater(seconds, end)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


def _limits_of(trunk: Trunk) -> Sequence[CallLimit]:
    """The limits of a call to a trunk that are the trunk's."""
    limits = []
    if trunk.limits.calls:
        limits.append(CallLimit(("trunk", trunk.name), trunk.limits.calls))
    if trunk.limits.minutes_per_day:
        limits.append(CallLimit(("minutes of trunk", trunk.name), 0, 60.0 * trunk.limits.minutes_per_day))
    return limits


def _part(number: int, percent: int) -> int:
    """A part of a number, at least one."""
    return max(1, number * percent // 100)


def _least(limit: int, most: int) -> int:
    """The lower one of two limits, of which the first is none where it is 0."""
    return min(limit, most) if limit else most
