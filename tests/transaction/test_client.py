"""Client transactions: every state of RFC 3261 figures 5 and 6 with every input, with RFC 6026, to the tick."""

from __future__ import annotations

from tests.support.messages import ours, request
from tests.transaction.case import ClientCase, TransactionCase, state
from webrtcproxy.runtime.errors import FlowLost, TimedOut
from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.layer import Transactions


class Invite(ClientCase):
    """Figure 5, and RFC 6026 figure 2."""

    def test_timers_a_and_b(self) -> None:
        """A doubles from T1 without a cap, the same octets each time; at 64*T1 TimedOut (section 17.1.1.2)."""
        transaction = self.send()
        self.assertEqual((self.udp.summary, state(transaction)), (["INVITE"], "Calling"))
        self.assertEqual(self.times(self.udp, 31.875), [0.5, 1.5, 3.5, 7.5, 15.5, 31.5])
        self.assertEqual(set(self.udp.sent), {self.udp.sent[0]})
        self.assertEqual(self.outcomes, [])
        self.clock.advance(0.125)
        self.assertEqual((self.outcomes, state(transaction)), ([TimedOut], "Terminated"))

    def test_reliable(self) -> None:
        """No Timer A on a connection; B runs."""
        self.send(self.wss)
        self.assertEqual(self.times(self.wss, 31.875), [])
        self.assertEqual(self.outcomes, [])
        self.clock.advance(0.125)
        self.assertEqual((self.wss.summary, self.outcomes), (["INVITE"], [TimedOut]))

    def test_provisional(self) -> None:
        """A 1xx, be it 100, stops timers A and B; the user is notified of 101 to 199, repeats too, and not of 100."""
        for flow in (self.udp, self.wss):
            transaction = self.send(flow)
            for status in (100, 183, 180, 180, 199):
                self.answer(status, flow)
            self.assertEqual((self.times(flow, 300), state(transaction)), ([], "Proceeding"))
            self.assertEqual((self.provisional, self.outcomes), ([183, 180, 180, 199], []))
            self.answer(486, flow)
            self.assertEqual(self.outcomes, [486])
            self.provisional.clear()
            self.outcomes.clear()

    def test_late_provisional(self) -> None:
        """Timer A goes on until the first 1xx, and B until there is one."""
        self.send()
        self.assertEqual(self.times(self.udp, 4), [0.5, 1.5, 3.5])
        self.answer(100)
        self.assertEqual((self.times(self.udp, 100), self.outcomes), ([], []))
        self.answer(404)

    def test_accepted(self) -> None:
        """RFC 6026: after a 2xx, for 64*T1 on every transport, further 2xx go up, repeats and other forks; nothing
        else does, and no ACK is sent."""
        for flow in (self.udp, self.wss):
            transaction = self.send(flow)
            self.answer(200, flow)
            self.answer(200, flow)
            self.answer(202, flow, to_tag="fork")
            self.answer(486, flow)
            self.answer(180, flow)
            self.assertEqual([message.to.tag for message in self.again], ["bob-tag", "fork"])
            self.assertEqual((flow.summary, self.outcomes, self.provisional), (["INVITE"], [200], []))
            self.clock.advance(31.875)
            self.assertEqual((len(self.layer), state(transaction)), (1, "Accepted"))
            self.clock.advance(0.125)
            self.answer(200, flow)
            self.assertEqual((len(self.again), len(self.layer)), (2, 0))
            self.again.clear()
            self.outcomes.clear()

    def test_no_callbacks(self) -> None:
        """One that cares for neither repeats nor provisional responses is not told of them."""
        transaction = self.layer.request(ours("INVITE"), self.udp)
        self.sent = transaction.request
        for status in (180, 200, 200):
            self.answer(status)
        self.assertEqual(self.successResultOf(transaction.final).status, 200)

    def test_completed(self) -> None:
        """A refusal is ACKed by the transaction, and so is each repeat of it, for Timer D; nothing else counts."""
        transaction = self.send()
        self.answer(486)
        self.assertEqual((self.udp.summary, state(transaction)), (["INVITE", "ACK"], "Completed"))
        self.answer(486)
        self.answer(503)
        for status in (180, 200):
            self.answer(status)
        self.assertEqual(self.udp.summary, ["INVITE", "ACK", "ACK", "ACK"])
        self.assertEqual(self.udp.sent[1], self.udp.sent[3])
        self.assertEqual((self.outcomes, self.provisional, self.again), ([486], [], []))
        self.assertEqual(self.times(self.udp, 31.875), [])
        self.assertEqual(len(self.layer), 1)
        self.clock.advance(0.125)
        self.answer(486)
        self.assertEqual((len(self.udp.sent), len(self.layer)), (4, 0))

    def test_timer_d_is_zero(self) -> None:
        """On a connection the transaction is over with the ACK."""
        transaction = self.send(self.wss)
        self.answer(486, self.wss)
        self.assertEqual((self.wss.summary, state(transaction)), (["INVITE", "ACK"], "Terminated"))
        self.assertEqual((len(self.layer), self.clock.getDelayedCalls()), (0, []))

    def test_form_of_the_ack(self) -> None:
        """Section 17.1.1.3: same branch, Request-URI, Route, From, Call-ID and CSeq number; one Via; To of the
        response; nothing else of the INVITE."""
        self.send(headers=[("Route", "<sip:p1;lr>"), ("Route", "<sip:p2;lr>, <sip:p3;lr>"), ("Require", "foo")])
        refusal = self.answer(486)
        self.assertEqual(
            self.udp.sent[-1].decode(),
            f"ACK {self.sent.uri} SIP/2.0\r\n"
            f"Via: {self.sent.via}\r\n"
            "Route: <sip:p1;lr>\r\n"
            "Route: <sip:p2;lr>, <sip:p3;lr>\r\n"
            "Max-Forwards: 70\r\n"
            f"From: {self.sent.headers.get('From')}\r\n"
            f"To: {refusal.headers.get('To')}\r\n"
            f"Call-ID: {self.sent.call_id}\r\n"
            f"CSeq: {self.sent.cseq.number} ACK\r\n"
            "Content-Length: 0\r\n\r\n",
        )

    def test_one_via(self) -> None:
        """A request that carries the Vias of others, too: ACK and CANCEL have ours alone."""
        relayed = ours("INVITE")
        relayed.headers.prepend("Via", "SIP/2.0/UDP 203.0.113.1;branch=z9hG4bKother")
        transaction = self.layer.request(relayed, self.udp)
        self.sent = transaction.request
        self.assertEqual(len(self.sent.headers.all("Via")), 2)
        self.answer(180)
        transaction.cancel()
        self.answer(487)
        for sent in self.udp.requests[1:]:
            self.assertEqual(sent.headers.lines("Via"), [str(self.sent.via)])
        self.successResultOf(transaction.final)

    def test_lost(self) -> None:
        """With the connection all that wait on it get FlowLost at once; after a final response it is just the end."""
        transactions = [self.send(self.wss) for _ in range(4)]
        self.answer(180, self.wss, to=transactions[1].request)
        self.answer(200, self.wss, to=transactions[2].request)
        self.answer(486, self.wss, to=transactions[3].request)
        self.wss.lose()
        self.assertEqual(sorted(map(str, self.outcomes)), sorted(map(str, [200, 486, FlowLost, FlowLost])))
        self.assertEqual({state(transaction) for transaction in transactions}, {"Terminated"})
        self.assertEqual((len(self.layer), self.clock.getDelayedCalls()), (0, []))

    def test_unsendable(self) -> None:
        """FlowLost at once where the request can't be sent, the first time or later (section 17.1.4)."""
        self.udp.broken = True
        transaction = self.send()
        self.assertEqual((self.outcomes, state(transaction), len(self.layer)), ([FlowLost], "Terminated", 0))
        self.udp.broken = False
        self.send()
        self.udp.broken = True
        self.clock.advance(0.5)
        self.assertEqual((self.outcomes, len(self.layer)), ([FlowLost, FlowLost], 0))

    def test_unsendable_ack(self) -> None:
        """An ACK that does not leave goes out with the next repeat of the response."""
        self.send()
        self.udp.broken = True
        self.answer(486)
        self.udp.broken = False
        self.assertEqual(self.outcomes, [486])
        self.answer(486)
        self.assertEqual(self.udp.summary, ["INVITE", "ACK"])

    def test_nothing_heavy_is_kept(self) -> None:
        """After a refusal the machine holds neither request nor user."""
        transaction = self.send()
        self.answer(486)
        machine = transaction._machine
        self.assertIsNone(machine.transaction)
        held = [getattr(machine, name) for kind in type(machine).__mro__ for name in getattr(kind, "__slots__", ())]
        self.assertEqual([thing for thing in held if isinstance(thing, Request) or callable(thing)], [])


