"""Record: the one line that every call attempt leaves in the log."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.logger import Logger

log = Logger()


@dataclass(slots=True)
class Record:
    """What is told of a call when it is over. Times are seconds of the clock.

    :ivar call: Call-ID of the caller's leg, under which every other log line of this call stands.
    :ivar caller: URI of the From header.
    :ivar callee: the Request-URI.
    :ivar source: address of the caller.
    :ivar started: when the INVITE arrived.
    :ivar answered: when the 200 was passed on, or None.
    :ivar status: the final response that the caller got.
    :ivar ended: when it was over.
    :ivar ended_by: who or what ended it: caller, callee, cancel, no answer, refused, lost, unacknowledged, fault.
    """

    call: str
    caller: str
    callee: str
    source: str
    started: float
    answered: float | None = None
    status: int = 0
    ended_by: str = ""
    ended: float = 0.0

    def close(self, now: float) -> None:
        """Write the line. Its event has this record, for observers that want more than a text."""
        self.ended = now
        log.info("{record}", record=self, call=self.call)

    def __str__(self) -> str:
        answered = self.ended if self.answered is None else self.answered
        return (
            f"{self.call}: call over, {self.status} {self.ended_by or '-'}, {self.caller} -> {self.callee}"
            f" from {self.source}, set-up {answered - self.started:.3f} s, talk {self.ended - answered:.1f} s"
        )
