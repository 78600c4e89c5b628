"""Transactions: which message belongs to which transaction."""

from __future__ import annotations

from tests.support.exposition import Readings
from tests.support.fakes import FakeFlow
from tests.support.messages import ack, cancel, ours, request, response, twin
from tests.transaction.case import TransactionCase, state
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response


class Requests(TransactionCase):
    """Which transaction a request belongs to (section 17.2.3)."""

    def finish(self) -> None:
        for transaction in self.user.transactions:
            if not transaction.answered:
                transaction.reply(404)

    def test_branch_sent_by_and_method(self) -> None:
        """Another branch, host or port in the top Via, or method: another transaction."""
        for via in (
            "SIP/2.0/UDP h1:5060;branch=z9hG4bKa",
            "SIP/2.0/UDP h1:5060;branch=z9hG4bKb",
            "SIP/2.0/UDP h1:5061;branch=z9hG4bKa",
            "SIP/2.0/UDP h2:5060;branch=z9hG4bKa",
        ):
            for method in ("OPTIONS", "INFO"):
                asked = request(method, via=via)
                self.receive(asked)
                self.receive(asked)
        self.assertEqual(len(self.user.transactions), 8)
        self.finish()

    def test_received_and_rport(self) -> None:
        """What the transport writes into the Via is no part of it: a NAT may change the port between two repeats."""
        first = request("OPTIONS", via="SIP/2.0/UDP h;branch=z9hG4bKa;rport=1024;received=203.0.113.9")
        self.receive(first)
        self.receive(twin(first, via="SIP/2.0/UDP h;branch=z9hG4bKa;rport=1025;received=203.0.113.9"), self.flow())
        self.assertEqual(len(self.user.transactions), 1)
        self.finish()

    def test_repeats_go_where_the_request_came_from(self) -> None:
        """Over UDP, who sends a known branch from elsewhere gets nothing there."""
        asked, transaction = self.arrive("OPTIONS", self.udp)
        transaction.reply(200)
        other = self.flow(port=9)
        self.receive(asked, other)
        self.assertEqual((self.udp.summary, other.sent), ([200, 200], []))

    def test_connection(self) -> None:
        """On connections the same branch on another one is another transaction: nobody reads or ends another's call."""
        invite, transaction = self.arrive("INVITE", self.wss)
        other = self.flow(reliable=True)
        self.receive(cancel(invite), other)
        self.assertEqual((other.summary, self.user.cancels), ([481], []))
        transaction.reply(486)
        self.receive(ack(invite, self.wss.last_response), other)
        self.assertEqual(state(transaction), "Completed")
        self.receive(twin(invite), other)
        self.assertEqual(self.wss.summary, [486])
        self.finish()

    def test_rfc_2543(self) -> None:
        """Without the magic cookie, or with nothing after it, Request-URI, tags, Call-ID, CSeq and Via tell. The ACK
        has the To tag of the response; that of another one is the user's."""
        for branch in ("", ";branch=z9hG4bK", ";branch=1"):
            via = f"SIP/2.0/UDP 198.51.100.1{branch}"
            invite = request("INVITE", via=via)
            self.receive(invite)
            transaction = self.user.transaction
            self.receive(invite)
            self.assertEqual(self.udp.summary, [100])
            transaction.reply(486)
            refusal = self.udp.last_response
            for tag, then in (("strange", "Completed"), (transaction.to_tag, "Confirmed")):
                message = twin(ack(invite, refusal), via=via)
                message.headers.set("To", f"<sip:bob@example.com>;tag={tag}")
                self.receive(message)
                self.assertEqual(state(transaction), then)
            self.assertEqual(len(self.user.acks), 1)
            other = twin(invite)
            other.headers.set("CSeq", "2 INVITE")
            self.receive(other)
            self.assertIsNot(self.user.transaction, transaction)
            self.finish()
            self.udp.clear()
            self.user.acks.clear()

    def test_rfc_2543_inside_a_dialog(self) -> None:
        """A re-INVITE has a To tag of its own accord, and so has its ACK; its CANCEL is matched like any."""
        via = "SIP/2.0/UDP 198.51.100.1"
        invite = request("INVITE", via=via, to_tag="dialog")
        self.receive(invite)
        self.receive(twin(invite, method="CANCEL"))
        self.assertEqual(len(self.user.cancels), 1)
        self.user.transaction.reply(487)
        self.receive(twin(invite, method="ACK"))
        self.assertEqual((state(self.user.transaction), self.user.acks), ("Confirmed", []))

    def test_merged(self) -> None:
        """The same request by two ways: the second gets 482, while the first is there (section 8.2.2.2;
        corners.rst 1: Loop / merge)."""
        for method in ("INVITE", "MESSAGE"):
            asked, transaction = self.arrive(method, self.udp)
            self.receive(twin(asked, via="SIP/2.0/UDP h;branch=z9hG4bKother"))
            self.assertEqual(self.udp.summary, [482])
            other = self.flow(reliable=True)
            self.receive(twin(asked, via="SIP/2.0/UDP h;branch=z9hG4bKthird"), other)
            self.assertEqual(other.summary, [482])
            transaction.reply(404)
            self.clock.advance(40)
            self.receive(twin(asked, via="SIP/2.0/UDP h;branch=z9hG4bKother"))
            self.assertIsNot(self.user.transaction, transaction)
            self.finish()
            self.udp.clear()

    def test_repeat_from_another_address(self) -> None:
        """A peer with several addresses repeats its request from any of them; the copy of somebody else is a merged
        request, and gets nothing of the answer."""
        other, stranger = FakeFlow.udp("198.51.100.2"), FakeFlow.udp("203.0.113.66")
        self.user.same = {self.udp, other}
        for to_tag in ("", "dialog"):
            asked = request("INFO", to_tag=to_tag, branch=f"z9hG4bK1{to_tag}")
            self.receive(asked)
            transaction = self.user.transaction
            transaction.reply(404)
            self.receive(asked, other)
            self.assertEqual((self.udp.summary, other.summary), ([404, 404], []))
            self.assertIs(self.user.transaction, transaction)
            self.receive(asked, stranger)
            self.assertEqual(self.udp.summary, [404, 404])
            self.finish()
            self.udp.clear()
        self.assertEqual(stranger.summary, [482, 404])

    def test_spiral(self) -> None:
        """For another Request-URI it is a spiral, and fine; so is another CSeq, From tag or Call-ID, and all that has a
        To tag."""
        first = request("INVITE")
        self.receive(first)
        self.receive(twin(first, via="SIP/2.0/UDP h;branch=z9hG4bK1", uri="sip:else@example.com"))
        for name, value in (
            ("CSeq", "9 INVITE"),
            ("From", "<sip:a@b>;tag=x"),
            ("Call-ID", "z"),
            ("To", "<sip:b@c>;tag=y"),
        ):
            other = twin(first, via=f"SIP/2.0/UDP h;branch=z9hG4bK{name}")
            other.headers.set(name, value)
            self.receive(other)
        self.assertEqual((len(self.user.transactions), self.udp.sent), (6, []))
        self.finish()

    def test_merged_inside_a_dialog(self) -> None:
        """A request that has a To tag is never a merged one (section 8.2.2.2)."""
        first = request("INFO", to_tag="dialog")
        self.receive(first)
        self.receive(twin(first, via="SIP/2.0/UDP h;branch=z9hG4bKother"))
        self.assertEqual((len(self.user.transactions), self.udp.sent), (2, []))
        self.finish()