class Abandoned(ClientCase):
    """The user gives a peer up that has said nothing, and has gone elsewhere (RFC 3263 section 4.3)."""

    def test_invite(self) -> None:
        """No more repeats. One that wakes up gets CANCEL with its first 1xx (RFC 3261 section 9.1), and ACK to its
        refusal; of its 1xx the user gets nothing, and `final` fires."""
        for flow in (self.udp, self.wss):
            transaction = self.send(flow)
            transaction.abandon()
            self.assertEqual(self.times(flow, 20), [])
            self.answer(100, flow)
            self.answer(180, flow)
            self.answer(487, flow)
            self.assertEqual(flow.summary, ["INVITE", "CANCEL", "ACK"])
            self.assertEqual((self.provisional, self.outcomes), ([], [487]))
            self.outcomes.clear()

    def test_silent_to_the_end(self) -> None:
        """64*T1 is all that it has; who is not asked to ring is not cancelled."""
        self.send().abandon()
        self.clock.advance(33)
        self.assertEqual((self.udp.summary, self.outcomes), (["INVITE"], [TimedOut]))

    def test_accepts(self) -> None:
        """A 2xx is up to the user, as ever."""
        self.send().abandon()
        self.answer(200)
        self.assertEqual((self.udp.summary, self.outcomes), (["INVITE"], [200]))

    def test_no_invite(self) -> None:
        """Another method is repeated no more either, and has no CANCEL."""
        self.method = "OPTIONS"
        self.send().abandon()
        self.assertEqual(self.times(self.udp, 20), [])
        self.answer(200)
        self.assertEqual((self.udp.summary, self.outcomes), (["OPTIONS"], [200]))

    def test_heard(self) -> None:
        """`provisional_seen` says whether it has said that it works on it: any 1xx does."""
        for self.method in ("INVITE", "OPTIONS"):
            transaction = self.send()
            self.assertFalse(transaction.provisional_seen)
            self.answer(100)
            self.assertTrue(transaction.provisional_seen)
            self.answer(404)


