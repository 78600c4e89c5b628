"""The log of several processes: workers send their events to the hub, which logs them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

from webrtcproxy.runtime.batching import Batcher

DELAY = 0.05
"""Seconds for which events are collected before they are sent."""

MAX_EVENTS = 100
"""Collected events at which they are sent at once."""

MAX_EVENT = 8000
"""Characters of the text, and of the traceback, of an event; longer ones are cut at their beginning."""


@implementer(ILogObserver)
class LogForwarder:
    """The log observer of a worker: sends events in batches.

    :param clock: runs the delay.
    :param send: sends events, as JSON.
    """

    def __init__(self, clock: IReactorTime, send: Callable[[bytes], object]) -> None:
        self._send = send
        self._events: Batcher[dict[str, object]] = Batcher(
            clock, self._send_all, delay=DELAY, max_waiting=MAX_EVENTS, eager=False
        )

    def __call__(self, event: LogEvent) -> None:
        self._events.add(_plain(event))

    def flush(self) -> None:
        """Send the collected events."""
        self._events.flush()

    def _send_all(self, events: list[dict[str, object]]) -> None:
        self._send(json.dumps(events).encode())


def _plain(event: LogEvent) -> dict[str, object]:
    """An event as text only: no object that was logged leaves the process."""
    level = (event.get("log_level") or LogLevel.info).name
    namespace = event.get("log_namespace") or "-"
    failure = event.get("log_failure")
    return {
        "time": event.get("log_time", 0.0),
        "level": level,
        "namespace": namespace,
        "system": f"{namespace}#{level}" if "log_namespace" in event else "-",
        "text": formatEvent(event)[-MAX_EVENT:],
        "traceback": "" if failure is None else failure.getTraceback()[-MAX_EVENT:],
    }


class RemoteFailure:
    """Takes the place of a Failure of another process in a log event."""

    def __init__(self, traceback: str) -> None:
        self._traceback = traceback

    def getTraceback(self) -> str:
        """The traceback, as of a Failure."""
        return self._traceback


def events_of(worker: int, data: bytes) -> Iterator[LogEvent]:
    """The events from a `LogForwarder` for the hub's log, each with the number of its worker."""
    for sent in json.loads(data):
        event: dict[str, Any] = {
            "log_time": sent["time"],
            "log_level": LogLevel.levelWithName(sent["level"]),
            "log_namespace": sent["namespace"],
            "log_system": f"{sent['system']} worker {worker}",
            "log_format": "{text}",
            "text": sent["text"],
            "worker": worker,
        }
        if sent["traceback"]:
            event["log_failure"] = RemoteFailure(sent["traceback"])
        yield event
