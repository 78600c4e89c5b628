"""LoginQueue: logins that take time go in turn, so that guesses fail before many of them are under way."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.access import login_queue as module
from webrtcproxy.access.caller import Authority
from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.access.login_queue import LoginQueue, PendingLogin
from webrtcproxy.config import BansConfig
from webrtcproxy.runtime.errors import Refusal

STRANGER, SHARED = "203.0.113.66", "198.51.100.5"
TRUNK: Authority = ("trunk", "pbx")


class Queue(SynchronousTestCase):
    """Logins at a registrar that takes its time (docs/access.rst, Strangers)."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.guard = LoginGuard(self.clock, BansConfig())
        self.queue = LoginQueue(self.guard)
        self.went_on: list[PendingLogin] = []
        self.refused: list[int] = []

    def begin(self, host: str, aor: str, authority: Authority = TRUNK) -> PendingLogin | None:
        try:
            login = self.queue.begin(host, aor, authority, "call")
        except Refusal as refusal:
            self.refused.append(refusal.status)
            return None
        if login.turn is None:
            self.went_on.append(login)
        else:
            login.turn.addCallbacks(lambda _: self.went_on.append(login), self.not_now, errbackArgs=(login,))
        return login

    def not_now(self, failure, login: PendingLogin) -> None:
        self.refused.append(failure.value.status)
        login.end()

    def test_many_guesses(self) -> None:
        """Of 150 guesses in one moment a handful reaches the registrar before the others are refused: too few for it to
        ban the proxy."""
        for _ in range(150):
            self.begin(STRANGER, "alice@example.com")
        self.assertEqual(len(self.went_on), module.WINDOW)
        for login in self.went_on:
            login.end(False)
        self.clock.advance(0)
        self.assertLessEqual(len(self.went_on), 6)
        self.assertEqual((len(self.went_on) + len(self.refused), {*self.refused}, len(self.queue)), (150, {503}, 0))

    def test_waiting_is_not_early(self) -> None:
        """Those that are refused when their turn comes have come before the failures: they lead to no ban."""
        for number in range(1000):
            self.begin(SHARED, f"u{number}@example.com")
        for login in self.went_on:
            login.end(False)
        self.clock.advance(0)
        self.assertGreater(len(self.refused), 900)
        self.assertEqual(self.guard.bans.remaining(SHARED), 0)

    def test_many_users(self) -> None:
        """So it is with another user each time."""
        for number in range(150):
            self.begin(STRANGER, f"u{number}@example.com")
        for login in self.went_on:
            login.end(False)
        self.clock.advance(0)
        self.assertLessEqual(len(self.went_on), 6)
        self.assertEqual(len(self.queue), 0)

    def test_spread(self) -> None:
        """A long line is not refused in one turn of the reactor, in which nobody else would be served."""
        for number in range(1000):
            self.begin(SHARED, f"u{number}@example.com")
        for login in self.went_on:
            login.end(False)
        self.assertEqual(len(self.refused), module.PER_TURN)
        other = self.begin(STRANGER, "alice@example.com")
        self.assertIs(self.went_on[-1], other)
        self.clock.advance(0)
        self.assertEqual(len(self.refused) + len(self.went_on), 1001)
        self.assertEqual(len(self.queue), 1)

    def test_order(self) -> None:
        """Who comes while a line is let on stands at its end, and who gives up then is not let on."""
        self.patch(module, "PER_TURN", 1)
        logins = [self.begin(SHARED, f"u{number}@example.com") for number in range(module.WINDOW + 3)]
        for login in logins[:2]:
            login.end(True)
        self.assertEqual(len(self.went_on), module.WINDOW + 1)
        last = self.begin(SHARED, "last@example.com")
        logins[-1].end()
        self.clock.advance(0)
        self.assertEqual(self.went_on, [*logins[:-1], last])
        for login in self.went_on:
            login.end(True)
        self.assertEqual((len(self.queue), self.clock.getDelayedCalls()), (0, []))

    def test_given_up_meanwhile(self) -> None:
        """A line in which all give up while it is let on is forgotten."""
        self.patch(module, "PER_TURN", 1)
        logins = [self.begin(SHARED, f"u{number}@example.com") for number in range(module.WINDOW + 3)]
        for login in logins:
            login.end()
        self.clock.advance(0)
        self.assertEqual(len(self.queue), 0)

    def test_honest_users_behind_one_address(self) -> None:
        """2,000 users behind one address who all come back at once log in within a few rounds: each success widens the
        window."""
        for number in range(2000):
            self.begin(SHARED, f"u{number}@example.com")
        rounds = done = 0
        while done < len(self.went_on):
            now, rounds = self.went_on[done:], rounds + 1
            done += len(now)
            self.assertLessEqual(len(now), module.WIDEST)
            for login in now:
                login.end(True)
        self.assertEqual((done, self.refused, len(self.queue)), (2000, [], 0))
        self.assertLessEqual(rounds, 11)

    def test_known(self) -> None:
        """A user who has logged in from the address before stands in no line of others."""
        self.guard.succeeded(SHARED, "alice@example.com")
        for number in range(20):
            self.begin(SHARED, f"u{number}@example.com")
        login = self.begin(SHARED, "alice@example.com")
        self.assertIs(self.went_on[-1], login)
        self.assertEqual(len(self.went_on), module.WINDOW + 1)

    def test_guesses_at_a_known_user(self) -> None:
        """He stands in one of his own, so that of many guesses at his password a handful goes on, too; not so where his
        connection has proven him."""
        self.guard.succeeded(SHARED, "alice@example.com")
        for _ in range(150):
            self.begin(SHARED, "alice@example.com")
        self.assertEqual(len(self.went_on), module.WINDOW)
        login = self.queue.begin(SHARED, "alice@example.com", TRUNK, "call", is_proven=True)
        self.assertIsNone(login.turn)
        login.end(True)
        for login in self.went_on:
            login.end(False)
        self.clock.advance(0)
        self.assertLessEqual(len(self.went_on), 6)
        self.assertEqual(len(self.queue), 0)

    def test_what_nobody_guesses(self) -> None:
        """Credentials that can't be a guess are looked at whatever has failed before, where the user is known."""
        for host in (SHARED, STRANGER):
            for _ in range(4):
                self.guard.failed(host, "alice@example.com")
        self.guard.succeeded(SHARED, "alice@example.com")
        for _ in range(4):
            self.guard.failed(SHARED, "alice@example.com")
        self.assertRaises(Refusal, self.queue.begin, SHARED, "alice@example.com", TRUNK, "call")
        self.queue.begin(SHARED, "alice@example.com", TRUNK, "call", guessable=False).end()
        self.assertRaises(Refusal, self.queue.begin, STRANGER, "alice@example.com", TRUNK, "call", guessable=False)

    def test_one_line_for_each_authority(self) -> None:
        """A registrar that is silent holds up nobody who logs in at another one; nor do those at another address."""
        for number in range(20):
            self.begin(SHARED, f"u{number}@example.com")
        for host, authority in ((SHARED, ("trunk", "other")), (STRANGER, TRUNK)):
            login = self.begin(host, "x@example.com", authority)
            self.assertIs(self.went_on[-1], login)

    def test_given_up(self) -> None:
        """One that gives up while it waits makes room, and is never let on; an end counts once."""
        logins = [self.begin(SHARED, f"u{number}@example.com") for number in range(module.WINDOW + 2)]
        waiting, last = logins[-2:]
        for _ in range(2):
            waiting.end()
            logins[0].end()
        self.assertEqual(self.went_on[-1], last)
        self.assertEqual(len(self.went_on), module.WINDOW + 1)
        for login in self.went_on:
            login.end()
        self.assertEqual(len(self.queue), 0)

    def test_unknown_end(self) -> None:
        """Where the registrar says neither, the window stays, and nothing is counted."""
        for number in range(6):
            self.begin(SHARED, f"u{number}@example.com")
        self.went_on[0].end()
        self.assertEqual(len(self.went_on), module.WINDOW + 1)
        self.assertEqual(self.guard.delay(SHARED, "u0@example.com"), 0)

    def test_bounded(self) -> None:
        """Only so many wait; the others are refused at once, to come back later."""
        for number in range(module.WAITING + module.WINDOW + 7):
            self.begin(SHARED, f"u{number}@example.com")
        self.assertEqual(self.refused, [503] * 7)