class Cancels(TransactionCase):
    """Section 9.2; what becomes of it in each state is in test_server."""

    def setUp(self) -> None:
        super().setUp()
        self.invite, self.transaction = self.arrive("INVITE", self.udp)
        self.udp.clear()

    def tearDown(self) -> None:
        if not self.transaction.answered:
            self.transaction.reply(487)
        super().tearDown()

    def test_other_branch_and_sent_by(self) -> None:
        """A CANCEL with a new branch and sent-by is matched by Call-ID, From tag, CSeq and Request-URI
        (drachtio-server#480)."""
        self.receive(twin(cancel(self.invite), via="SIP/2.0/UDP 203.0.113.77:5099;branch=z9hG4bKmoved"))
        self.assertEqual(self.udp.summary, [200])
        self.assertEqual([transaction for transaction, _ in self.user.cancels], [self.transaction])

    def test_only_on_the_same_flow(self) -> None:
        """Such a one is believed only on the flow of its INVITE."""
        for flow in (self.flow(port=9), self.wss):
            self.receive(twin(cancel(self.invite), via="SIP/2.0/UDP 203.0.113.77;branch=z9hG4bKmoved"), flow)
            self.assertEqual((flow.summary, self.user.cancels), ([481], []))

    def test_branch_of_somebody_else(self) -> None:
        """The branch alone is not enough: from another address it needs the word of the user that the peer is the
        same, and its answer goes there."""
        other = FakeFlow.udp("198.51.100.2")
        self.receive(cancel(self.invite), other)
        self.assertEqual((other.summary, self.user.cancels), ([481], []))
        self.user.owning = {other}
        self.receive(cancel(self.invite), other)
        self.transaction.reply(487)
        self.assertEqual((other.summary, self.udp.summary), ([481, 200, 487], []))

    def test_nothing_to_cancel(self) -> None:
        """481, with one To tag for all repeats (section 8.2.7), and nothing is kept."""
        for parts in ({"uri": "sip:else@example.com"}, {"call_id": "else"}, {"from_tag": "else"}, {"cseq": 7}):
            given = {
                "uri": self.invite.uri,
                "call_id": self.invite.call_id,
                "from_tag": "alice-tag",
                "cseq": 1,
                **parts,
            }
            other = request("CANCEL", branch="z9hG4bKelse", **given)
            self.receive(other)
            self.receive(other)
            self.assertEqual(self.udp.summary, [481, 481])
            self.assertEqual(self.udp.sent[0], self.udp.sent[1])
            self.assertTrue(self.udp.last_response.to.tag)
            self.udp.clear()
        self.assertEqual((len(self.layer), self.user.cancels), (1, []))

    def test_strangers(self) -> None:
        """One that is not admitted gets silence."""
        self.user.admitting = False
        self.receive(cancel(self.invite))
        self.assertEqual((self.udp.sent, self.user.cancels), ([], []))

    def test_user_fails(self) -> None:
        """An exception in the user: the CANCEL has its 200, the INVITE its 500; it is logged."""
        self.user.on_cancel = lambda transaction: 1 / 0
        self.receive(cancel(self.invite))
        self.assertEqual(self.udp.summary, [200, 500])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class Acks(TransactionCase):
    """ACKs that are no transaction's."""

    def test_stray(self) -> None:
        """It goes up and is never answered, readable or not."""
        asked = request("ACK", to_tag="x")
        self.receive(asked)
        self.receive(asked)
        self.assertEqual(self.user.acks, [(asked, self.udp), (asked, self.udp)])
        broken = request("ACK")
        broken.headers.set("CSeq", "x ACK")
        self.receive(broken)
        broken.headers.set("Via", "nonsense")
        self.receive(broken)
        self.assertEqual(self.udp.sent, [])

    def test_strangers(self) -> None:
        """Nothing goes up from where nobody is admitted."""
        self.user.admitting = False
        self.receive(request("ACK", to_tag="x"))
        self.assertEqual(self.user.acks, [])

    def test_user_fails(self) -> None:
        """It is logged."""
        self.user.on_ack = lambda asked: 1 / 0
        self.receive(request("ACK", to_tag="x"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_send_ack(self) -> None:
        """The ACK of a 2xx: a branch of its own, no transaction (section 13.2.2.4); the same octets for each repeat;
        never an exception."""
        made = ours("ACK", to_tag="bob-tag")
        self.assertTrue(self.layer.send_ack(made, self.udp))
        self.layer.send_ack(made, self.udp)
        self.layer.send_ack(ours("ACK", to_tag="bob-tag"), self.wss)
        self.assertEqual(self.udp.sent[0], self.udp.sent[1])
        first, second = self.udp.last_request.via, self.wss.last_request.via
        self.assertEqual((first.rport, second.rport), ("", None))
        self.assertNotEqual(first.branch, second.branch)
        self.assertEqual(len(self.layer), 0)
        self.wss.lose()
        self.layer.send_ack(ours("ACK", to_tag="bob-tag"), self.wss)
        made.uri = "sip:a b"
        self.layer.send_ack(made, self.udp)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class Responses(TransactionCase):
    """Which responses are ours (sections 17.1.3 and 18.1.2)."""

    def send(self, flow: FakeFlow) -> Request:
        transaction = self.layer.request(ours("INFO"), flow)
        self.final = transaction.final
        return transaction.request

    def test_via(self) -> None:
        """Our Via goes on top: the flow's transport and sent-by, a branch that can't be guessed, rport on UDP only."""
        branches = set()
        for flow, transport, rport in ((self.udp, "UDP", ""), (self.wss, "WSS", None)):
            sent = self.send(flow)
            via = flow.last_request.via
            self.assertEqual((via.transport, via.sent_by, via.rport), (transport, flow.sent_by, rport))
            self.assertTrue(str(via.branch).startswith("z9hG4bK"))
            self.assertGreaterEqual(len(str(via.branch)), len("z9hG4bK") + 20)
            branches.add(via.branch)
            self.receive(response(sent, 200), flow)
            self.successResultOf(self.final)
        self.assertEqual(len(branches), 2)

    def test_dropped(self) -> None:
        """A foreign branch or sent-by, none, another method in CSeq, an unreadable Via: silence, no effect."""
        sent = self.send(self.udp)
        for name, value in (
            ("Via", f"SIP/2.0/UDP {self.udp.sent_by};branch=z9hG4bKforged"),
            ("Via", f"SIP/2.0/UDP {self.udp.sent_by}"),
            ("Via", f"SIP/2.0/UDP 203.0.113.66;branch={sent.via.branch}"),
            ("Via", "nonsense"),
            ("CSeq", "1 BYE"),
        ):
            forged = response(sent, 200)
            forged.headers.set(name, value)
            self.receive(forged)
            self.assertNoResult(self.final)
        self.assertEqual(self.udp.summary, ["INFO"])
        self.receive(response(sent, 200))
        self.successResultOf(self.final)

    def test_from_elsewhere(self) -> None:
        """Over UDP a response comes from the address that the request was sent to, whatever the port, or from another
        one of the same peer; any other is ignored, and counted (docs/access.rst: A request within a dialog)."""
        sent = self.send(self.udp)
        elsewhere, other = FakeFlow.udp("203.0.113.66"), FakeFlow.udp("198.51.100.2")
        self.user.same = {self.udp, other}
        readings = Readings(self.metrics)
        self.receive(response(sent, 200), elsewhere)
        self.assertNoResult(self.final)
        self.assertEqual(readings.moved(), {'refused_total{reason="foreign"}': 1})
        self.receive(response(sent, 200), other)
        self.successResultOf(self.final)
        sent = self.send(self.udp)
        self.receive(response(sent, 200), self.flow(port=40000))
        self.successResultOf(self.final)

    def test_sent_by_in_another_case(self) -> None:
        """Host names know no case."""
        flow = FakeFlow.udp(sent_by="Proxy.example.com:5060")
        self.flows.append(flow)
        sent = self.send(flow)
        answer = response(sent, 200)
        answer.headers.set("Via", str(sent.via).replace("Proxy", "PROXY"))
        self.receive(answer, flow)
        self.successResultOf(self.final)

    def test_flow(self) -> None:
        """Over UDP the branch is enough, from whatever address; on a connection the response comes the same way."""
        sent = self.send(self.udp)
        self.receive(response(sent, 200), self.wss)
        self.assertNoResult(self.final)
        self.receive(response(sent, 200), self.flow(port=9))
        self.successResultOf(self.final)
        sent = self.send(self.wss)
        for flow in (self.udp, self.flow(reliable=True)):
            self.receive(response(sent, 200), flow)
            self.assertNoResult(self.final)
        self.receive(response(sent, 200), self.wss)
        self.successResultOf(self.final)

    def test_unwritable(self) -> None:
        """A request that can't be written is the caller's fault, and leaves nothing over."""
        made = ours("INFO")
        made.uri = "sip:a b"
        self.assertRaises(ValueError, self.layer.request, made, self.udp)
        self.assertEqual((len(self.layer), self.clock.getDelayedCalls()), (0, []))

    def test_user_fails(self) -> None:
        """An exception out of a callback is logged; the transaction goes on."""
        for error, logged in ((RuntimeError("boom"), 1), (BadMessage("Bad Contact"), 0)):

            def burst(message: Response, error: Exception = error) -> None:
                raise error

            transaction = self.layer.request(ours("INVITE"), self.udp, on_provisional=burst, on_answer=burst)
            for status in (180, 200, 200):
                self.receive(response(transaction.request, status))
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2 * logged)
            self.assertEqual(self.successResultOf(transaction.final).status, 200)

    def test_sent(self) -> None:
        """Our request that comes back: for the same Request-URI a loop, for another one a spiral."""
        transaction = self.layer.request(ours("INVITE", "sip:bob@example.com"), self.udp)
        for method, uri, loops in (
            ("INVITE", "sip:bob@example.com", True),
            ("INVITE", "sip:carol@example.com", False),
            ("MESSAGE", "sip:bob@example.com", False),
        ):
            back = Request(method, uri, transaction.request.headers.copy())
            back.headers.prepend("Via", "SIP/2.0/UDP 198.51.100.1;branch=z9hG4bKp")
            self.assertEqual(self.layer.is_loop(back), loops)
        self.assertFalse(self.layer.is_loop(request("INVITE")))
        self.receive(response(transaction.request, 486))
        self.successResultOf(transaction.final)
