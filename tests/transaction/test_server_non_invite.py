"""Non-INVITE server transactions: every state of RFC 3261 figure 8 with every input, with RFC 4320, to the tick."""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs

from tests.support.messages import ack, cancel
from tests.transaction.case import TransactionCase, state
from webrtcproxy.sip.message import respond


class Plain(TransactionCase):
    """Figure 8, and RFC 4320."""

    def test_completed(self) -> None:
        """A repeat gets the same octets; Timer J absorbs for 64*T1 on UDP, not at all on a connection."""
        for flow in (self.udp, self.wss):
            asked, transaction = self.arrive("OPTIONS", flow)
            self.assertEqual((flow.sent, state(transaction)), ([], "Trying"))
            self.receive(asked, flow)
            self.assertEqual((flow.sent, len(self.user.transactions)), ([], 1))
            transaction.reply(200)
            self.assertEqual(flow.summary, [200])
            self.assertEqual(state(transaction), "Terminated" if flow.reliable else "Completed")
            if not flow.reliable:
                self.receive(asked, flow)
                self.assertEqual((flow.summary, flow.sent[0] == flow.sent[1]), ([200, 200], True))
                self.assertEqual(self.times(flow, 31.9), [])
                self.assertEqual(len(self.layer), 1)
                self.clock.advance(0.1)
            self.assertEqual((state(transaction), len(self.layer)), ("Terminated", 0))
            self.user.transactions.clear()

    def test_provisional(self) -> None:
        """RFC 4320 section 4.1: no 1xx but a 100, and that when the client's Timer E has reached T2, on every
        transport; from then on a repeat gets it again."""
        for flow in (self.udp, self.wss):
            asked, transaction = self.arrive("MESSAGE", flow)
            for status in (100, 180, 183):
                transaction.reply(status)
            self.assertEqual((flow.sent, state(transaction)), ([], "Trying"))
            self.assertEqual(self.times(flow, 10), [3.5])
            self.assertEqual((flow.summary, state(transaction)), ([100], "Proceeding"))
            self.receive(asked, flow)
            self.assertEqual(flow.summary, [100, 100])
            transaction.reply(202)
            self.assertEqual(flow.summary, [100, 100, 202])

    def test_never_408(self) -> None:
        """RFC 4320 section 4.2: no 408 to a non-INVITE request, at any time."""
        for flow in (self.udp, self.wss):
            _, transaction = self.arrive("SUBSCRIBE", flow)
            with capturedLogs() as events:
                transaction.reply(408)
            self.assertEqual((flow.sent, transaction.answered, state(transaction)), ([], True, "Terminated"))
            self.assertEqual((events, len(self.layer)), ([], 0))

    def test_never_late(self) -> None:
        """RFC 4320 section 4.2: after Timer F an answer is not sent; who gives one within T4 is not to blame."""
        for flow in (self.udp, self.wss):
            asked, transaction = self.arrive("INFO", flow)
            with capturedLogs() as events:
                self.clock.pump([3.5, 28.5])
                self.assertEqual((flow.summary, len(self.layer)), ([100], 0))
                self.assertFalse(transaction.answered)
                self.clock.advance(1)
                transaction.reply(504)
                self.clock.advance(30)
            self.assertEqual((flow.summary, transaction.answered, events), ([100], True, []))
            self.assertIsNotNone(asked)

    def test_just_in_time(self) -> None:
        """A moment before, it is sent."""
        _, transaction = self.arrive("INFO", self.udp)
        self.clock.pump([3.5, 28.4])
        transaction.reply(504)
        self.assertEqual(self.udp.summary, [100, 504])

    def test_last_resort(self) -> None:
        """A request that is never answered is an internal error: logged, and ended without a response (RFC 4320)."""
        for flow in (self.udp, self.wss):
            asked, transaction = self.arrive("INFO", flow)
            with capturedLogs() as events:
                self.clock.pump([0.5] * 80)
            self.assertEqual((flow.summary, transaction.answered), ([100], True))
            self.assertEqual(
                [(event["log_level"], event["call"]) for event in events], [(LogLevel.error, asked.call_id)]
            )

    def test_second_final(self) -> None:
        """It is logged with its call, and not sent."""
        for flow in (self.udp, self.wss):
            asked, transaction = self.arrive("OPTIONS", flow)
            transaction.reply(200)
            with capturedLogs() as events:
                transaction.reply(500)
                transaction.reply(180)
            self.assertEqual((flow.summary, [event["call"] for event in events]), ([200], [asked.call_id]))

    def test_flow_lost(self) -> None:
        """The transaction ends; an answer goes nowhere, or to where the peer came back."""
        _, transaction = self.arrive("REGISTER", self.wss)
        self.wss.lose()
        self.assertEqual((len(self.layer), self.clock.getDelayedCalls()), (0, []))
        transaction.reply(200)
        self.assertEqual((self.wss.sent, transaction.answered, state(transaction)), ([], True, "Terminated"))
        flow = self.flow(reliable=True)
        _, transaction = self.arrive("REGISTER", flow)
        flow.lose()
        again = transaction.flow = self.flow(reliable=True)
        self.assertIs(transaction.flow, again)
        transaction.reply(200)
        self.assertEqual(again.summary, [200])

    def test_ack_and_cancel(self) -> None:
        """A CANCEL for a non-INVITE request has no effect, an ACK neither (section 9.2)."""
        asked, transaction = self.arrive("OPTIONS", self.udp)
        self.receive(cancel(asked), self.udp)
        self.assertEqual((self.udp.summary, self.user.cancels), ([481], []))
        self.receive(ack(asked, respond(asked, 486)), self.udp)
        self.assertEqual(state(transaction), "Trying")


class Unwritable(TransactionCase):
    """A response that can't be written never raises, and the client is answered all the same."""

    def test_reply(self) -> None:
        """CR and LF in a header that the user adds: 500."""
        for method in ("INVITE", "OPTIONS"):
            flow = self.flow(reliable=True)
            _, transaction = self.arrive(method, flow)
            transaction.reply(180, headers=[("X", "a\r\nEvil: b")])
            transaction.reply(200, headers=[("X", "a\r\nEvil: b")])
            self.assertEqual(flow.summary, [500])
            self.assertTrue(transaction.answered)
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_respond(self) -> None:
        """CR and LF in a reason phrase: 500."""
        for reliable in (False, True):
            flow = self.flow(reliable=reliable)
            asked, transaction = self.arrive("OPTIONS", flow)
            bad = respond(asked, 200, to_tag=transaction.to_tag)
            bad.reason = "OK\r\nEvil: b"
            transaction.respond(bad)
            self.assertEqual((flow.summary, flow.last_response.to.tag), ([500], transaction.to_tag))
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
