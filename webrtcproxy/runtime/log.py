"""The log: filters, limits, escapes and batches the events for the observers that twistd has set up."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar, Final

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
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
from webrtcproxy.runtime.internals import HAS_LOG, observers_of

LONGEST_LINE: Final = 1000
"""Characters of a log line, and of a line of a traceback. What is longer has a Call-ID or URI of thousands, which a
peer may send many times in a second; the middle is left out."""


@implementer(ILogObserver)
class EscapingObserver:
    """Escapes control characters, line ends and octets that are not text, and shortens long lines. A peer may send them
    in a Call-ID or a reason phrase; they would affect a terminal, break the line, or fill the disk.

    :param observer: gets the events.
    """

    def __init__(self, observer: ILogObserver) -> None:
        self._observer = observer

    def __call__(self, event: LogEvent) -> None:
        self._observer({**event, **_escaped_fields(event)})


@implementer(ILogObserver)
class EscapeInPlace:
    """The same for a log whose observers can't be replaced (`internals.LOG`): changes the events themselves. Added to
    the publisher before them, it gets each event first."""

    def __call__(self, event: LogEvent) -> None:
        event.update(_escaped_fields(event))


class EscapedFailure:
    """Takes the place of a Failure whose traceback has control characters, or long lines: those of an exception's text,
    which may be a peer's.

    :param traceback: as of the Failure.
    """

    def __init__(self, traceback: str) -> None:
        self._traceback = "\n".join(_written(line) for line in traceback.split("\n"))

    def getTraceback(self) -> str:
        """The traceback, line by line as that of the Failure."""
        return self._traceback


def escape_first(publisher: LogPublisher) -> None:
    """Have everything that is logged escaped where `LogFilter` can't do it; else do nothing. Must be called before
    twistd adds its observers, as when it makes the service.

    :param publisher: the publisher of those observers.
    """
    if not HAS_LOG:
        publisher.addObserver(EscapeInPlace())


def _written(text: str) -> str:
    """A text as one line of the log."""
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
    return text if len(text) <= LONGEST_LINE else f"{text[: LONGEST_LINE // 2]} ... {text[5 - LONGEST_LINE // 2 :]}"


def _is_written(text: str) -> bool:
    return text.isprintable() and len(text) <= LONGEST_LINE


def _escaped_fields(event: LogEvent) -> LogEvent:
    """The fields of an event that observers write, without control characters and long lines."""
    # The text has no placeholders left: formatting it again costs the observers next to nothing.
    fields: LogEvent = {"log_format": _written(_text(event)).replace("{", "{{").replace("}", "}}")}
    failure = event.get("log_failure")
    if failure is not None:
        traceback = failure.getTraceback()
        if not all(map(_is_written, traceback.split("\n"))):
            fields["log_failure"] = EscapedFailure(traceback)
    return fields


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


@dataclass(slots=True)
class _Repeats:
    """The failures of one kind within one period, and the first one as an event without its failure, which would keep
    all that its traceback refers to."""

    seen: int
    sample: LogEvent
    period: IDelayedCall


@implementer(ILogObserver)
class FailureLimit:
    """Passes on the first failures of a kind, and then only tells how many there were: whatever a peer may send, it
    can't have a traceback written for each datagram or frame. All other events pass.

    Failures are of one kind if they come from the same line of the program and have the same exception.

    :param observer: gets the events.
    :param clock: for the period.
    """

    AT_ONCE: ClassVar[int] = 5
    """Failures of one kind that pass within a period."""
    PERIOD: ClassVar[float] = 60.0
    """Seconds until failures of this kind pass again."""
    KINDS: ClassVar[int] = 256
    """Kinds that are distinguished in one period; failures of further ones are dropped."""

    def __init__(self, observer: ILogObserver, clock: IReactorTime) -> None:
        self._observer = observer
        self._clock = clock
        self._kinds: dict[tuple[object, ...], _Repeats] = {}

    def __call__(self, event: LogEvent) -> None:
        failure = event.get("log_failure")
        if failure is None or self._admits(event, failure):
            self._observer(event)

    def _admits(self, event: LogEvent, failure: object) -> bool:
        kind = event.get("log_namespace"), event.get("log_format"), event.get("worker"), _type_of(failure)
        repeats = self._kinds.get(kind)
        if repeats is None:
            if len(self._kinds) >= self.KINDS:
                return False
            period = self._clock.callLater(self.PERIOD, self._end, kind)
            sample = {key: event[key] for key in _PLAIN if key in event}
            repeats = self._kinds[kind] = _Repeats(0, {**sample, "text": _text(event)}, period)
        repeats.seen += 1
        return repeats.seen <= self.AT_ONCE

    def _end(self, kind: tuple[object, ...]) -> None:
        """A period is over."""
        repeats = self._kinds.pop(kind)
        more = repeats.seen - self.AT_ONCE
        if more > 0:
            text = f"{more} more of these within {self.PERIOD:.0f} seconds: {repeats.sample['text']}"
            self._observer({**repeats.sample, "log_format": "{text}", "text": text, "log_time": time.time()})

    def flush(self) -> None:
        """Tell what has not passed yet."""
        for kind in list(self._kinds):
            self._kinds[kind].period.cancel()
            self._end(kind)


_PLAIN: Final = frozenset(("log_level", "log_namespace", "log_system"))
"""What the event that counts others has of them."""


def _type_of(failure: object) -> object:
    """The exception of a failure; None for one of another process, of which there is the text alone."""
    return getattr(failure, "type", None)


class LogFilter(Service):
    """While it runs, hides log events below a level from the observers that twistd has set up, and failures that repeat
    (`FailureLimit`).

    The destination of the log is an option of twistd (``--logfile``, ``--syslog``, ``--logger``).

    :param level: the name of the lowest level that passes.
    :param publisher: the publisher of those observers.
    :param clock: for `BatchingObserver` and `FailureLimit`.
    """

    def __init__(self, level: str, publisher: LogPublisher, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: list[FailureLimit | BatchingObserver] = []
        self._passes = LogLevelFilterPredicate(LogLevel.levelWithName(level))
        self._publisher = publisher
        self._replaced: list[tuple[ILogObserver, ILogObserver]] = []

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        for observer in observers_of(self._publisher):
            batching = BatchingObserver(EscapingObserver(observer), self._clock)
            failures = FailureLimit(batching, self._clock)
            limited = FilteringLogObserver(failures, [self._passes])
            self._replace(observer, limited)
            self._waiting += [failures, batching]
            self._replaced.append((observer, limited))

    def stopService(self) -> None:
        super().stopService()  # type: ignore[no-untyped-call]
        for observer in self._waiting:
            observer.flush()
        self._waiting.clear()
        while self._replaced:
            replaced, limited = self._replaced.pop()
            self._replace(limited, replaced)

    def _replace(self, old: ILogObserver, new: ILogObserver) -> None:
        self._publisher.removeObserver(old)
        self._publisher.addObserver(new)
