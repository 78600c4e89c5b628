"""Record: what is counted of calls, told by what each call moves and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls.case import CallCase
from tests.support.calls.world import OFFER, PLAIN
from tests.support.configs import PBX
from tests.support.exposition import Readings, samples
from webrtcproxy.config import CallsConfig
from webrtcproxy.dialog.call_record import _RESULTS, CallRecord, CdrWriter, EndedBy, call_result
from webrtcproxy.runtime.batching import Batcher
from webrtcproxy.runtime.errors import NgTimeout
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.sip.message import Request


class Counted(CallCase):
    """Each call attempt is counted once, by its caller's side and by how its set-up ended."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.readings = Readings(self.world.metrics)

    def out(self) -> Request:
        """A browser calls out; the INVITE of the second leg."""
        self.invite = self.alice.invite("sip:bob@pbx.example.com")
        return self.trunk.request("INVITE")

    def assert_result(self, result: str, direction: str = "outbound") -> None:
        self.world.turn()
        self.assertEqual(self.readings.moved(), {f'calls_total{{direction="{direction}",result="{result}"}}': 1})

    def test_answered(self) -> None:
        """18x and 200 are timed from the INVITE, the talk from the 200; each 18x but the first is no news."""
        leg = self.out()
        self.world.turn(0.2)
        for _ in range(2):
            self.trunk.answer(leg, 180)
        self.assertEqual(self.readings.moved(), {'call_progress_seconds_count{direction="outbound"}': 1})
        self.world.turn(2)
        self.trunk_ok = self.trunk.answer(leg, 200, PLAIN)
        self.assertEqual(
            self.readings.moved(),
            {
                'call_setup_seconds_count{direction="outbound"}': 1,
                'calls_total{direction="outbound",result="answered"}': 1,
            },
        )
        for status in (100, 180, 180):
            self.alice.heard(status)
        ok = self.alice.response(200)
        self.alice.ack(self.invite, ok)
        self.world.turn(40)
        self.alice.say(self.alice.inside("BYE", self.invite, ok))
        self.world.turn()
        self.assertEqual(self.readings.moved(), {'call_duration_seconds_count{direction="outbound"}': 1})
        found = samples(self.world.metrics.text())
        for name, seconds in (("progress", 0.2), ("setup", 2.2), ("duration", 40)):
            self.assertAlmostEqual(found[f'call_{name}_seconds_sum{{direction="outbound"}}'], seconds, msg=name)

    def test_inbound(self) -> None:
        """A call of the SIP side is inbound, to whomever it goes."""
        self.alice.bind()
        self.trunk.call(self.alice)
        self.alice.answer(self.alice.request("INVITE"), 200, OFFER)
        self.assertEqual(
            self.readings.moved(),
            {
                'call_setup_seconds_count{direction="inbound"}': 1,
                'calls_total{direction="inbound",result="answered"}': 1,
            },
        )

    def test_inbound_nobody(self) -> None:
        """A browser that has gone."""
        self.alice.bind()
        self.alice.flow.lose()
        self.trunk.call(self.alice)
        self.assert_result("no_answer", "inbound")

    def test_refused_by_the_far_side(self) -> None:
        """What the trunk says, passed on; challenges are no failures."""
        for status, result in (
            (486, "busy"),
            (407, "challenged"),
            (404, "not_found"),
            (603, "rejected"),
            (503, "failed"),
        ):
            self.trunk.answer(self.out(), status)
            self.trunk.heard("ACK")
            self.assert_result(result)

    def test_cancelled(self) -> None:
        """The caller gives up."""
        self.out()
        self.alice.cancel(self.invite)
        self.assert_result("cancelled")

    def test_lost(self) -> None:
        """The caller's connection is lost and does not come back."""
        self.out()
        self.alice.flow.lose()
        self.world.turn(self.world.config.calls.grace)
        self.assert_result("lost")

    def test_no_answer(self) -> None:
        """It rings for too long."""
        self.trunk.answer(self.out(), 100)
        self.world.turn(self.world.config.calls.ring)
        self.assert_result("no_answer")

    def test_media(self) -> None:
        """rtpengine is silent: that is neither the caller's fault nor the trunk's."""
        self.world.nodes.fail("offer", NgTimeout("silent"))
        self.alice.invite("sip:bob@pbx.example.com")
        self.assert_result("media")

    def test_media_at_the_answer(self) -> None:
        """rtpengine is silent when the trunk has answered: the call never was up."""
        leg = self.out()
        self.world.nodes.fail("answer", NgTimeout("silent"))
        self.trunk.answer(leg, 200, PLAIN)
        self.assert_result("media")

    def test_shutdown(self) -> None:
        """The proxy stops; a call that was up has been answered, and is not counted again."""
        self.up(self.alice, self.trunk)
        self.out()
        self.readings.moved()
        self.world.calls.stop()
        self.world.turn()
        self.assertEqual(
            self.readings.moved(),
            {
                'calls_total{direction="outbound",result="shutdown"}': 1,
                'call_duration_seconds_count{direction="outbound"}': 1,
            },
        )

    def test_states(self) -> None:
        """`up` counts the answered among those that are there."""
        self.assertEqual((len(self.world.calls), self.world.calls.answered), (0, 0))
        self.up(self.alice, self.trunk)
        self.out()
        self.assertEqual((len(self.world.calls), self.world.calls.answered), (2, 1))


