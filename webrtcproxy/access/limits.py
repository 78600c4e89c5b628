"""Limits: how often something may be done, how many calls there may be at once, and for how long in a day.

All of them are kept by a key of the caller, such as its address-of-record or its address, and never by connection: they
survive a reconnect. They are of this process, and begin at nothing when it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from webrtcproxy.runtime.bounded import BoundedDict

MAX_KEYS = 100_000
"""Keys of one kind that are remembered; beyond it, the oldest is forgotten."""

SWEEP_INTERVAL = 60.0
"""Seconds after which keys that are as good as new are forgotten."""

DAY = 86_400.0
"""Seconds in which the minutes of a day are counted, from the first call on."""

CallKey = tuple[str, str]
"""Whose calls are counted: what it is, and its name."""


Bucket = tuple[Hashable, int, int]
"""A bucket of tokens: whose it is, how many come in a minute (0 for as many as are wanted), how many fit in."""


class Rates:
    """How often each of many keys may do something: a bucket of tokens for each, which fills while it is not used.

    A key costs one number: the time at which its bucket will be full again. Keys whose buckets are full are forgotten
    every `SWEEP_INTERVAL`, as others come.

    :param clock: for the time.
    :param limit: how many keys are remembered.
    """

    __slots__ = ("_clock", "_full_at", "_limit", "_sweep_at")

    def __init__(self, clock: IReactorTime, limit: int = MAX_KEYS) -> None:
        self._clock = clock
        self._limit = limit
        self._full_at: dict[Hashable, float] = {}
        self._sweep_at = 0.0

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._full_at)

    def take(self, *buckets: Bucket) -> tuple[int, float] | None:
        """Take a token from each of these buckets; none from any where one of them is empty.

        :returns: the place of the first one that is empty, from 0 on, and the seconds until it has a token; None where
            all had one.
        """
        now = self._clock.seconds()
        if now >= self._sweep_at:
            self._sweep(now)
        full_at = self._full_at
        for place, (key, per_minute, burst) in enumerate(buckets):
            full = full_at.get(key, now)
            if full > now and per_minute and full - now > 60.0 / per_minute * (burst - 1):
                return place, full - now - 60.0 / per_minute * (burst - 1)
        for key, per_minute, _ in buckets:
            if per_minute:
                full = full_at.pop(key, now)
                full_at[key] = (full if full > now else now) + 60.0 / per_minute
        while len(full_at) > self._limit:
            del full_at[next(iter(full_at))]
        return None

    def _sweep(self, now: float) -> None:
        """Forget the keys whose buckets are full."""
        self._sweep_at = now + SWEEP_INTERVAL
        self._full_at = {key: full for key, full in self._full_at.items() if full > now}


class CallLimit(NamedTuple):
    """What one key may have of calls.

    :ivar key: whose calls: of what kind it is, and its name.
    :ivar calls: how many at once; 0 for any number.
    :ivar seconds: of answered calls in a day; 0 for any number.
    """

    key: CallKey
    calls: int = 0
    seconds: float = 0.0


class _Day:
    """The answered calls of one key.

    :ivar since: when its day began.
    :ivar used: seconds of the calls that have ended in it.
    :ivar talking: when each call that is up was answered, in this day, and what ends it.
    :ivar timer: ends them when the time is used up.
    """

    __slots__ = ("since", "talking", "timer", "used")

    def __init__(self, since: float) -> None:
        self.since = since
        self.used = 0.0
        self.talking: dict[CountedCall, float] = {}
        self.timer: IDelayedCall | None = None

    def used_at(self, now: float) -> float:
        """Seconds that are used by now."""
        return self.used + sum(now - answered for answered in self.talking.values())


class CallCounts:
    """The calls of each key: how many there are, and how long they have talked today.

    :param clock: for the time, and for the end of a call whose time is used up.
    :param limit: how many keys whose calls have ended are remembered until the end of their day.
    """

    def __init__(self, clock: IReactorTime, limit: int = MAX_KEYS) -> None:
        self._clock = clock
        self._alive: dict[CallKey, int] = {}
        self._days: BoundedDict[CallKey, _Day] = BoundedDict(limit)

    def __len__(self) -> int:
        """How many keys have calls."""
        return len(self._alive)

    def alive(self, key: CallKey) -> int:
        """How many calls a key has."""
        return self._alive.get(key, 0)

    def is_full(self, limit: CallLimit) -> bool:
        """Whether a key has as many calls at once as it may have."""
        most = limit.calls
        return bool(most) and self._alive.get(limit.key, 0) >= most

    def used_up_for(self, limit: CallLimit) -> float:
        """For how many seconds a key may have no further call since its time is used up; 0 where it may have one."""
        day = self._days.get(limit.key) if limit.seconds else None
        if day is None:
            return 0.0
        now = self._clock.seconds()
        self._begin_day(day, now)
        return day.since + DAY - now if day.used_at(now) >= limit.seconds else 0.0

    def begin(self, limits: Iterable[CallLimit]) -> CountedCall:
        """Count a call for each of these keys until it is over. Whether it may begin was asked before."""
        limits, alive = tuple(limits), self._alive
        for limit in limits:
            key = limit.key
            alive[key] = alive.get(key, 0) + 1
        return CountedCall(self, limits)

    # From CountedCall

    def talks(self, call: CountedCall, limit: CallLimit) -> None:
        """The call is answered: its time is counted from now on."""
        now = self._clock.seconds()
        day = self._days.get(limit.key)
        if day is None:
            day = self._days[limit.key] = _Day(now)
        self._begin_day(day, now)
        day.talking[call] = now
        self._set_timer(day, limit, now)

    def ended(self, call: CountedCall, limit: CallLimit) -> None:
        """The call is over."""
        left = self._alive[limit.key] - 1
        if left:
            self._alive[limit.key] = left
        else:
            del self._alive[limit.key]
        day = self._days.get(limit.key) if limit.seconds else None
        if day is None or call not in day.talking:
            return
        now = self._clock.seconds()
        self._begin_day(day, now)
        day.used += now - day.talking.pop(call)
        self._set_timer(day, limit, now)

    def _begin_day(self, day: _Day, now: float) -> None:
        """If the day of a key is over, begin another: the calls that are up are of the new one from its beginning."""
        if now - day.since >= DAY:
            day.since, day.used = now, 0.0
            day.talking = dict.fromkeys(day.talking, now)

    def _set_timer(self, day: _Day, limit: CallLimit, now: float) -> None:
        """Be called when the calls that are up have used all that is left, or when their day is over."""
        if day.timer is not None and day.timer.active():
            day.timer.cancel()
        day.timer = None
        if day.talking:
            left = max(0.0, limit.seconds - day.used_at(now)) / len(day.talking)
            day.timer = self._clock.callLater(min(left, day.since + DAY - now), self._time_up, day, limit)

    def _time_up(self, day: _Day, limit: CallLimit) -> None:
        now = self._clock.seconds()
        day.timer = None
        self._begin_day(day, now)
        if day.used_at(now) < limit.seconds - 0.001:
            self._set_timer(day, limit, now)
            return
        for call in tuple(day.talking):
            call.time_up()


class CountedCall:
    """One call that counts for several keys.

    :param counts: counts it.
    :param limits: of each key.
    """

    __slots__ = ("_counts", "_end", "limits")

    def __init__(self, counts: CallCounts, limits: tuple[CallLimit, ...]) -> None:
        self._counts = counts
        self._end: Callable[[], None] | None = None
        self.limits = limits

    def answered(self, end: Callable[[], None]) -> None:
        """The call is answered.

        :param end: called once if it has to end since the time of one of its keys is used up.
        """
        self._end = end
        for limit in self.limits:
            if limit.seconds:
                self._counts.talks(self, limit)

    def ends_with(self, end: Callable[[], None]) -> None:
        """From now on, `end` is what ends it where it has to end."""
        self._end = end

    def time_up(self) -> None:
        """The time of one of its keys is used up."""
        end, self._end = self._end, None
        if end is not None:
            end()

    def ended(self) -> None:
        """The call is over; no error where it was before."""
        limits, self.limits, self._end = self.limits, (), None
        for limit in limits:
            self._counts.ended(self, limit)
