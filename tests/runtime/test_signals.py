"""SIGTERM, SIGINT and SIGHUP, as the process gets them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from twisted.internet.error import ReactorNotRunning
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime.signals import STOPS, Signals


class _Reactor:
    """Has Twisted's handlers for signals; it calls what it is given when the test says so."""

    def __init__(self, did: list[str]) -> None:
        self._did = did
        self.starting: list[Callable[[], object]] = []
        self.turn: list[Callable[[], object]] = []
        self.ends = False

    def callWhenRunning(self, call: Callable[[], object]) -> None:
        self.starting.append(call)

    def callFromThread(self, call: Callable[..., object], *args: object) -> None:
        self.turn.append(lambda: call(*args))

    def sigTerm(self, number: int, frame: object) -> None:
        self._did.append("Twisted's SIGTERM")

    def sigInt(self, number: int, frame: object) -> None:
        self._did.append("Twisted's SIGINT")

    def stop(self) -> None:
        if self.ends:
            raise ReactorNotRunning
        self._did.append("stop")


class SignalsTests(SynchronousTestCase):
    """`Signals`."""

    def setUp(self) -> None:
        for number in (*STOPS, signal.SIGHUP):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.did: list[str] = []
        self.reactor = _Reactor(self.did)
        signals = Signals(self.reactor, lambda: self.did.append("hurry"), lambda: self.did.append("reload"))
        signals.startService()
        signal.signal(signal.SIGTERM, self.reactor.sigTerm)
        signal.signal(signal.SIGINT, self.reactor.sigInt)

    def run_reactor(self) -> None:
        """The reactor runs, and has installed its handlers."""
        (start,) = self.reactor.starting
        start()

    def send(self, *numbers: int) -> list[str]:
        """What these signals do, once the reactor takes its turn."""
        for number in numbers:
            os.kill(os.getpid(), number)
        self.assertEqual(self.did, [])
        turn, self.reactor.turn = self.reactor.turn, []
        for call in turn:
            call()
        did = list(self.did)
        self.did.clear()
        return did

    def test_stop(self) -> None:
        """The first one stops the reactor, each further one hurries; nothing is left of Twisted's handlers, which would
        end the process by the signal."""
        self.run_reactor()
        self.assertEqual(self.send(signal.SIGTERM), ["stop"])
        self.assertEqual(self.send(signal.SIGTERM, signal.SIGINT), ["hurry", "hurry"])

    def test_interrupted(self) -> None:
        """So it is with Ctrl-C, and with both in one moment."""
        self.run_reactor()
        self.assertEqual(self.send(signal.SIGINT, signal.SIGTERM), ["stop", "hurry"])

    def test_ends_already(self) -> None:
        """Where it ends for another reason, the first one hurries."""
        self.run_reactor()
        self.reactor.ends = True
        self.assertEqual(self.send(signal.SIGTERM), ["hurry"])

    def test_hangup(self) -> None:
        """SIGHUP reads files again, as often as it comes, also before the reactor runs and while it stops."""
        self.assertEqual(self.send(signal.SIGHUP), ["reload"])
        self.run_reactor()
        self.assertEqual(self.send(signal.SIGHUP, signal.SIGTERM, signal.SIGHUP), ["reload", "stop", "reload"])

    def test_of_others(self) -> None:
        """The handler of a debugger stays, and Ctrl-C stays ignored by what a shell runs in the background."""
        for handler in (signal.SIG_IGN, lambda *_: None):
            signal.signal(signal.SIGINT, handler)
            self.run_reactor()
            self.assertIs(signal.getsignal(signal.SIGINT), handler)
