"""Schedule: queues of timers, each run by one `callLater`."""

from __future__ import annotations

from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime.schedule import GRAIN, PER_TURN, Schedule, Timer


class Scheduled(SynchronousTestCase):
    """Timers of one delay share one `callLater`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.schedule = Schedule(self.clock)
        self.fired: list[tuple[str, float]] = []

    def after(self, delay: float, name: str) -> Timer:
        return self.schedule.after(delay, lambda: self.fired.append((name, round(self.clock.seconds(), 6))))

    def waiting(self) -> int:
        """How many timers the clock runs."""
        return len(self.clock.getDelayedCalls())

    def test_to_the_tick(self) -> None:
        """Each fires after its delay, whatever else waits."""
        self.after(5.0, "a")
        self.clock.advance(1)
        self.after(5.0, "b")
        self.after(2.0, "c")
        self.assertEqual(self.waiting(), 2)
        self.clock.pump([1.0] * 10)
        self.assertEqual(self.fired, [("c", 3.0), ("a", 5.0), ("b", 6.0)])
        self.assertEqual(self.waiting(), 0)

    def test_one_reactor_timer(self) -> None:
        """A thousand timers of one delay cost one `callLater`."""
        for number in range(1000):
            self.after(32.0, str(number))
        self.assertEqual(self.waiting(), 1)
        self.clock.advance(32)
        self.assertEqual(len(self.fired), 1000)
        self.assertEqual(self.waiting(), 0)

    def test_many_at_once(self) -> None:
        """Of thousands that are due at once some fire in each turn of the reactor, in their order, so that all else is
        served meanwhile."""
        turns: list[int] = []

        class Turning(Clock):
            def callLater(self, delay: float, *what: object, **more: object) -> object:  # type: ignore[override]
                if not delay:
                    turns.append(len(fired))
                return super().callLater(delay, *what, **more)  # type: ignore[arg-type]

        clock, fired = Turning(), []
        schedule = Schedule(clock)
        for number in range(2 * PER_TURN + 1):
            schedule.after(32.0, lambda number=number: fired.append(number))
        schedule.after(32.0, self.fail).cancel()
        clock.advance(40)
        self.assertEqual(fired, list(range(2 * PER_TURN + 1)))
        self.assertEqual(turns, [PER_TURN, 2 * PER_TURN])
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_as_many_as_a_turn_takes(self) -> None:
        """A last one of a turn leaves nothing behind, and the queue goes on."""
        for number in range(PER_TURN):
            self.after(1.0, str(number))
        self.clock.advance(1)
        self.assertEqual((len(self.fired), self.waiting()), (PER_TURN, 0))
        self.after(1.0, "next")
        self.clock.advance(1)
        self.assertEqual(self.fired[-1], ("next", 2.0))

    def test_cancelled(self) -> None:
        """A cancelled one never fires; without any other, the clock is left alone. Twice is once."""
        first = self.schedule.after(1.0, self.fail)
        first.cancel()
        first.cancel()
        self.assertEqual(self.waiting(), 0)
        self.after(1.0, "kept")
        second = self.schedule.after(1.0, self.fail)
        self.after(1.0, "behind")
        second.cancel()
        self.clock.advance(1)
        self.assertEqual([name for name, _ in self.fired], ["kept", "behind"])
        second.cancel()
        self.assertEqual(self.waiting(), 0)

    def test_cancelled_in_front(self) -> None:
        """When the first is cancelled the next one still fires at its own time."""
        first = self.schedule.after(1.0, self.fail)
        self.clock.advance(0.5)
        self.after(1.0, "next")
        first.cancel()
        self.clock.advance(0.5)
        self.assertEqual(self.fired, [])
        self.clock.advance(0.5)
        self.assertEqual(self.fired, [("next", 1.5)])

    def test_nothing_of_a_cancelled_one_is_kept(self) -> None:
        """What was to be called is let go at once: a timer of 32 s must not hold a transaction that is over."""
        self.after(32.0, "first")
        second = self.schedule.after(32.0, self.fail)
        second.cancel()
        self.assertIsNone(second.call)

    def test_again_while_firing(self) -> None:
        """A timer that starts the same one again, as Timer E does every T2."""

        def again() -> None:
            self.fired.append(("again", self.clock.seconds()))
            if len(self.fired) < 4:
                self.schedule.after(4.0, again)

        self.schedule.after(4.0, again)
        self.clock.pump([4.0] * 6)
        self.assertEqual([at for _, at in self.fired], [4.0, 8.0, 12.0, 16.0])

    def test_alarm_stays(self) -> None:
        """While another timer runs, the alarm of a queue without any stays, for the next one: it is not set again for
        each, and nothing fires too early."""
        self.after(5.0, "other")
        for _ in range(3):
            self.schedule.after(1.0, self.fail).cancel()
            self.clock.advance(0.25)
        self.assertEqual(self.waiting(), 2)
        self.after(1.0, "next")
        self.assertEqual(self.waiting(), 2)
        self.clock.pump([0.25] * 20)
        self.assertEqual(self.fired, [("next", 1.75), ("other", 5.0)])
        self.assertEqual(self.waiting(), 0)

    def test_alarm_for_nothing(self) -> None:
        """An alarm that finds no timer is not set again; the next timer sets it."""
        self.after(5.0, "other")
        self.schedule.after(1.0, self.fail).cancel()
        self.clock.advance(1.0)
        self.assertEqual(self.waiting(), 1)
        self.after(1.0, "next")
        self.clock.pump([0.5, 0.5])
        self.assertEqual(self.fired, [("next", 2.0)])

    def test_all_alarms_are_dropped(self) -> None:
        """Without any timer, of whatever delay, the clock is left alone: after a cancel, and after the last that
        fires."""
        first, second = (self.schedule.after(delay, self.fail) for delay in (1.0, 5.0))
        first.cancel()
        self.assertEqual((self.waiting(), self.schedule.running), (2, 1))
        second.cancel()
        self.assertEqual((self.waiting(), self.schedule.running), (0, 0))
        self.schedule.after(5.0, self.fail).cancel()
        self.schedule.after(3.0, self.fail).cancel()
        self.after(1.0, "last")
        self.schedule.after(7.0, self.fail).cancel()
        self.clock.advance(1.0)
        self.assertEqual((self.waiting(), self.schedule.running), (0, 0))

    def test_alarms_that_linger(self) -> None:
        """Where the alarms linger, the next timer finds that of one that was alone and was cancelled, and nothing fires
        too early; without a next one, the clock is left alone when the alarm was due."""
        self.schedule = Schedule(self.clock, lingers=True)
        for _ in range(3):
            self.schedule.after(1.0, self.fail).cancel()
            self.assertEqual((self.waiting(), self.schedule.running), (1, 0))
            self.clock.advance(0.25)
        self.after(1.0, "next")
        self.assertEqual(self.waiting(), 1)
        self.clock.pump([0.25] * 4)
        self.assertEqual((self.fired, self.waiting()), ([("next", 1.75)], 0))
        self.schedule.after(1.0, self.fail).cancel()
        self.clock.advance(1.0)
        self.assertEqual(self.waiting(), 0)
        self.schedule.after(1.0, self.fail).cancel()
        self.schedule.clear()
        self.assertEqual(self.waiting(), 0)

    def test_running(self) -> None:
        """How many wait is counted right through whatever happens to them; with a wrong count, timers would be dropped
        that still run, or alarms kept that nobody needs."""
        timers = [self.after(delay, "x") for delay in (1.0, 2.0, 1.0, 4.0)]
        self.assertEqual(self.schedule.running, 4)
        timers[1].cancel()
        timers[1].cancel()
        self.assertEqual(self.schedule.running, 3)
        self.clock.advance(1.0)
        self.assertEqual(self.schedule.running, 1)
        timers[0].cancel()
        self.assertEqual(self.schedule.running, 1)
        self.schedule.clear()
        timers[3].cancel()
        self.assertEqual((self.schedule.running, self.waiting()), (0, 0))

    def test_cancelled_inside(self) -> None:
        """A timer that is cancelled after others that run stays in its queue, but never fires; it is not counted."""
        self.after(1.0, "first")
        middle = self.schedule.after(1.0, self.fail)
        self.after(1.0, "last")
        middle.cancel()
        self.assertEqual(self.schedule.running, 2)
        self.clock.advance(1.0)
        self.assertEqual([name for name, _ in self.fired], ["first", "last"])
        self.assertEqual(self.schedule.running, 0)

    def test_cancels_itself_while_firing(self) -> None:
        """That changes nothing: it is done."""
        first = self.schedule.after(1.0, lambda: first.cancel())
        self.after(2.0, "other")
        self.clock.advance(1.0)
        self.assertEqual(self.schedule.running, 1)
        self.clock.advance(1.0)
        self.assertEqual(self.fired, [("other", 2.0)])

    def test_starts_another_delay_while_firing(self) -> None:
        """The last timer starts one in another queue, whose alarm was left over from a cancelled one."""
        self.after(5.0, "other")
        self.schedule.after(2.0, self.fail).cancel()
        self.schedule.after(1.0, lambda: self.after(2.0, "next") and None)
        self.clock.pump([1.0] * 5)
        self.assertEqual(self.fired, [("next", 3.0), ("other", 5.0)])
        self.assertEqual(self.waiting(), 0)

    def test_cancels_the_last_other_while_firing(self) -> None:
        """A timer cancels the only other one and starts the next of either delay: both fire."""

        def swap() -> None:
            other.cancel()
            self.after(1.0, "same")
            self.after(2.0, "else")

        self.schedule.after(1.0, swap)
        other = self.schedule.after(2.0, self.fail)
        self.clock.pump([0.5] * 8)
        self.assertEqual(self.fired, [("same", 2.0), ("else", 3.0)])
        self.assertEqual((self.waiting(), self.schedule.running), (0, 0))

    def test_cancels_another_while_firing(self) -> None:
        """One that is due may cancel the next that is due."""
        first = self.schedule.after(1.0, lambda: second.cancel())
        second = self.schedule.after(1.0, self.fail)
        self.clock.advance(1)
        self.assertIsNone(first.call)
        self.assertEqual(self.waiting(), 0)

    def test_failure(self) -> None:
        """An exception out of one is logged, and the others fire."""

        def fail() -> None:
            raise RuntimeError("broken")

        self.schedule.after(1.0, fail)
        self.after(1.0, "other")
        self.clock.advance(1)
        self.assertEqual([name for name, _ in self.fired], ["other"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_batched(self) -> None:
        """Under load, what falls due within a grain fires together: sweeps are bounded, whatever the rate."""
        for number in range(20):
            self.after(1.0, str(number))
            self.clock.advance(GRAIN / 10)
        self.clock.advance(1.0 - self.clock.seconds())
        self.assertEqual(len(self.fired), 1)
        self.clock.advance(GRAIN / 2)
        self.assertEqual(len(self.fired), 1)
        self.clock.advance(GRAIN * 0.55)
        self.assertEqual(len(self.fired), 11)
        self.clock.advance(GRAIN * 1.05)
        self.assertEqual(len(self.fired), 20)

    def test_clear(self) -> None:
        """Nothing fires any more."""
        self.schedule.after(1.0, self.fail)
        self.schedule.after(2.0, self.fail)
        self.schedule.clear()
        self.assertEqual(self.waiting(), 0)
        self.clock.advance(5)

    def test_clear_while_firing(self) -> None:
        """A timer that clears the schedule ends the others; those that start after it run as ever."""
        self.schedule.after(1.0, self.schedule.clear)
        self.schedule.after(1.0, self.fail)
        self.schedule.after(2.0, self.fail)
        self.clock.advance(1.0)
        self.assertEqual((self.waiting(), self.schedule.running), (0, 0))
        self.after(1.0, "kept")
        self.schedule.after(1.0, self.fail).cancel()
        self.schedule.after(3.0, self.fail).cancel()
        self.clock.pump([1.0] * 4)
        self.assertEqual(self.fired, [("kept", 2.0)])
        self.assertEqual((self.waiting(), self.schedule.running), (0, 0))

    def test_as_a_plain_clock(self) -> None:
        """Against a model, at random: each timer that is not cancelled fires once, not early, and at most a grain late;
        when all is over, no alarm is left."""
        chance = Random(7)
        due: dict[int, float] = {}
        timers: dict[int, Timer] = {}
        fired: dict[int, float] = {}

        def fire(number: int) -> None:
            fired[number] = self.clock.seconds()
            if chance.random() < 0.3:
                start()
            if chance.random() < 0.3:
                stop()

        def start() -> None:
            number, delay = len(timers), chance.choice((0.15, 0.5, 4.0))
            due[number] = self.clock.seconds() + delay
            timers[number] = self.schedule.after(delay, lambda: fire(number))

        def stop() -> None:
            waiting = [number for number in due if number not in fired]
            if waiting:
                number = chance.choice(waiting)
                timers[number].cancel()
                del due[number]

        for _ in range(2000):
            if chance.random() < 0.3:
                start()
            if chance.random() < 0.25:
                stop()
            self.assertEqual(self.schedule.running, len(due) - len(fired))
            self.clock.advance(GRAIN / 2)
        while self.schedule.running:
            self.clock.advance(GRAIN / 2)
        self.assertEqual(self.waiting(), 0)
        self.assertEqual(sorted(fired), sorted(due))
        for number, at in fired.items():
            self.assertTrue(-1e-5 < at - due[number] < 2 * GRAIN, at - due[number])
