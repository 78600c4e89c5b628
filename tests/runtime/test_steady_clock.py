"""The clock of the reactor: not the time of day."""

from __future__ import annotations

import time

from twisted.internet.base import ReactorBase
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime import steady_clock
from webrtcproxy.runtime.shortcut import Shortcut
from webrtcproxy.runtime.steady_clock import COST, use_steady_clock


class _Reactor(ReactorBase):
    """A reactor without sockets."""

    def installWaker(self) -> None:
        """None is needed."""


class _Stubborn(_Reactor):
    """One that asks for the time of day itself."""

    def callLater(self, delay: float, callable: object, *args: object, **kw: object) -> object:  # type: ignore[override]
        call = super().callLater(delay, callable, *args, **kw)  # type: ignore[arg-type]
        call.time = time.time() + delay
        return call


class SteadyClockTests(SynchronousTestCase):
    """`use_steady_clock`."""

    def setUp(self) -> None:
        self.now = 100.0
        self.called: list[str] = []
        self.warned: list[str] = []
        globalLogPublisher.addObserver(self.keep)
        self.addCleanup(globalLogPublisher.removeObserver, self.keep)

    def keep(self, event: dict[str, object]) -> None:
        if event.get("log_level") is LogLevel.warn:
            self.warned.append(formatEvent(event))

    def clock(self) -> float:
        return self.now

    def test_timers(self) -> None:
        """What is set from then on is due by that clock, and by no other."""
        reactor = _Reactor()
        self.assertTrue(use_steady_clock(reactor, self.clock))
        self.assertEqual(reactor.seconds(), 100.0)
        reactor.callLater(10, self.called.append, "ten")
        reactor.runUntilCurrent()
        self.assertEqual(reactor.timeout(), 10.0)
        self.now = 109.9
        reactor.runUntilCurrent()
        self.assertEqual(self.called, [])
        self.now = 110.0
        reactor.runUntilCurrent()
        self.assertEqual(self.called, ["ten"])
        self.assertEqual(self.warned, [])

    def test_what_waits_already(self) -> None:
        """Timers that were set before keep their delay, and can be reset."""
        reactor = _Reactor()
        first, second = reactor.callLater(10, self.called.append, "first"), reactor.callLater(5, self.fail)
        use_steady_clock(reactor, self.clock)
        self.assertAlmostEqual(first.getTime(), 110.0, places=1)
        second.reset(20)
        self.assertAlmostEqual(second.getTime(), 120.0, places=3)
        self.now = 111.0
        reactor.runUntilCurrent()
        self.assertEqual(self.called, ["first"])

    def test_no_timer_of_its_own_is_left(self) -> None:
        """The reactor has what it had."""
        reactor = _Reactor()
        use_steady_clock(reactor, self.clock)
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_twice_is_once(self) -> None:
        """A service that is made twice in a process changes nothing the second time."""
        reactor = _Reactor()
        use_steady_clock(reactor, self.clock)
        call = reactor.callLater(10, self.fail)
        self.assertTrue(use_steady_clock(reactor, self.clock))
        self.assertEqual(call.getTime(), 110.0)

    def test_machine(self) -> None:
        """Without another it is that of the machine, which counts suspensions where the system has such a clock."""
        clock = steady_clock.steady_clock()
        expected = time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
        self.assertTrue(abs(clock() - expected) < 1.0)

    def test_system_without(self) -> None:
        """A system without CLOCK_BOOTTIME has one that is monotonic."""
        if hasattr(time, "CLOCK_BOOTTIME"):
            boot = time.CLOCK_BOOTTIME
            del time.CLOCK_BOOTTIME
            self.addCleanup(setattr, time, "CLOCK_BOOTTIME", boot)
        self.assertIs(steady_clock.steady_clock(), time.monotonic)

    def test_other_version(self) -> None:
        """A Twisted without these names keeps its own clock, and one line says so."""
        lacking = Shortcut(ReactorBase, ("other",), {}, COST)
        self.assertFalse(lacking.usable())
        self.patch(steady_clock, "HAS_CLOCK", False)
        reactor = _Reactor()
        self.assertFalse(use_steady_clock(reactor, self.clock))
        self.assertTrue(abs(reactor.seconds() - time.time()) < 1.0)
        self.assertEqual(len(self.warned), 1)
        self.assertIn(COST, self.warned[0])

    def test_other_reactor(self) -> None:
        """A reactor that is none of Twisted's, or that asks elsewhere, keeps its clock, and one line says the cost."""
        for reactor in (MemoryReactorClock(), _Stubborn()):
            self.assertFalse(use_steady_clock(reactor, self.clock))
            (line,) = self.warned
            self.assertIn(COST, line)
            self.assertNotEqual(reactor.seconds(), self.now)
            self.warned.clear()
