"""Child processes: their output, signals, the delay of a restart, and their end with this process."""

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
"""The longest delay between the end of a child and its next start, in seconds."""
STABLE = 60.0
"""Seconds of life after which the delay of the next start is reset."""


class SecondsClock(Protocol):
    """The part of `IReactorTime` that this module uses."""

    def seconds(self) -> float:
        """The time."""


class ChildProcess(ProcessProtocol):
    """One run of a program.

    :param line: called with each line that it prints on either stream, except blank ones; invalid octets are replaced.
    :param ended: called with the reason when it has ended, and after all of its output.
    """

    def __init__(self, line: Callable[[str], object], ended: Callable[[Failure], object]) -> None:
        self._line = line
        self._ended = ended
        self._rest = b""

    @property
    def pid(self) -> int:
        """The process id."""
        pid: int = self.transport.pid  # type: ignore[union-attr]
        return pid

    def signal(self, name: str) -> None:
        """Send a signal, ``TERM`` or ``KILL``; no effect if the process has ended."""
        with suppress(ProcessExitedAlready):  # its end will be reported soon
            self.transport.signalProcess(name)  # type: ignore[union-attr]

    def outReceived(self, data: bytes) -> None:
        """It has printed on standard output."""
        self.errReceived(data)

    def errReceived(self, data: bytes) -> None:
        """It has printed on standard error."""
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)
        self._rest = rest[:MAX_LINE]

    def processEnded(self, reason: Failure) -> None:
        """It has ended, and all of its output is read."""
        self._take(self._rest)
        self._ended(reason)

    def _take(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()[:MAX_LINE]
        if text:
            self._line(text)


class Backoff:
    """The delay before a child is restarted: doubled each time, up to `MAX_BACKOFF`; reset after `STABLE` seconds.

    :param clock: measures the life of the child.
    :param first: the first delay, in seconds.
    """

    def __init__(self, clock: SecondsClock, first: float) -> None:
        self._clock = clock
        self._first = first
        self._next = first
        self._started = clock.seconds()

    def started(self) -> None:
        """A child was started."""
        self._started = self._clock.seconds()

    def ended(self) -> float:
        """A child has ended.

        :returns: seconds until the next start.
        """
        if self._clock.seconds() - self._started >= STABLE:
            self._next = self._first
        delay, self._next = self._next, min(self._next * 2, MAX_BACKOFF)
        return delay


def with_death_signal(
    command: Sequence[str], signal: str, find: Callable[[str], str | None], name: str
) -> list[str]:  # fmt: skip
    """A command whose process gets a signal from the kernel when this process ends for any reason.

    It uses ``setpriv --pdeathsig`` (util-linux, on every Debian). `spawnProcess` has no equivalent of Python's
    ``preexec_fn``, and a pipe that closes with this process would not end a child that does not read it.

    :param signal: ``KILL``, ``USR2``.
    :param find: returns the path of a program, or None.
    :param name: of the child, for the log.
    :returns: the command, unchanged if there is no setpriv.
    """
    setpriv = find("setpriv")
    if setpriv is None:
        log.warn(
            "there is no setpriv (Debian: util-linux): {name} would outlive the proxy if that were killed", name=name
        )
        return list(command)
    return [setpriv, "--pdeathsig", signal, "--", *command]
