"""Call detail records: every call writes one line to the log when it ends, and is counted in the metrics. Every
attempt, refused ones too, has its line in the file of `[records]` (`webrtcproxy.dialog.record_file`)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from twisted.logger import Logger, LogLevel

from webrtcproxy.runtime.batching import Batcher, one_by_one
from webrtcproxy.runtime.metrics import CallMeter, CallResult
from webrtcproxy.runtime.schedule import Clock

log = Logger()


class EndedBy(StrEnum):
    """Who or what ended a call, as its record says."""

    CALLER = "caller"
    """The caller hung up."""
    CALLEE = "callee"
    """The callee hung up."""
    CANCEL = "cancel"
    """The caller's CANCEL."""
    NO_ANSWER = "no answer"
    """It rang for the longest permitted time."""
    REFUSED = "refused"
    """A final response refused it: of the callee's side, or of the proxy."""
    MEDIA = "media"
    """rtpengine could not set up the media session, or has given it up."""
    LOST = "lost"
    """A browser lost its connection and did not reconnect in time."""
    UNACKNOWLEDGED = "unacknowledged"
    """No ACK for a 2xx, or no PRACK for a reliable response."""
    EXPIRED = "expired"
    """The session was not refreshed in time."""
    LIMIT = "limit"
    """Its time was used up: the minutes of a day, or what the access policy has permitted."""
    SHUTDOWN = "shutdown"
    """The proxy stopped."""
    TRANSFERRED = "transferred"
    """A transfer has replaced it."""
    TRANSFER_FAILED = "transfer failed"
    """The transferor had hung up, and then the transfer failed."""


_RESULTS: dict[EndedBy, CallResult | None] = {
    EndedBy.CALLER: "cancelled",
    EndedBy.CALLEE: None,
    EndedBy.CANCEL: "cancelled",
    EndedBy.NO_ANSWER: None,
    EndedBy.REFUSED: None,
    EndedBy.MEDIA: "media",
    EndedBy.LOST: "lost",
    EndedBy.UNACKNOWLEDGED: None,
    EndedBy.EXPIRED: None,
    EndedBy.LIMIT: None,
    EndedBy.SHUTDOWN: "shutdown",
    EndedBy.TRANSFERRED: None,
    EndedBy.TRANSFER_FAILED: None,
}
"""The result of a call without a 2xx; None where it follows from the status."""

_RESULTS_BY_STATUS: dict[int, CallResult] = {
    401: "challenged", 403: "rejected", 404: "not_found", 407: "challenged", 408: "no_answer", 410: "not_found",
    480: "no_answer", 484: "not_found", 485: "not_found", 486: "busy", 487: "no_answer", 600: "busy", 604: "not_found",
}  # fmt: skip


def call_result(status: int, ended_by: EndedBy | None) -> CallResult:
    """The result, for the metrics, of a call without a 2xx.

    :param status: the final response that the caller got; 0 for none.
    """
    found = (None if ended_by is None else _RESULTS[ended_by]) or _RESULTS_BY_STATUS.get(status)
    if found is None:
        found = "rejected" if 300 <= status < 500 or status >= 600 else "failed"
    return found


@dataclass(slots=True)
class CallRecord:
    """The data of one call for the log and the metrics. Times are seconds of the clock.

    :ivar meter: counts the calls of this direction, and names it.
    :ivar call: Call-ID of the caller's leg, with which all log lines of the call begin.
    :ivar caller: URI of the From header.
    :ivar callee: the Request-URI.
    :ivar source: address of the caller.
    :ivar started: when the INVITE arrived.
    :ivar progressed: when the first 18x was relayed, or None.
    :ivar answered: when the 2xx was relayed, or None.
    :ivar status: the final response that the caller got.
    :ivar ended: when it ended.
    :ivar ended_by: who or what ended it; None before that.
    :ivar reason: the reason phrase of that final response; empty where it is the standard one.
    :ivar callee_call: Call-ID of the callee's leg, or of the INVITE that was sent last; empty where none was sent.
    :ivar user: the proven address-of-record of a browser that calls; empty where it has proven none.
    :ivar trunk: the trunk that the call comes from, or goes to; empty where there is none.
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
    ended_by: EndedBy | None = None
    ended: float = 0.0
    reason: str = ""
    callee_call: str = ""
    user: str = ""
    trunk: str = ""

    def progress(self, now: float) -> None:
        """An 18x is relayed."""
        if self.progressed is None:
            self.progressed = now
            self.meter.progress.observe(now - self.started)

    def answer(self, status: int, now: float, reason: str = "") -> None:
        """The 2xx is relayed."""
        self.status, self.answered, self.reason = status, now, reason
        self.meter.set_up.observe(now - self.started)
        self.meter.results["answered"].inc()

    def close(self, now: float) -> None:
        """The call has ended: count its result or its duration.

        :param now: the time by the clock of `started`.
        """
        self.ended = now
        if self.answered is None:
            self.meter.results[call_result(self.status, self.ended_by)].inc()
        else:
            self.meter.talk.observe(now - self.answered)

    def __str__(self) -> str:
        answered = self.ended if self.answered is None else self.answered
        return (
            f"{self.call}: call over, {self.status} {self.ended_by or '-'}, {self.caller} -> {self.callee}"
            f" from {self.source}, set-up {answered - self.started:.3f} s, talk {self.ended - answered:.1f} s"
        )


class RecordSink(Protocol):
    """Takes records that are complete."""

    def add(self, record: CallRecord) -> None:
        """A call or an attempt has ended."""

    def stop(self) -> None:
        """Write all that waits: the process is about to end."""


class CdrWriter:
    """Writes the records of ended calls, with a short delay where many end at once. A line has the time at which its
    call ended, and may follow lines with a later time.

    :param clock: for the time at which a call ends, and for the delay.
    :param sink: gets each record, too; None where there is no file of records.
    """

    def __init__(self, clock: Clock, sink: RecordSink | None = None) -> None:
        self._clock = clock
        self._sink = sink
        self._records: Batcher[CallRecord] = Batcher(clock, one_by_one(self._write))

    def close(self, record: CallRecord) -> None:
        """The call of `record` has ended."""
        record.close(self._clock.seconds())
        if self._sink is not None:
            self._sink.add(record)
        self._records.add(record)

    def stop(self) -> None:
        """Write all pending records: the process is about to end."""
        self._records.flush()
        if self._sink is not None:
            self._sink.stop()

    def _write(self, record: CallRecord) -> None:
        """Write the line. Its event has the record, for observers that need more than the text. The event is created
        here, since a Logger would give it the time of writing."""
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