class RejectedCalls(CallCase):
    """What never became a call has a reason, and is no call."""

    trunks = (PBX,)

    def test_destination(self) -> None:
        """Not one of the destinations."""
        readings = Readings(self.world.metrics)
        self.world.browser().invite("sip:bob@elsewhere.example")
        self.assertEqual(readings.moved(), {'refused_total{reason="forbidden"}': 1})

    def test_limit(self) -> None:
        """One call too many."""
        self.world = self.make_world(calls=CallsConfig(limit=1, limit_unregistered=3))
        alice = self.world.browser()
        alice.invite("sip:bob@pbx.example.com")
        readings = Readings(self.world.metrics)
        alice.invite("sip:bob@pbx.example.com")
        self.assertEqual(readings.moved(), {'refused_total{reason="overload"}': 1})


class Written(SynchronousTestCase):
    """The CdrWriter writes one line for each call that is over."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.cdr_writer = CdrWriter(self.clock)

    def line(self, record: CallRecord, now: float) -> str:
        self.clock.advance(now)
        with capturedLogs() as events:
            self.cdr_writer.close(record)
        (event,) = events
        self.assertIs(event["record"], record)
        self.assertEqual((event["call"], record.ended), (record.call, now))
        return formatEvent(event)

    def test_answered(self) -> None:
        """Who called whom from where, how it ended, how long it took to answer and how long they talked."""
        record = CallRecord(Metrics().outbound, "c1", "sip:alice@a.example", "sip:bob@b.example", "192.0.2.7", 100.0)
        record.status, record.answered, record.ended_by = 200, 101.5, EndedBy.CALLER
        self.assertEqual(
            self.line(record, 161.75),
            "c1: call over, 200 caller, sip:alice@a.example -> sip:bob@b.example from 192.0.2.7, set-up 1.500 s,"
            " talk 60.2 s",
        )

    def test_refused(self) -> None:
        """A call that was never answered has talked for no time; set-up is until its end."""
        record = CallRecord(
            Metrics().outbound, "c1", "sip:a@a", "sip:b@b", "192.0.2.7", 100.0, status=486, ended_by=EndedBy.REFUSED
        )
        line = "c1: call over, 486 refused, sip:a@a -> sip:b@b from 192.0.2.7, set-up 2.250 s, talk 0.0 s"
        self.assertEqual(self.line(record, 102.25), line)

    def test_unknown_end(self) -> None:
        """A dash stands for what nobody has said; braces of a peer stay braces."""
        line = self.line(CallRecord(Metrics().outbound, "{x}", "sip:{call}@a", "sip:b@b", "192.0.2.7", 0.0), 0.0)
        self.assertEqual(
            line, "{x}: call over, 0 -, sip:{call}@a -> sip:b@b from 192.0.2.7, set-up 0.000 s, talk 0.0 s"
        )

    def test_many(self) -> None:
        """Of many calls that end together, each has its end from its own time, and its line a moment later, in order;
        what waits when the log ends is written before."""
        meter = Metrics().outbound
        records = [CallRecord(meter, f"c{number}", "sip:a@a", "sip:b@b", "192.0.2.7", 0.0) for number in range(4)]
        with capturedLogs() as events:
            for record in records[:3]:
                self.clock.advance(0.1)
                self.cdr_writer.close(record)
            self.assertEqual([event["call"] for event in events], ["c0"])
            self.clock.advance(Batcher.DELAY)
            self.assertEqual([event["call"] for event in events], ["c0", "c1", "c2"])
            self.cdr_writer.close(records[3])
            self.assertEqual(len(events), 3)
            self.cdr_writer.stop()
            self.assertEqual([event["record"] for event in events], records)
        self.assertEqual([round(record.ended, 1) for record in records[:3]], [0.1, 0.2, 0.3])
        self.assertTrue(all(event["log_level"] is LogLevel.info for event in events))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_time(self) -> None:
        """The line has the time at which the call was over, however long it has waited."""
        records = [CallRecord(Metrics().outbound, "c", "sip:a@a", "sip:b@b", "192.0.2.7", 0.0) for _ in range(2)]
        with capturedLogs() as events:
            for record in records:
                self.cdr_writer.close(record)
            self.clock.advance(1000)
        first, second = (event["log_time"] for event in events)
        self.assertTrue(900 < first - second < 1100, first - second)


class EndedByTests(SynchronousTestCase):
    """How a call ended is one of a closed list."""

    def test_readme(self) -> None:
        """The README's table has each of them, and no other."""
        readme = (Path(__file__).parents[2] / "README.rst").read_text()
        table = readme[readme.index("\nCall records\n") : readme.index("\nComing from ")]
        self.assertEqual(re.findall(r"(?m)^``([a-z ]+)``", table), list(EndedBy))

    def test_results(self) -> None:
        """Each of them has a result for the metrics, or leaves that to the status."""
        self.assertEqual(list(_RESULTS), list(EndedBy))

    def test_call_results(self) -> None:
        """What the caller heard says how the set-up ended, unless who ended it says more."""
        by = EndedBy
        for status, ended_by, result in (
            (486, by.REFUSED, "busy"), (600, by.REFUSED, "busy"), (401, by.REFUSED, "challenged"),
            (407, by.REFUSED, "challenged"), (404, by.REFUSED, "not_found"), (604, by.REFUSED, "not_found"),
            (480, by.REFUSED, "no_answer"), (408, by.NO_ANSWER, "no_answer"), (480, by.CALLEE, "no_answer"),
            (487, by.CANCEL, "cancelled"), (487, by.CALLER, "cancelled"), (480, by.LOST, "lost"), (0, by.LOST, "lost"),
            (403, by.REFUSED, "rejected"), (603, by.REFUSED, "rejected"), (302, by.REFUSED, "rejected"),
            (499, by.REFUSED, "rejected"), (699, by.REFUSED, "rejected"), (503, by.MEDIA, "media"),
            (488, by.MEDIA, "media"), (488, by.REFUSED, "rejected"), (503, by.SHUTDOWN, "shutdown"),
            (500, by.REFUSED, "failed"), (502, by.REFUSED, "failed"), (0, None, "failed"),
        ):  # fmt: skip
            self.assertEqual(call_result(status, ended_by), result, (status, ended_by))
