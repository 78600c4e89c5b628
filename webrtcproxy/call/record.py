"""Record: the one line that every call attempt leaves in the log, and what is counted of it."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.logger import Logger

from webrtcproxy.metrics import CallMeter, call_result

log = Logger()


@dataclass(slots=True)
class Record:
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
        """Write the line. Its event has this record, for observers that want more than a text."""
        self.ended = now
        if self.answered is None:
            self.meter.results[call_result(self.status, self.ended_by)].add(1)
        else:
            self.meter.talk.add(now - self.answered)
        log.info("{record}", record=self, call=self.call)

    def __str__(self) -> str:
        answered = self.ended if self.answered is None else self.answered
        return (
            f"{self.call}: call over, {self.status} {self.ended_by or '-'}, {self.caller} -> {self.callee}"
            f" from {self.source}, set-up {answered - self.started:.3f} s, talk {self.ended - answered:.1f} s"
        )
