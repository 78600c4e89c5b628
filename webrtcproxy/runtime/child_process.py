"""Child processes: what they print, how they are signalled, when they start again, and that they end with this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

log = Logger()

MAX_LINE = 8192
"""Characters of a line that a child prints; the rest is cut off."""
MAX_BACKOFF = 30.0
"""Seconds between the end of a child and its next start, at most."""
STABLE = 60.0
"""Seconds of life after which the next start waits as little as the first time."""


class SecondsClock(Protocol):
    """The part of `IReactorTime` that is needed here."""

    def seconds(self) -> float:
        """The time."""


class ChildProcess(ProcessProtocol):
    """One run of a program.

    :param line: takes each line that it prints, on either stream, without blank ones; odd octets are replaced.
    :param ended: called with the reason when it is gone, and all that it printed has been taken.
    """

    def __init__(self, line: Callable[[str], object], ended: Callable[[Failure], object]) -> None:
        self._line = line
        self._ended = ended
        self._rest = b""

    @property
    def pid(self) -> int:
        """Its process id."""
        pid: int = self.transport.pid  # type: ignore[union-attr]
        return pid

    def signal(self, name: str) -> None:
        """Send it a signal, ``TERM`` or ``KILL``; nothing where it is gone already."""
        with suppress(ProcessExitedAlready):  # its end is about to be reported
            self.transport.signalProcess(name)  # type: ignore[union-attr]

    def outReceived(self, data: bytes) -> None:
        """Part of what it prints on standard output."""
        self.errReceived(data)

    def errReceived(self, data: bytes) -> None:
        """Part of what it prints on standard error."""
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)
        self._rest = rest[:MAX_LINE]

    def processEnded(self, reason: Failure) -> None:
        """It is gone, and all that it printed is read."""
        self._take(self._rest)
        self._ended(reason)

    def _take(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()[:MAX_LINE]
        if text:
            self._line(text)


class Backoff:
    """How long to wait before a child is started again: twice as long each time, up to `MAX_BACKOFF`, and as little as
    the first time after `STABLE` seconds of life.

    :param clock: tells the time.
    :param first: seconds of the first wait.
    """

    def __init__(self, clock: SecondsClock, first: float) -> None:
        self._clock = clock
        self._first = first
        self._next = first
        self._started = clock.seconds()

    def started(self) -> None:
        """A child is started now."""
        self._started = self._clock.seconds()

    def ended(self) -> float:
        """A child has ended now.

        :returns: seconds until the next start.
        """
        if self._clock.seconds() - self._started >= STABLE:
            self._next = self._first
        delay, self._next = self._next, min(self._next * 2, MAX_BACKOFF)
        return delay


def with_death_signal(
    command: Sequence[str], signal: str, find: Callable[[str], str | None], name: str
) -> list[str]:  # fmt: skip
    """A command whose process gets a signal from the kernel when this process ends, whatever it dies of.

    ``setpriv --pdeathsig`` does it (util-linux, on every Debian). Python's way, ``preexec_fn``, is not there in
    `spawnProcess`, and a pipe that closes with this process is of no use for a child that does not read it.

    :param signal: ``KILL``, ``USR2``.
    :param find: gives the path of a program, or None.
    :param name: of the child, for the log.
    :returns: the command as it is where there is no setpriv.
    """
    setpriv = find("setpriv")
    if setpriv is None:
        log.warn("there is no setpriv (Debian: util-linux): {name} would outlive us if we were killed", name=name)
        return list(command)
    return [setpriv, "--pdeathsig", signal, "--", *command]
