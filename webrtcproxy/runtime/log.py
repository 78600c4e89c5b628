"""The log: filters, escapes and batches the events for the observers that twistd has set up."""

from __future__ import annotations

from contextlib import suppress

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    LogPublisher,
    formatEvent,
)
from zope.interface import implementer

from webrtcproxy.runtime.batching import Batcher, one_by_one
from webrtcproxy.runtime.internals import observers_of


@implementer(ILogObserver)
class EscapingObserver:
    """Escapes control characters, line ends and octets that are not text. A peer may send them in a Call-ID or a reason
    phrase; they would affect a terminal, or break the line.

    :param observer: gets the events.
    """

    def __init__(self, observer: ILogObserver) -> None:
        self._observer = observer

    def __call__(self, event: LogEvent) -> None:
        text = _text(event)
        if not text.isprintable():
            text = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
        # The text has no placeholders left: formatting it again costs the observers next to nothing.
        self._observer({**event, "log_format": text.replace("{", "{{").replace("}", "}}")})


def _text(event: LogEvent) -> str:
    """The text of an event. Events of this package have plain formats, which Python fills in at a tenth of the cost of
    Twisted's function."""
    if event.get("log_namespace", "").startswith("webrtcproxy."):
        with suppress(Exception):
            text: str = event["log_format"].format_map(event)
            return text
    return formatEvent(event)


@implementer(ILogObserver)
class BatchingObserver:
    """Passes events on at once while they are few, and in batches while they are many (`Batcher`). Warnings never wait,
    nor do the events before them.

    :param observer: gets the events.
    :param clock: for the moment that an event may wait.
    """

    def __init__(self, observer: ILogObserver, clock: IReactorTime) -> None:
        self._events: Batcher[LogEvent] = Batcher(clock, one_by_one(observer))

    def __call__(self, event: LogEvent) -> None:
        self._events.add(event)
        if event.get("log_level", LogLevel.error) > LogLevel.info:
            self._events.flush()

    def flush(self) -> None:
        """Pass on the waiting events, in order."""
        self._events.flush()


class LogFilter(Service):
    """While it runs, hides log events below a level from the observers that twistd has set up.

    The destination of the log is an option of twistd (``--logfile``, ``--syslog``, ``--logger``).

    :param level: the name of the lowest level that passes.
    :param publisher: the publisher of those observers.
    :param clock: for `BatchingObserver`.
    """

    def __init__(self, level: str, publisher: LogPublisher, clock: IReactorTime) -> None:
        self._clock = clock
        self._batching: list[BatchingObserver] = []
        self._passes = LogLevelFilterPredicate(LogLevel.levelWithName(level))
        self._publisher = publisher
        self._replaced: list[tuple[ILogObserver, ILogObserver]] = []

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        for observer in observers_of(self._publisher):
            batching = BatchingObserver(EscapingObserver(observer), self._clock)
            limited = FilteringLogObserver(batching, [self._passes])
            self._replace(observer, limited)
            self._batching.append(batching)
            self._replaced.append((observer, limited))

    def stopService(self) -> None:
        super().stopService()  # type: ignore[no-untyped-call]
        for batching in self._batching:
            batching.flush()
        self._batching.clear()
        while self._replaced:
            observer, limited = self._replaced.pop()
            self._replace(limited, observer)

    def _replace(self, old: ILogObserver, new: ILogObserver) -> None:
        self._publisher.removeObserver(old)
        self._publisher.addObserver(new)