class Mark(TransactionCase):
    """Of several processes each writes branches that say whose they are."""

    def test_branch(self) -> None:
        """After our beginning stands the mark, then what can't be guessed (RFC 3261 section 8.1.1.7)."""
        for mark in ("", "2-"):
            self.layer = Transactions(self.clock, self.user, mark=mark)
            self.layer.request(request("OPTIONS"), self.udp).final.addErrback(lambda _: None)
            self.assertRegex(self.udp.last_request.via.branch or "", rf"^z9hG4bKwp-{mark}[0-9a-f]{{24}}$")


class Plain(ClientCase):
    """Figure 6."""

    method = "OPTIONS"

    def test_timers_e_and_f(self) -> None:
        """E doubles up to T2; at 64*T1 the user gets TimedOut (section 17.1.2.2)."""
        transaction = self.send()
        self.assertEqual(state(transaction), "Trying")
        self.assertEqual(self.times(self.udp, 31.875), [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5])
        self.assertEqual((set(self.udp.sent), self.outcomes), ({self.udp.sent[0]}, []))
        self.clock.advance(0.125)
        self.assertEqual((self.outcomes, state(transaction)), ([TimedOut], "Terminated"))

    def test_reliable(self) -> None:
        """No Timer E on a connection; F runs, a 1xx or not."""
        for status in (None, 100):
            self.send(self.wss)
            if status:
                self.answer(status, self.wss)
            self.assertEqual(self.times(self.wss, 31.875), [])
            self.clock.advance(0.125)
            self.assertEqual((len(self.layer), self.outcomes.pop()), (0, TimedOut))

    def test_proceeding(self) -> None:
        """After a 1xx it is sent again every T2, until F; the 1xx is told to nobody."""
        transaction = self.send()
        self.answer(100)
        self.assertEqual(state(transaction), "Proceeding")
        self.assertEqual(self.times(self.udp, 31.875), [0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5])
        self.answer(180)
        self.assertEqual((self.provisional, self.outcomes), ([], []))
        self.clock.advance(0.125)
        self.assertEqual(self.outcomes, [TimedOut])

    def test_completed(self) -> None:
        """Repeats are absorbed for T4 on UDP; on a connection there is nothing to absorb."""
        for status in (200, 302, 404, 503, 603):
            for before in ((), (100,)):
                transaction = self.send()
                for provisional in before:
                    self.answer(provisional)
                self.udp.clear()
                for again in (status, status, 100, 500):
                    self.answer(again)
                self.assertEqual((self.outcomes.pop(), state(transaction)), (status, "Completed"))
                self.assertEqual(self.times(self.udp, 4.875), [])
                self.assertEqual(len(self.layer), 1)
                self.clock.advance(0.125)
                self.assertEqual((len(self.layer), state(transaction)), (0, "Terminated"))
                transaction = self.send(self.wss)
                self.answer(status, self.wss)
                self.assertEqual((self.outcomes.pop(), state(transaction)), (status, "Terminated"))
                self.assertEqual((len(self.layer), self.clock.getDelayedCalls()), (0, []))

    def test_lost(self) -> None:
        """FlowLost at once, before a 1xx and after it; and for what is sent on a dead connection."""
        self.send(self.wss)
        self.answer(100, self.wss)
        self.send(self.wss)
        self.wss.lose()
        self.assertEqual(self.outcomes, [FlowLost, FlowLost])
        self.send(self.wss)
        self.assertEqual((self.outcomes, self.clock.getDelayedCalls()), ([FlowLost] * 3, []))
        self.udp.broken = True
        self.send()
        self.assertEqual(self.outcomes, [FlowLost] * 4)

    def test_completed_and_lost(self) -> None:
        """A flow of UDP is never lost; what is absorbed there ends by Timer K."""
        self.send()
        self.answer(200)
        self.udp.lose()
        self.assertEqual(len(self.layer), 1)
