"""INVITE server transactions: every state of RFC 3261 figure 7 with every input, with RFC 6026, to the tick."""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs

from tests.support.fakes import FakeFlow
from tests.support.messages import ack, cancel, request
from tests.transaction.case import TransactionCase, state
from webrtcproxy.runtime.schedule import GRAIN
from webrtcproxy.sip.message import Request, Response, respond
from webrtcproxy.transaction.server import TRYING_DELAY, ServerTransaction


class Invite(TransactionCase):
    """Figure 7, and RFC 6026 figure 1."""

    def invite(self, flow: FakeFlow, *statuses: int) -> tuple[Request, ServerTransaction]:
        """An INVITE that is answered with these; what was sent for it is forgotten."""
        asked, transaction = self.arrive("INVITE", flow)
        for status in statuses:
            transaction.reply(status)
        flow.clear()
        return asked, transaction

    def confirm(self, asked: Request, flow: FakeFlow, status: int = 486) -> None:
        """The ACK of a refusal arrives."""
        self.receive(ack(asked, Response(status, headers=respond(asked, status, to_tag=self.tag).headers)), flow)

    @property
    def tag(self) -> str:
        return self.user.transaction.to_tag

    def test_trying(self) -> None:
        """100 within 200 ms, once, without a To tag, with Timestamp (sections 17.2.1 and 8.2.6.1)."""
        self.assertLess(TRYING_DELAY + GRAIN, 0.2)
        for flow in (self.udp, self.wss):
            asked = request("INVITE", headers=[("Timestamp", "54")])
            self.receive(asked, flow)
            self.assertEqual((flow.sent, state(self.user.transaction)), ([], "Proceeding"))
            self.assertEqual(self.times(flow, 10), [TRYING_DELAY])
            self.assertEqual(flow.summary, [100])
            self.assertIsNone(flow.last_response.to.tag)
            self.assertEqual(flow.last_response.headers.get("Timestamp"), "54")
            self.assertEqual(state(self.user.transaction), "Proceeding")
            self.user.transaction.reply(200)

    def test_trying_spared(self) -> None:
        """No 100 where the user has said anything before its time, be it provisional or final."""
        for statuses in ((180,), (183, 180), (180, 200), (200,), (180, 486)):
            for flow in (self.udp, self.wss):
                self.clock.advance(1)
                asked, transaction = self.arrive("INVITE", flow)
                for status in statuses:
                    transaction.reply(status)
                if statuses[-1] == 486:
                    self.confirm(asked, flow)
                self.assertEqual(self.times(flow, 0.4), [])
                self.assertEqual(flow.summary, [*statuses])
                if not transaction.answered:
                    transaction.reply(200)
                flow.clear()

    def test_trying_for_a_repeat(self) -> None:
        """A repeat of the INVITE before any response gets the 100 at once, further ones the same octets; it is not
        sent again when its time comes."""
        for flow in (self.udp, self.wss):
            asked, transaction = self.arrive("INVITE", flow)
            self.clock.advance(TRYING_DELAY / 2)
            self.receive(asked, flow)
            self.assertEqual(flow.summary, [100])
            self.assertIsNone(flow.last_response.to.tag)
            self.receive(asked, flow)
            self.assertEqual(flow.summary, [100, 100])
            self.assertEqual(flow.sent[0], flow.sent[1])
            self.assertEqual(self.times(flow, 10), [])
            transaction.reply(486)
            self.receive(asked, flow)
            self.assertEqual(flow.summary, [100, 100, 486, 486])
            self.confirm(asked, flow)

    def test_trying_without_a_way(self) -> None:
        """A 100 that does not leave is repeated with the INVITE, as any response."""
        asked, transaction = self.arrive("INVITE", self.udp)
        self.udp.broken = True
        self.clock.advance(TRYING_DELAY)
        self.udp.broken = False
        self.receive(asked, self.udp)
        self.assertEqual(self.udp.summary, [100])
        transaction.reply(200)

    def test_trying_after_a_cancel(self) -> None:
        """A CANCEL of an INVITE that had no response as yet: 200 and 487, and no 100 after them."""
        asked, transaction = self.arrive("INVITE", self.udp)
        self.user.on_cancel = lambda transaction: transaction.reply(487)
        self.receive(cancel(asked), self.udp)
        self.confirm(asked, self.udp, 487)
        self.assertEqual(self.times(self.udp, 1), [])
        self.assertEqual((self.udp.summary, transaction.answered), ([200, 487], True))

    def test_proceeding(self) -> None:
        """Section 17.2.1: a repeat of the INVITE gets the last provisional response; the user sees it once."""
        for flow in (self.udp, self.wss):
            asked, transaction = self.invite(flow)
            self.receive(asked, flow)
            self.assertEqual(flow.summary, [100])
            transaction.reply(180)
            self.receive(asked, flow)
            self.receive(asked, flow)
            self.assertEqual(flow.summary, [100, 180, 180, 180])
            self.assertEqual(flow.sent[1], flow.sent[3])
            transaction.reply(183)
            self.receive(asked, flow)
            self.assertEqual(flow.summary[4:], [183, 183])
            self.assertEqual((state(transaction), transaction.answered), ("Proceeding", False))
            self.confirm(asked, flow)
            self.assertEqual((state(transaction), self.user.acks), ("Proceeding", []))
            transaction.reply(200)
        self.assertEqual(len(self.user.transactions), 2)

    def test_one_tag(self) -> None:
        """All responses above 100 have one To tag (section 8.2.6.2)."""
        asked, transaction = self.arrive("INVITE", self.udp)
        for status in (180, 183, 180, 200):
            transaction.reply(status)
        self.assertEqual({message.to.tag for message in self.udp.responses}, {transaction.to_tag})
        other, inside = self.arrive("INVITE", self.udp)
        self.assertNotEqual(inside.to_tag, transaction.to_tag)
        inside.reply(200)
        self.receive(request("INVITE", to_tag="given"), self.udp)
        self.assertEqual(self.user.transaction.to_tag, "given")
        self.user.transaction.reply(200)
        self.assertEqual(self.udp.last_response.to.tag, "given")
        self.assertIsNone(asked.to.tag or other.to.tag)

    def test_timer_g(self) -> None:
        """A refusal on UDP is repeated from T1 on, doubling up to T2, until Timer H at 32 s (section 17.2.1)."""
        _, transaction = self.arrive("INVITE", self.udp)
        transaction.reply(486)
        self.assertEqual(self.times(self.udp, 40), [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5])
        self.assertEqual(set(self.udp.sent), {self.udp.sent[0]})
        self.assertEqual((state(transaction), len(self.layer)), ("Terminated", 0))

    def test_reliable_refusal(self) -> None:
        """On a reliable transport a refusal goes once; Timer H runs all the same."""
        _, transaction = self.invite(self.wss, 486)
        self.assertEqual(self.times(self.wss, 31.9), [])
        self.assertEqual(state(transaction), "Completed")
        self.clock.advance(0.1)
        self.assertEqual((state(transaction), len(self.layer)), ("Terminated", 0))

    def test_completed(self) -> None:
        """A repeat of the INVITE gets the refusal again, the same octets, beside Timer G."""
        for flow in (self.udp, self.wss):
            asked, transaction = self.arrive("INVITE", flow)
            transaction.reply(404)
            self.receive(asked, flow)
            self.assertEqual(flow.summary, [404, 404])
            self.assertEqual(flow.sent[0], flow.sent[1])
            self.assertEqual((state(transaction), transaction.answered), ("Completed", True))

    def test_confirmed(self) -> None:
        """The ACK stops Timer G, and is up to the transaction; Timer I absorbs for T4 on UDP, not at all on a
        connection."""
        for flow in (self.udp, self.wss):
            asked, transaction = self.invite(flow, 486)
            self.confirm(asked, flow)
            self.assertEqual(state(transaction), "Terminated" if flow.reliable else "Confirmed")
            self.assertEqual(self.times(flow, 4.9), [])
            if not flow.reliable:
                self.receive(asked, flow)
                self.confirm(asked, flow)
                self.assertEqual((flow.sent, state(transaction)), ([], "Confirmed"))
                self.clock.advance(0.1)
            self.assertEqual((state(transaction), len(self.layer)), ("Terminated", 0))
        self.assertEqual(self.user.acks, [])

    def test_accepted(self) -> None:
        """RFC 6026: after a 2xx, repeats of the INVITE are absorbed, for Timer L on every transport."""
        for flow in (self.udp, self.wss):
            asked, transaction = self.invite(flow, 200)
            self.receive(asked, flow)
            self.assertEqual((flow.sent, state(transaction)), ([], "Accepted"))
            self.assertEqual(self.times(flow, 31.9), [])
            self.assertEqual((state(transaction), len(self.layer)), ("Accepted", 1))
            self.clock.advance(0.1)
            self.assertEqual((state(transaction), len(self.layer)), ("Terminated", 0))

    def test_answer_repeated(self) -> None:
        """The core repeats its 2xx through the transaction (section 13.3.1.4): the same octets, serialised once."""
        for flow in (self.udp, self.wss):
            asked, transaction = self.arrive("INVITE", flow)
            answer = respond(asked, 200, to_tag=transaction.to_tag)
            for _ in range(3):
                transaction.respond(answer)
            self.receive(asked, flow)
            self.assertEqual(flow.summary, [200, 200, 200])
            self.assertIs(flow.sent[0], flow.sent[2])

    def test_ack_of_an_answer(self) -> None:
        """The ACK of a 2xx is the user's, be its branch a new one or, with careless peers, the INVITE's."""
        asked, transaction = self.arrive("INVITE", self.udp)
        transaction.reply(200)
        answer = self.udp.last_response
        fresh, same = ack(asked, answer), ack(asked, answer, branch=asked.via.branch)
        self.receive(fresh, self.udp)
        self.receive(same, self.udp)
        self.assertEqual(self.user.acks, [(fresh, self.udp), (same, self.udp)])
        self.assertEqual(state(transaction), "Accepted")
        self.assertEqual(self.udp.summary, [200])

    def test_second_final(self) -> None:
        """A second final response is logged with its call, and not sent; a late provisional one is just not sent."""
        for first in (200, 486):
            for later in (180, 202, 404, 500):
                asked, transaction = self.invite(self.udp, first)
                with capturedLogs() as events:
                    transaction.reply(later)
                self.assertEqual(self.udp.sent, [])
                self.assertEqual([event["call"] for event in events], [asked.call_id] if later >= 200 else [])

    def test_after_the_end(self) -> None:
        """A terminated transaction sends nothing."""
        _, transaction = self.invite(self.udp, 200)
        self.clock.advance(32)
        with capturedLogs() as events:
            transaction.reply(200)
        self.assertEqual((self.udp.sent, len(events)), ([], 1))

    def test_cancel(self) -> None:
        """Section 9.2: 200 in every state while the INVITE is there, with its To tag; the user learns of it only where
        there is no final response, and once."""
        asked, transaction = self.arrive("INVITE", self.udp)
        stop = cancel(asked)
        self.receive(stop, self.udp)
        self.receive(stop, self.udp)
        self.assertEqual(self.udp.summary, [200, 200])
        self.assertEqual(self.udp.last_response.to.tag, transaction.to_tag)
        self.assertEqual(self.udp.last_response.cseq.method, "CANCEL")
        self.assertEqual(self.user.cancels, [(transaction, stop)])
        for status, then in ((487, "Completed"), (200, "Accepted")):
            asked, transaction = self.invite(self.udp, status)
            self.receive(cancel(asked), self.udp)
            self.assertEqual((self.udp.summary, state(transaction)), ([200], then))
            self.assertEqual(self.udp.last_response.to.tag, transaction.to_tag)
        self.assertEqual(len(self.user.cancels), 1)

    def test_flow_lost(self) -> None:
        """With the connection each server transaction on it ends, whatever its state."""
        for statuses in ((), (180,), (486,), (200,)):
            flow = self.flow(reliable=True)
            _, transaction = self.invite(flow, *statuses)
            flow.lose()
            self.assertEqual((len(self.layer), self.clock.getDelayedCalls()), (0, []))
            if statuses and statuses[-1] >= 200:
                self.assertEqual(state(transaction), "Terminated")
            else:
                transaction.reply(487)
                self.assertTrue(transaction.answered)
            self.assertEqual(flow.sent, [])

    def test_other_flow(self) -> None:
        """The browser came back: the answer and its repeats go out on its new socket (RFC 7118)."""
        for status, then in ((200, "Accepted"), (486, "Terminated")):
            _, transaction = self.invite(self.wss)
            self.wss.lose()
            again = transaction.flow = self.flow(reliable=True, port=41000)
            transaction.reply(180)
            transaction.reply(status)
            self.assertEqual((again.summary, state(transaction)), ([180, status], then))
            transaction.reply(status)
            self.assertEqual(again.summary, [180, status, status] if status == 200 else [180, status])
            self.assertEqual((len(self.layer), self.clock.getDelayedCalls()), (0, []))
            self.wss = self.flow(reliable=True)

    def test_flow_changed_before_the_old_is_lost(self) -> None:
        """The new socket may be there first; the loss of the old one still ends the bookkeeping."""
        _, transaction = self.invite(self.wss)
        again = transaction.flow = self.flow(reliable=True, port=41000)
        transaction.reply(200)
        self.assertEqual((again.summary, self.wss.sent, len(self.layer)), ([200], [], 1))
        self.wss.lose()
        self.assertEqual(len(self.layer), 0)

    def test_unsendable(self) -> None:
        """A response that does not leave is no disaster: it is repeated."""
        asked, transaction = self.invite(self.udp)
        self.udp.broken = True
        transaction.reply(486)
        self.udp.broken = False
        self.assertEqual(self.times(self.udp, 1), [0.5])
        self.confirm(asked, self.udp)

    def test_last_resort(self) -> None:
        """An INVITE that is never answered is an internal error: logged with its call, and answered 500."""
        self.renew(last_resort=60)
        for flow in (self.udp, self.wss):
            asked, transaction = self.invite(flow)
            transaction.reply(180)
            with capturedLogs() as events:
                self.clock.pump([TRYING_DELAY, 59.9])
                self.assertEqual(flow.summary, [180])
                self.clock.advance(0.2)
            self.assertEqual(flow.summary, [180, 500])
            self.assertEqual(
                [(event["log_level"], event["call"]) for event in events], [(LogLevel.error, asked.call_id)]
            )

    def test_nothing_heavy_is_kept(self) -> None:
        """After the final response the machine holds no request and no user: only the octets to repeat."""
        for status in (200, 486):
            asked, transaction = self.invite(self.udp, status)
            machine = self.layer._table.by_merge_key[
                asked.call_id, asked.from_.tag, None, asked.cseq.number, "INVITE", asked.uri
            ]
            self.assertIsNone(machine.transaction)
            self.assertNotIn(asked, [getattr(machine, name) for name in _slots(machine)])
            self.assertIs(transaction.request, asked)


def _slots(thing: object) -> list[str]:
    return [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
