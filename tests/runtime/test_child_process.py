"""What all child processes have in common."""

from __future__ import annotations

from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime.child_process import MAX_BACKOFF, MAX_LINE, STABLE, Backoff, ChildProcess, with_death_signal


class Transport:
    """A process as the reactor shows it."""

    pid = 77

    def __init__(self) -> None:
        self.signals: list[str] = []
        self.over = False

    def signalProcess(self, name: str) -> None:
        if self.over:
            raise ProcessExitedAlready
        self.signals.append(name)


class ChildProcessTests(SynchronousTestCase):
    """One run of a program."""

    def setUp(self) -> None:
        self.lines: list[str] = []
        self.ends: list[Failure] = []
        self.child = ChildProcess(self.lines.append, self.ends.append)
        self.transport = Transport()
        self.child.makeConnection(self.transport)  # type: ignore[arg-type]

    def test_lines(self) -> None:
        """Whole lines of both streams, in whatever pieces they come; blank ones are left out."""
        self.child.childDataReceived(1, b"out\n\n  \n")
        self.child.childDataReceived(2, b"e")
        self.child.childDataReceived(2, b"rr\xff\r\nmore")
        self.assertEqual(self.lines, ["out", "err\ufffd"])

    def test_end(self) -> None:
        """Its end is reported once, after its last words, though they have no line end."""
        reason = Failure(ProcessDone(0))
        self.child.childDataReceived(2, b"last words")
        self.child._ended = lambda why: self.ends.append(why) or self.lines.append("end")  # type: ignore[func-returns-value]
        self.child.processEnded(reason)
        self.assertEqual((self.lines, self.ends), (["last words", "end"], [reason]))

    def test_bounds(self) -> None:
        """A line without end does not fill our memory."""
        for _ in range(10):
            self.child.childDataReceived(2, b"x" * MAX_LINE)
        self.assertEqual((self.lines, len(self.child._rest)), ([], MAX_LINE))
        self.child.childDataReceived(2, b"\n" + b"y" * 2 * MAX_LINE + b"\n")
        self.assertEqual([len(line) for line in self.lines], [MAX_LINE, MAX_LINE])

    def test_signal(self) -> None:
        """A signal reaches it; where it is gone and its end not yet reported, nothing happens."""
        self.child.signal("TERM")
        self.transport.over = True
        self.child.signal("KILL")
        self.assertEqual((self.transport.signals, self.child.pid), (["TERM"], 77))


class BackoffTests(SynchronousTestCase):
    """When a child is started again."""

    def test_doubled(self) -> None:
        """Each wait is twice the last one, up to a bound."""
        backoff = Backoff(Clock(), 2)
        self.assertEqual([backoff.ended() for _ in range(6)], [2, 4, 8, 16, MAX_BACKOFF, MAX_BACKOFF])

    def test_stable(self) -> None:
        """After a long life the wait is the first one; after a short one it is not."""
        clock = Clock()
        backoff = Backoff(clock, 2)
        waits = []
        for life in (0, STABLE - 1, STABLE):
            backoff.started()
            clock.advance(life)
            waits.append(backoff.ended())
        self.assertEqual(waits, [2, 4, 2])


class DeathSignalTests(SynchronousTestCase):
    """A child ends with this process."""

    def test_setpriv(self) -> None:
        """The kernel sends the signal, by way of setpriv."""
        command = with_death_signal(["prog", "-x"], "USR2", lambda program: f"/bin/{program}", "it")
        self.assertEqual(command, ["/bin/setpriv", "--pdeathsig", "USR2", "--", "prog", "-x"])

    def test_without(self) -> None:
        """Where there is no setpriv the command is as it was, and a line is logged."""
        with capturedLogs() as logs:
            self.assertEqual(with_death_signal(["prog"], "KILL", lambda program: None, "it"), ["prog"])
        self.assertEqual([line["name"] for line in logs], ["it"])
