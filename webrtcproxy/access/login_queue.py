"""LoginQueue: logins that take time, in turn, so that the first ones have failed before many more are under way.

Without it, hundreds of guesses could be on their way to a trunk's registrar before the first of them is refused. Each
network has a window: so many of its logins may be under way at once. The window grows by one with each login that
succeeds, so that hundreds of honest users behind one address are not held up for long, and is halved by one that fails.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred

from webrtcproxy.access.caller import Authority
from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.config.addresses import network_of
from webrtcproxy.runtime.errors import Refusal

WINDOW = 4
"""Logins of one network that may be under way at once in the beginning."""

WIDEST = 512
"""The most that ever may be, so that thousands behind one address are in within seconds. A stranger needs as many
accounts to get there: a user who is known does not widen the window again."""

WAITING = 4_000
"""Logins of one network that may wait: of all browsers behind a reverse proxy that nobody has named, or of a load test
at a registrar that challenges nobody. Each of them waits no longer than any REGISTER."""

PER_TURN = 50
"""Logins that are let on, or refused when their turn comes, in one turn of the reactor: takes some 10 milliseconds."""

_Key = tuple[str, Authority, str]
"""Network, authority, and the user that has a line of his own."""


class _Line:
    """The logins of one network at one authority; those of a user who is known there are a line of their own.

    :param key: the network, the authority, and that user or nobody.
    :ivar busy: whether logins are being let on, now or in the next turn of the reactor: one that ends meanwhile only
        makes room.
    """

    __slots__ = ("busy", "key", "underway", "waiting", "window")

    def __init__(self, key: _Key) -> None:
        self.key = key
        self.window = WINDOW
        self.busy = False
        self.underway = 0
        self.waiting: deque[PendingLogin] = deque()


class PendingLogin:
    """One login that waits, or is under way.

    :param queue: is told of its end.
    :param line: where it stands; None where it needs no line.
    :ivar is_proven: whether the browser has proven the user on its connection before.
    :ivar underway: whether its turn has come.
    :ivar turn: fires with None when it may go on, and fails with Refusal where it has to be tried again later; None
        where it may go on at once.
    """

    __slots__ = ("_queue", "aor", "host", "is_proven", "line", "turn", "underway", "what")

    def __init__(
        self, queue: LoginQueue, line: _Line | None, host: str, aor: str, what: str, is_proven: bool = False
    ) -> None:
        self.line = line
        self.host = host
        self.aor = aor
        self.what = what
        self.is_proven = is_proven
        self.underway = True
        self.turn: Deferred[None] | None = None
        self._queue: LoginQueue | None = queue

    def end(self, succeeded: bool | None = None) -> None:
        """It is over; does nothing the second time.

        :param succeeded: whether the credentials were right; None where that is not known.
        """
        queue, self._queue = self._queue, None
        if queue is not None:
            queue.ended(self, succeeded)


class LoginQueue:
    """The logins of this process that are under way.

    :param guard: knows which logins have to wait, and is told of failures and successes.
    :param status: of its refusals: 503 in SIP, 429 in HTTP.
    :param report: called instead of the guard with a login that ends, and whether it has succeeded.
    """

    def __init__(
        self,
        guard: LoginGuard,
        status: int = 503,
        report: Callable[[PendingLogin, bool | None], None] | None = None,
    ) -> None:
        self._guard = guard
        self._status = status
        self._report = report or self._tell_guard
        self._lines: dict[_Key, _Line] = {}

    def __len__(self) -> int:
        """The number of networks with logins under way."""
        return len(self._lines)

    def begin(
        self, host: str, aor: str, authority: Authority, what: str, *, is_proven: bool = False, guessable: bool = True
    ) -> PendingLogin:
        """A login begins; each must be ended.

        :param host: the IP address of the browser.
        :param aor: the address-of-record of the user.
        :param authority: who looks at the credentials: only those that it has to look at stand in one line.
        :param what: what logs in, for the log (`LoginGuard.check`).
        :param is_proven: whether the browser has proven the user on its connection before.
        :param guessable: whether the credentials may be a guess. Those that can't be are looked at whatever has failed
            before, where the user is known: so nobody at his address locks him out.
        :raises Refusal: where there were too many failures, or too many wait.
        """
        guard = self._guard
        known = guard.knows(host, aor)
        if is_proven or guessable or not known:
            guard.check(host, aor, what, self._status, is_proven)
        if is_proven:
            return PendingLogin(self, None, host, aor, what, is_proven)
        key = network_of(host), authority, aor if known else ""
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line(key)
        login = PendingLogin(self, line, host, aor, what)
        if line.underway < line.window and not line.waiting:
            line.underway += 1
        elif len(line.waiting) >= WAITING:
            raise Refusal(self._status, "Too Many Logins", [("Retry-After", "5")])
        else:
            login.turn, login.underway = Deferred(), False
            line.waiting.append(login)
        return login

    def _tell_guard(self, login: PendingLogin, succeeded: bool | None) -> None:
        if succeeded:
            self._guard.succeeded(login.host, login.aor, login.is_proven)
        elif succeeded is not None:
            self._guard.failed(login.host, login.aor, login.is_proven)

    # From PendingLogin

    def ended(self, login: PendingLogin, succeeded: bool | None) -> None:
        """A login is over."""
        line = login.line
        if line is None:
            self._report(login, succeeded)
            return
        if not login.underway:
            line.waiting.remove(login)  # it has given up
            return
        self._report(login, succeeded)
        line.underway -= 1
        if succeeded is not None:
            line.window = min(line.window + 1, WIDEST) if succeeded else max(line.window // 2, 1)
        if not line.busy:
            self._next(line)

    def _next(self, line: _Line) -> None:
        """Let on those whose turn has come, some of them in the next turn of the reactor where there are many."""
        line.busy = True
        for _ in range(PER_TURN):
            if not line.waiting or line.underway >= line.window:
                break
            self._let_on(line, line.waiting.popleft())
        if line.waiting and line.underway < line.window:
            self._guard.clock.callLater(0, self._next, line)
            return
        line.busy = False
        if not line.underway:
            del self._lines[line.key]

    def _let_on(self, line: _Line, login: PendingLogin) -> None:
        """It is the turn of a login, unless failures of others have to delay it by now."""
        assert login.turn is not None
        login.underway = True
        line.underway += 1
        try:
            self._guard.check(login.host, login.aor, login.what, self._status, is_early=False)
        except Refusal as refusal:
            login.turn.errback(refusal)
        else:
            login.turn.callback(None)
