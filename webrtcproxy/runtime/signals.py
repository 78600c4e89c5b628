"""What the process does at SIGTERM, SIGINT and SIGHUP."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from twisted.application.service import Service
from twisted.internet.error import ReactorNotRunning
from twisted.logger import Logger

log = Logger()

STOPS = (signal.SIGTERM, signal.SIGINT)


@runtime_checkable
class Reloads(Protocol):
    """A service that has read files, such as certificates."""

    def reload(self) -> None:
        """Read them again. What can't be used is logged as an error, and what was read before stays."""


class Signals(Service):
    """SIGTERM or SIGINT ends the process in order, with exit code 0; each further one ends at once what the end waits
    for. SIGHUP reads files again, and ends nothing.

    Twisted itself would end by the signal, so that the exit code is not 0, and raise an exception at the second one.

    :param reactor: the only one.
    :param hurry: called at each further signal.
    :param reload: called at SIGHUP.
    """

    def __init__(self, reactor: Any, hurry: Callable[[], None], reload: Callable[[], None]) -> None:
        self._reactor = reactor
        self._hurry = hurry
        self._reload = reload
        self._stopping = False

    def startService(self) -> None:
        """Take SIGHUP from now on, which would end the process; the others as soon as Twisted has set its handlers."""
        super().startService()  # type: ignore[no-untyped-call]
        signal.signal(signal.SIGHUP, self._signalled)
        self._reactor.callWhenRunning(self._take_over)

    def _take_over(self) -> None:
        for number in STOPS:
            # Those of a debugger, or of a shell that has put us into the background, stay.
            if signal.getsignal(number) in (self._reactor.sigTerm, self._reactor.sigInt):
                signal.signal(number, self._signalled)

    def _signalled(self, number: int, frame: object) -> None:
        """A signal: the rest is done in the next turn of the reactor."""
        self._reactor.callFromThread(self._act, signal.Signals(number))

    def _act(self, number: signal.Signals) -> None:
        if number is signal.SIGHUP:
            log.info("SIGHUP: files are read again")
            self._reload()
        elif self._stopping:
            log.info("{name} once more: nothing is waited for any longer", name=number.name)
            self._hurry()
        else:
            log.info("{name}: ending", name=number.name)
            self._stopping = True
            try:
                self._reactor.stop()
            except ReactorNotRunning:  # it is ending for another reason
                self._hurry()
