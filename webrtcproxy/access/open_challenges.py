"""OpenChallenges: challenges of a trunk's registrar that a browser has yet to answer.

Who asks to be challenged as one user after the other, and answers in earnest for none, is no browser of a user; but the
registrar sees the proxy's address, and bans that. So a REGISTER of a browser that has proven nothing takes a place in
the line of its network until the user has logged in: few are open at once in the beginning, more after each login, so
that an office whose pages all come back gets in. A registrar that accepts whoever asks is soon asked by many. A user
without a login in time counts as a target that was tried in vain.
"""

from __future__ import annotations

from webrtcproxy.access.caller import Authority
from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.access.login_queue import LoginQueue, PendingLogin
from webrtcproxy.config.addresses import network_of
from webrtcproxy.runtime.schedule import Schedule, Timer

ANSWERED_WITHIN = 5.0
"""Seconds in which a browser has to log in after a challenge; a login that comes later counts all the same."""

ANSWERS = 3
"""Answers to one challenge that may be challenged again, as for another realm or a nonce that is too old."""

_Key = tuple[str, str, Authority]


class _Open:
    """The challenges of a user that are open.

    :ivar answers: how many answers were challenged again.
    """

    __slots__ = ("answers", "places", "timer")

    def __init__(self, timer: Timer) -> None:
        self.answers = 0
        self.places: list[PendingLogin] = []
        self.timer = timer


class OpenChallenges:
    """The challenges that are open in this process.

    :param guard: is told of those without a login in time.
    :param schedule: for the time.
    """

    def __init__(self, guard: LoginGuard, schedule: Schedule) -> None:
        self._guard = guard
        self._schedule = schedule
        self._line = LoginQueue(guard, report=self._report)
        self._open: dict[_Key, _Open] = {}

    def __len__(self) -> int:
        """The number of users with open challenges."""
        return len(self._open)

    @property
    def networks(self) -> int:
        """The number of networks with a line."""
        return len(self._line)

    def begin(self, host: str, aor: str, authority: Authority, what: str, answers: bool) -> PendingLogin | None:
        """A REGISTER that is no login yet is to be forwarded.

        :param host: the IP address of the browser, which has not proven `aor` to `authority`.
        :param what: what asks, for the log (`LoginGuard.check`).
        :param answers: whether it has credentials: then it may answer an open challenge, and takes no further place.
        :returns: its place in the line, to be ended, or given to `challenged`; None where it needs none.
        :raises Refusal: 503 as of `LoginQueue.begin`.
        """
        if answers and (network_of(host), aor, authority) in self._open:
            return None
        return self._line.begin(host, aor, authority, what)

    def challenged(self, host: str, aor: str, authority: Authority, place: PendingLogin | None) -> None:
        """The registrar's challenge goes to the browser.

        :param place: as `begin` has returned it; it is kept until the login, but not for long.
        """
        if self._guard.knows(host, aor):
            if place is not None:
                place.end()
            return
        key = network_of(host), aor, authority
        found = self._open.get(key)
        if place is not None:
            if found is None:
                found = self._open[key] = _Open(self._schedule.after(ANSWERED_WITHIN, lambda: self._close(key, False)))
            found.places.append(place)
        elif found is not None:
            found.answers += 1
            if found.answers >= ANSWERS:
                self._guard.failed(host, aor)

    def logged_in(self, host: str, aor: str, authority: Authority) -> None:
        """The registrar has accepted the user's credentials."""
        self._close((network_of(host), aor, authority), True)

    def _close(self, key: _Key, succeeded: bool) -> None:
        found = self._open.pop(key, None)
        if found is not None:
            found.timer.cancel()
            for place in found.places:
                place.end(succeeded)

    def _report(self, place: PendingLogin, succeeded: bool | None) -> None:
        """Count a place that ends; logins are counted where they are looked at."""
        if succeeded is False:
            self._guard.probed(place.host, place.aor)
