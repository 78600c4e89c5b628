"""The log of several processes: workers send their events to the hub, whose log has all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

from webrtcproxy.runtime.batching import Batcher

DELAY = 0.05
"""Seconds for which events are collected."""

MAX_EVENTS = 100
"""Events that are sent at once at the latest."""

MAX_EVENT = 8000
"""Characters of the text, and of the traceback, of an event; of what is longer the end is shown."""


@implementer(ILogObserver)
class LogForwarder:
    """The observer of a worker: sends events, several at once.

    :param clock: runs the delay.
    :param send: takes some events as JSON.
    """

    def __init__(self, clock: IReactorTime, send: Callable[[bytes], object]) -> None:
        self._send = send
        self._events: Batcher[dict[str, object]] = Batcher(
            clock, self._send_all, delay=DELAY, max_waiting=MAX_EVENTS, eager=False
        )

    def __call__(self, event: LogEvent) -> None:
        self._events.add(_plain(event))

    def flush(self) -> None:
        """Send what was collected."""
        self._events.flush()

    def _send_all(self, events: list[dict[str, object]]) -> None:
        self._send(json.dumps(events).encode())


def _plain(event: LogEvent) -> dict[str, object]:
    """An event as text: nothing of what was logged but its words leaves the process."""
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
    """Stands for a Failure of another process in a log event."""

    def __init__(self, traceback: str) -> None:
        self._traceback = traceback

    def getTraceback(self) -> str:
        """As a Failure has it."""
        return self._traceback


def events_of(worker: int, data: bytes) -> Iterator[LogEvent]:
    """The events that a `LogForwarder` has sent, as the hub's log takes them; each with the number of its worker."""
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
