"""Expiry: what has ended is looked at in time, a little in one turn, and nothing is kept of what is gone before."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.registration.expiry import HORIZON, MAX_PER_TURN, SWEEP_INTERVAL, Expirable, ExpiryWheel


class ExpiryTests(SynchronousTestCase):
    """The looks, under a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.looks: list[tuple[float, Expirable]] = []
        self.ends: dict[Expirable, float] = {}
        self.expiry = ExpiryWheel(self.clock, self.look)

    def look(self, what: Expirable, now: float) -> float | None:
        self.looks.append((now, what))
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
        self.assertEqual((self.expiry._count, self.expiry._due, self.expiry._pieces), (0, {}, {}))

    def test_in_time(self) -> None:
        """A thing is looked at once, within `SWEEP_INTERVAL` of its end, and then there is no timer any more."""
        for end in (1, 9.5, 10, 10.5, 33, 3599):
            self.looks.clear()
            since = self.clock.seconds()
            made = self.thing(since + end)
            self.pass_by(end + SWEEP_INTERVAL)
            ((when, what),) = self.looks
            self.assertIs(what, made)
            self.assertTrue(end <= when - since <= end + SWEEP_INTERVAL, (end, when - since))
            self.assert_nothing_left()

    def test_few_in_one_turn(self) -> None:
        """However many end at once, one turn of the reactor looks at a few of them; all the same, all are soon done."""
        turns = []

        class Turning(Clock):
            def callLater(clock, delay, call, *arguments):
                def turn():
                    before = len(self.looks)
                    call(*arguments)
                    turns.append(len(self.looks) - before)

                return super().callLater(delay, turn)

        self.clock = Turning()
        self.expiry = ExpiryWheel(self.clock, self.look)
        for _ in range(5 * MAX_PER_TURN):
            self.thing(5)
        self.pass_by(SWEEP_INTERVAL)
        self.assertEqual(turns, [MAX_PER_TURN] * 5)
        self.assert_nothing_left()

    def test_later_after_all(self) -> None:
        """What was refreshed is looked at when it was to end first, and then when it ends: a refresh moves nothing."""
        made = self.thing(20)
        for _ in range(3):
            self.ends[made] += 100
            self.expiry.watch(made, self.ends[made])
        self.pass_by(400)
        self.assertEqual([when for when, _ in self.looks], [20, 320])
        self.assert_nothing_left()

    def test_sooner(self) -> None:
        """What ends sooner than it was to is looked at in time, and not twice."""
        made = self.thing(500)
        self.ends[made] = 15
        self.expiry.watch(made, 15)
        self.pass_by(600)
        self.assertEqual([when for when, _ in self.looks], [20])
        self.assert_nothing_left()

    def test_forgotten(self) -> None:
        """What is gone before its end leaves nothing behind; twice is once."""
        made = [self.thing(end) for end in (5, 5, 700)]
        for each in made:
            self.expiry.forget(each)
            self.expiry.forget(each)
        self.assert_nothing_left()
        self.pass_by(SWEEP_INTERVAL)
        self.assertEqual(self.looks, [])

    def test_forgotten_while_due(self) -> None:
        """What is gone before its turn has come is not looked at."""
        made = [self.thing(5) for _ in range(2 * MAX_PER_TURN)]

        def look(what: Expirable, now: float) -> float | None:
            self.looks.append((now, what))
            for other in made:
                self.expiry.forget(other)
            return None

        self.expiry._look = look
        self.pass_by(SWEEP_INTERVAL)
        self.assertEqual(len(self.looks), 1)
        self.assert_nothing_left()

    def test_far_away(self) -> None:
        """An end that is further away than pieces are kept is found all the same; the pieces stay few."""
        far = SWEEP_INTERVAL * HORIZON * 3
        self.thing(far)
        self.thing(float("inf"))
        self.clock.pump([SWEEP_INTERVAL] * (HORIZON * 3 + 1))
        self.assertEqual([when for when, what in self.looks if self.ends[what] == far], [far / 3, far * 2 / 3, far])
        self.expiry.clear()
        self.assert_nothing_left()

    def test_clock_leaps(self) -> None:
        """Where the machine slept, all that has ended meanwhile is looked at."""
        for end in range(5, 5000, 100):
            self.thing(end)
        self.clock.advance(1e7)
        self.assertEqual(len(self.looks), 50)
        self.assert_nothing_left()

    def test_fault(self) -> None:
        """A look that fails takes no other with it."""
        self.thing(5)
        self.thing(5)
        self.expiry._look = lambda what, now: 1 / 0
        for _ in range(2):
            self.assertRaises(ZeroDivisionError, self.clock.advance, SWEEP_INTERVAL)
        self.assert_nothing_left()
