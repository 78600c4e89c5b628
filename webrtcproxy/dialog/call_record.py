"""Record: the one line that every call attempt leaves in the log, and what is counted of it; and who writes them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from twisted.logger import Logger, LogLevel

from webrtcproxy.runtime.batching import Batcher
from webrtcproxy.runtime.metrics import CallMeter, call_result
from webrtcproxy.runtime.schedule import Clock

log = Logger()


@dataclass(slots=True)
class CallRecord:
    """What is told of a call when it is over. Times are seconds of the clock.

    :ivar meter: counts the calls of this direction.
    :ivar call: Call-ID of the caller's leg, under which every other log line of this call stands.
    :ivar caller: URI of the From header.
    :ivar callee: the Request-URI.
    :ivar source: address of the caller.
    :ivar started: when the INVITE arrived.
    :ivar progressed: when the first 18x was passed on, or None.
    :ivar answered: when the 200 was passed on, or None.
    :ivar status: the final response that the caller got.
    :ivar ended: when it was over.
    :ivar ended_by: who or what ended it: caller, callee, cancel, no answer, refused,
        media, lost, unacknowledged, expired, shutdown, transferred, transfer failed.
    """

    meter: CallMeter
    call: str
    caller: str
    callee: str
    source: str
    started: float
    progressed: float | None = None
    answered: float | None = None
    status: int = 0
    ended_by: str = ""
    ended: float = 0.0

    def progress(self, now: float) -> None:
        """An 18x is passed on."""
        if self.progressed is None:
            self.progressed = now
            self.meter.progress.add(now - self.started)

    def answer(self, status: int, now: float) -> None:
        """The 2xx is passed on."""
        self.status, self.answered = status, now
        self.meter.set_up.add(now - self.started)
        self.meter.results["answered"].add(1)

    def close(self, now: float) -> None:
        """The call is over: count its result or its talk.

        :param now: the time, by the clock that it began by.
        """
        self.ended = now
        if self.answered is None:
            self.meter.results[call_result(self.status, self.ended_by)].add(1)
        else:
            self.meter.talk.add(now - self.answered)

    def __str__(self) -> str:
        answered = self.ended if self.answered is None else self.answered
        return (
            f"{self.call}: call over, {self.status} {self.ended_by or '-'}, {self.caller} -> {self.callee}"
            f" from {self.source}, set-up {answered - self.started:.3f} s, talk {self.ended - answered:.1f} s"
        )


class CdrWriter:
    """Writes the records of calls that are over, a moment later where many end: nobody waits for the line. It has the
    time at which the call was over, and may stand behind lines of after that.

    :param clock: tells when a call is over, and that moment.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: Batcher[CallRecord] = Batcher(clock, self._write)

    def close(self, record: CallRecord) -> None:
        """The call of `record` is over now."""
        record.close(self._clock.seconds())
        self._records.add(record)

    def hand_over(self) -> None:
        """Write what waits, since the log ends."""
        self._records.hand_over()

    def _write(self, record: CallRecord) -> None:
        """Write the line. Its event has the record, for observers that want more than a text. It is made here, since a
        Logger's own have the time at which they are written."""
        log.observer({
            "log_logger": log,
            "log_level": LogLevel.info,
            "log_namespace": log.namespace,
            "log_source": None,
            "log_format": "{record}",
            "log_time": time.time() - (self._clock.seconds() - record.ended),
            "record": record,
            "call": record.call,
        })  # fmt: skip
