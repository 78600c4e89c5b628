"""The file of records: what a line has, and which attempts it is of."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.dialog.call_record import CallRecord, EndedBy
from webrtcproxy.dialog.record_file import MAX_TEXT, RecordFile, line_of
from webrtcproxy.runtime.line_file import LineFile
from webrtcproxy.runtime.metrics import Metrics

DOCS = Path(__file__).parents[2] / "docs"


def record(call: str = "c1", status: int = 0, **more: object) -> CallRecord:
    made = CallRecord(Metrics().outbound, call, "sip:alice@a.example", "sip:bob@b.example", "192.0.2.7", 100.0)
    made.status = status
    for name, value in more.items():
        setattr(made, name, value)
    return made


class Lines(SynchronousTestCase):
    """One line of JSON."""

    def test_answered(self) -> None:
        """All that is known of a call, times in UTC with milliseconds."""
        one = record(
            status=200, reason="Fine", answered=101.5, ended=161.75, ended_by=EndedBy.CALLER, callee_call="c2",
            user="alice@a.example", trunk="pbx",
        )  # fmt: skip
        found = json.loads(line_of(one, 1_000_000_000.0))
        self.assertEqual(
            found,
            {
                "time": "2001-09-09T01:48:20.000Z", "answered": "2001-09-09T01:48:21.500Z",
                "ended": "2001-09-09T01:49:21.750Z", "call-id": "c1", "callee-call-id": "c2", "direction": "outbound",
                "from": "sip:alice@a.example", "to": "sip:bob@b.example", "source": "192.0.2.7",
                "user": "alice@a.example", "trunk": "pbx", "code": 200, "reason": "Fine", "ended-by": "caller",
                "set-up": 1.5, "duration": 60.25,
            },
        )  # fmt: skip
        page = (DOCS / "records.rst").read_text()
        for key in found:
            self.assertIn(f"``{key}``", page)

    def test_refused(self) -> None:
        """Without an answer there is no duration; a reason that nobody has written is the standard one."""
        found = json.loads(line_of(record(status=486, ended=102.25, ended_by=EndedBy.REFUSED), 0.0))
        self.assertEqual((found["answered"], found["callee-call-id"], found["user"], found["trunk"]), (None,) * 4)
        self.assertEqual((found["code"], found["reason"], found["ended-by"]), (486, "Busy Here", "refused"))
        self.assertEqual((found["set-up"], found["duration"]), (2.25, 0))

    def test_texts_of_peers(self) -> None:
        """Whatever a peer has written, the line is one line of ASCII, and not much longer for a long text."""
        line = line_of(record(call='"\n\udc80é', reason="x" * 70_000), 0.0)
        self.assertNotIn(b"\n", line)
        self.assertEqual(json.loads(line)["call-id"], '"\n\udc80é')
        self.assertEqual(len(json.loads(line)["reason"]), MAX_TEXT + 1)


class Challenged(SynchronousTestCase):
    """An attempt that is challenged and repeated is one attempt."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.path = Path(self.mktemp())
        self.records = RecordFile(self.clock, LineFile(self.clock, self.path, 10_000))

    def end(self, one: CallRecord) -> None:
        one.ended = self.clock.seconds()
        self.records.add(one)

    def written(self) -> list[tuple[str, int]]:
        self.clock.advance(1)
        if not self.path.exists():
            return []
        return [(each["call-id"], each["code"]) for each in map(json.loads, self.path.read_text().splitlines())]

    def test_repeated(self) -> None:
        """It has the record of its last try only."""
        self.end(record(status=407))
        self.records.repeated("c1", "192.0.2.7")
        self.end(record(status=200, answered=1.0))
        self.clock.advance(100)
        self.assertEqual(self.written(), [("c1", 200)])

    def test_not_repeated(self) -> None:
        """It is written a minute later; INVITEs of others change nothing."""
        self.end(record(status=401))
        self.records.repeated("c1", "192.0.2.8")
        self.records.repeated("c2", "192.0.2.7")
        self.clock.advance(30)
        self.end(record("c2", 407))
        self.assertEqual(self.written(), [])
        self.clock.advance(30)
        self.assertEqual(self.written(), [("c1", 401)])
        self.clock.advance(30)
        self.assertEqual(self.written(), [("c1", 401), ("c2", 407)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_challenged_twice(self) -> None:
        """One that is repeated without credentials has been an attempt by itself."""
        self.end(record(status=407))
        self.end(record(status=407))
        self.assertEqual(self.written(), [("c1", 407)])
        self.records.stop()

    def test_bounded(self) -> None:
        """Not more than so many wait: the oldest is written."""
        for number in range(RecordFile.MAX_CHALLENGED + 2):
            self.end(record(f"c{number}", 401))
        self.assertEqual(self.written(), [("c0", 401), ("c1", 401)])
        self.records.stop()

    def test_stop(self) -> None:
        """At the end all are written, at once."""
        self.end(record(status=401))
        self.end(record("c2", 403))
        self.records.stop()
        self.assertEqual(self.written(), [("c2", 403), ("c1", 401)])
        self.assertEqual(self.clock.getDelayedCalls(), [])
