"""The line that every call leaves in the log."""

from __future__ import annotations

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.call.record import Record


class Closed(SynchronousTestCase):
    """`close` writes one line."""

    def line(self, record: Record, now: float) -> str:
        with capturedLogs() as events:
            record.close(now)
        (event,) = events
        self.assertIs(event["record"], record)
        self.assertEqual((event["call"], record.ended), (record.call, now))
        return formatEvent(event)

    def test_answered(self) -> None:
        """Who called whom from where, how it ended, how long it took to answer and how long they talked."""
        record = Record("c1", "sip:alice@a.example", "sip:bob@b.example", "192.0.2.7", 100.0)
        record.status, record.answered, record.ended_by = 200, 101.5, "caller"
        self.assertEqual(
            self.line(record, 161.75),
            "c1: call over, 200 caller, sip:alice@a.example -> sip:bob@b.example from 192.0.2.7, set-up 1.500 s,"
            " talk 60.2 s",
        )

    def test_refused(self) -> None:
        """A call that was never answered has talked for no time; set-up is until its end."""
        record = Record("c1", "sip:a@a", "sip:b@b", "192.0.2.7", 100.0, status=486, ended_by="refused")
        line = "c1: call over, 486 refused, sip:a@a -> sip:b@b from 192.0.2.7, set-up 2.250 s, talk 0.0 s"
        self.assertEqual(self.line(record, 102.25), line)

    def test_unknown_end(self) -> None:
        """A dash stands for what nobody has said; braces of a peer stay braces."""
        line = self.line(Record("{x}", "sip:{call}@a", "sip:b@b", "192.0.2.7", 0.0), 0.0)
        self.assertEqual(
            line, "{x}: call over, 0 -, sip:{call}@a -> sip:b@b from 192.0.2.7, set-up 0.000 s, talk 0.0 s"
        )
