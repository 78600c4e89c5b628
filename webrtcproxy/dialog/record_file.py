"""RecordFile: one line of JSON for each attempt of a call, in the file of ``[records]``; docs/records.rst has the
keys."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import ClassVar, Final

from twisted.internet.interfaces import IDelayedCall

from webrtcproxy.dialog.call_record import CallRecord
from webrtcproxy.runtime.line_file import LineFile
from webrtcproxy.runtime.schedule import Clock
from webrtcproxy.sip.names import PHRASES

MAX_TEXT: Final = 512
"""Characters of a text of a peer; longer ones are cut."""

CHALLENGES: Final = frozenset({401, 407})


class RecordFile:
    """Writes the records of all attempts to a file.

    An attempt that was challenged waits until it is repeated with credentials, and is then dropped: what follows is the
    same attempt, and has its own record. One that is not repeated in time has been an attempt, too.

    :param clock: that of the times in the records.
    :param file: takes the lines.
    :param wall: the time of day, in seconds since 1970.
    """

    CHALLENGE_KEPT: ClassVar[float] = 60.0
    """Seconds that an attempt which was challenged waits for its repetition."""
    MAX_CHALLENGED: ClassVar[int] = 4096
    """Most attempts that wait so; with one more, the oldest is written."""

    def __init__(self, clock: Clock, file: LineFile, wall: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._file = file
        self._wall = wall
        self._challenged: dict[tuple[str, str], CallRecord] = {}
        self._timer: IDelayedCall | None = None

    def add(self, record: CallRecord) -> None:
        """A call or an attempt has ended."""
        if record.status not in CHALLENGES or record.answered is not None:
            self._write(record)
            return
        key = record.call, record.source
        earlier = self._challenged.pop(key, None)
        if earlier is None and len(self._challenged) >= self.MAX_CHALLENGED:
            earlier = self._challenged.pop(next(iter(self._challenged)))
        if earlier is not None:
            self._write(earlier)
        self._challenged[key] = record
        if self._timer is None:
            self._timer = self._clock.callLater(self.CHALLENGE_KEPT, self._sweep)

    def repeated(self, call_id: str, source: str) -> None:
        """An INVITE with credentials has arrived: the attempt that was challenged goes on.

        :param source: the IP address that it comes from.
        """
        if self._challenged:
            self._challenged.pop((call_id, source), None)

    def stop(self) -> None:
        """Write all that waits, and close the file."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._challenged:
            self._write_oldest()
        self._file.stop()

    def _sweep(self) -> None:
        """Write those that nobody has repeated in time."""
        self._timer = None
        now = self._clock.seconds()
        while self._challenged:
            due = next(iter(self._challenged.values())).ended + self.CHALLENGE_KEPT
            if due > now:
                self._timer = self._clock.callLater(due - now, self._sweep)
                break
            self._write_oldest()

    def _write_oldest(self) -> None:
        self._write(self._challenged.pop(next(iter(self._challenged))))

    def _write(self, record: CallRecord) -> None:
        self._file.add(line_of(record, self._wall() - self._clock.seconds()))


def line_of(record: CallRecord, offset: float) -> bytes:
    """A record that is complete as JSON in ASCII, without line breaks.

    :param offset: the time of day that is 0 by the clock of the record.
    """
    answered = record.answered
    fields: dict[str, object] = {
        "time": _utc(record.started + offset),
        "answered": None if answered is None else _utc(answered + offset),
        "ended": _utc(record.ended + offset),
        "call-id": _cut(record.call),
        "callee-call-id": _cut(record.callee_call) or None,
        "direction": record.meter.direction,
        "from": _cut(record.caller),
        "to": _cut(record.callee),
        "source": record.source,
        "user": _cut(record.user) or None,
        "trunk": record.trunk or None,
        "code": record.status,
        "reason": _cut(record.reason) or PHRASES.get(record.status, ""),
        "ended-by": record.ended_by,
        "set-up": round((record.ended if answered is None else answered) - record.started, 3),
        "duration": 0 if answered is None else round(record.ended - answered, 3),
    }
    return json.dumps(fields, separators=(",", ":")).encode("ascii")


def _utc(seconds: float) -> str:
    """A time of day in UTC, in milliseconds (RFC 3339)."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
