"""ExpiryWheel: what may have expired is checked in time, a little in one turn; what has ended before is not kept."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.registration.expiry import HORIZON, MAX_PER_TURN, SWEEP_INTERVAL, Expirable, ExpiryWheel


class ExpiryTests(SynchronousTestCase):
    """The checks, under a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.checks: list[tuple[float, Expirable]] = []
        self.ends: dict[Expirable, float] = {}
        self.expiry = ExpiryWheel(self.clock, self.check)

    def check(self, what: Expirable, now: float) -> float | None:
        self.checks.append((now, what))
        return self.ends[what] if self.ends[what] > now else None

    def thing(self, end: float) -> Expirable:
        """Something with an end, in seconds of the clock."""
        made = Expirable()
        self.ends[made] = end
        self.expiry.watch(made, end)
        return made

    def pass_by(self, seconds: float) -> None:
        """Let the reactor turn for so long."""
        self.clock.pump([0.5] * int(seconds * 2))

    def assert_nothing_left(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((self.expiry._count, self.expiry._due, self.expiry._slots), (0, {}, {}))

    def test_in_time(self) -> None:
        """A thing is checked once, within `SWEEP_INTERVAL` of its end, and then there is no timer any more."""
        for end in (1, 9.5, 10, 10.5, 33, 3599):
            self.checks.clear()
            since = self.clock.seconds()
            made = self.thing(since + end)
            self.pass_by(end + SWEEP_INTERVAL)
            ((when, what),) = self.checks
            self.assertIs(what, made)
            self.assertTrue(end <= when - since <= end + SWEEP_INTERVAL, (end, when - since))
            self.assert_nothing_left()

    def test_few_in_one_turn(self) -> None:
        """However many end at once, one turn of the reactor checks a few of them; all the same, all are soon done."""
        turns = []

        class Turning(Clock):
            def callLater(clock, delay, call, *arguments):
                def turn():
                    before = len(self.checks)
                    call(*arguments)
                    turns.append(len(self.checks) - before)

                return super().callLater(delay, turn)

        self.clock = Turning()
        self.expiry = ExpiryWheel(self.clock, self.check)
        for _ in range(5 * MAX_PER_TURN):
            self.thing(5)
        self.pass_by(SWEEP_INTERVAL)
        self.assertEqual(turns, [MAX_PER_TURN] * 5)
        self.assert_nothing_left()

    def test_later_after_all(self) -> None:
        """What was refreshed is checked when it was to end first, and then when it ends: a refresh moves nothing."""
        made = self.thing(20)
        for _ in range(3):
            self.ends[made] += 100
            self.expiry.watch(made, self.ends[made])
        self.pass_by(400)
        self.assertEqual([when for when, _ in self.checks], [20, 320])
        self.assert_nothing_left()

    def test_sooner(self) -> None:
        """What ends sooner than it was to is checked in time, and not twice."""
        made = self.thing(500)
        self.ends[made] = 15
        self.expiry.watch(made, 15)
        self.pass_by(600)
        self.assertEqual([when for when, _ in self.checks], [20])
        self.assert_nothing_left()

    def test_forgotten(self) -> None:
        """What is gone before its end leaves nothing behind; twice is once."""
        made = [self.thing(end) for end in (5, 5, 700)]
        for each in made:
            self.expiry.forget(each)
            self.expiry.forget(each)
        self.assert_nothing_left()
        self.pass_by(SWEEP_INTERVAL)
        self.assertEqual(self.checks, [])

    def test_forgotten_while_due(self) -> None:
        """What has ended before its turn has come is not checked."""
        made = [self.thing(5) for _ in range(2 * MAX_PER_TURN)]

        def check(what: Expirable, now: float) -> float | None:
            self.checks.append((now, what))
            for other in made:
                self.expiry.forget(other)
            return None

        self.expiry._check = check
        self.pass_by(SWEEP_INTERVAL)
        self.assertEqual(len(self.checks), 1)
        self.assert_nothing_left()

    def test_far_away(self) -> None:
        """An end that is further away than pieces are kept is found all the same; the pieces stay few."""
        far = SWEEP_INTERVAL * HORIZON * 3
        self.thing(far)
        self.thing(float("inf"))
        self.clock.pump([SWEEP_INTERVAL] * (HORIZON * 3 + 1))
        self.assertEqual([when for when, what in self.checks if self.ends[what] == far], [far / 3, far * 2 / 3, far])
        self.expiry.clear()
        self.assert_nothing_left()

    def test_clock_leaps(self) -> None:
        """Where the machine slept, all that has ended meanwhile is checked."""
        for end in range(5, 5000, 100):
            self.thing(end)
        self.clock.advance(1e7)
        self.assertEqual(len(self.checks), 50)
        self.assert_nothing_left()

    def test_fault(self) -> None:
        """A check that fails takes no other with it."""
        self.thing(5)
        self.thing(5)
        self.expiry._check = lambda what, now: 1 / 0
        for _ in range(2):
            self.assertRaises(ZeroDivisionError, self.clock.advance, SWEEP_INTERVAL)
        self.assert_nothing_left()
