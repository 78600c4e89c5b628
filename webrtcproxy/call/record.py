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

    def close(self, now: float) -> None:
        """Write the line."""
        talked = 0.0 if self.answered is None else now - self.answered
        log.info(
            "{call}: call over, {status} {ended_by}, {caller} -> {callee} from {source},"
            " set-up {setup:.3f} s, talk {talk:.1f} s",
            call=self.call,
            status=self.status,
            ended_by=self.ended_by or "-",
            caller=self.caller,
            callee=self.callee,
            source=self.source,
            setup=(now if self.answered is None else self.answered) - self.started,
            talk=talked,
        )
