"""CANCEL as the client sends it: its form and its moment (RFC 3261 section 9.1)."""

from __future__ import annotations

from tests.transaction.case import ClientCase, state
from webrtcproxy.runtime.errors import TimedOut


class Cancel(ClientCase):
    """Taking an INVITE back (section 9.1)."""

    def test_form(self) -> None:
        """Byte compare: Request-URI, Call-ID, From, To and CSeq number of the INVITE, its top Via only, its Route; no
        Require; what the user adds."""
        transaction = self.send(headers=[("Route", "<sip:p1;lr>"), ("Require", "foo"), ("X-A", "b")], body=b"v=0\r\n")
        self.answer(180)
        transaction.cancel([("Reason", "SIP;cause=200")])
        self.assertEqual(
            self.udp.sent[-1].decode(),
            f"CANCEL {self.sent.uri} SIP/2.0\r\n"
            f"Via: {self.sent.via}\r\n"
            "Route: <sip:p1;lr>\r\n"
            "Max-Forwards: 70\r\n"
            f"From: {self.sent.headers.get('From')}\r\n"
            f"To: {self.sent.headers.get('To')}\r\n"
            f"Call-ID: {self.sent.call_id}\r\n"
            f"CSeq: {self.sent.cseq.number} CANCEL\r\n"
            "Reason: SIP;cause=200\r\n"
            "Content-Length: 0\r\n\r\n",
        )
        self.answer(487)

    def test_waits_for_a_provisional_response(self) -> None:
        """CANCEL 10 ms after the INVITE; 100 at 2 s: CANCEL at 2 s. The user learns of no more 1xx."""
        transaction = self.send()
        self.clock.advance(0.01)
        transaction.cancel()
        self.assertEqual(self.times(self.udp, 1.99), [0.49, 1.49])
        self.assertEqual(self.udp.summary, ["INVITE", "INVITE", "INVITE"])
        self.answer(100)
        self.assertEqual(self.udp.summary[3:], ["CANCEL"])
        self.answer(200, to=self.udp.last_request)
        self.answer(180)
        self.assertEqual((self.udp.summary[3:], self.provisional), (["CANCEL"], []))
        self.answer(487)
        self.assertEqual((self.udp.summary[3:], self.outcomes), (["CANCEL", "ACK"], [487]))

    def test_final_first(self) -> None:
        """The final response comes without any 1xx: no CANCEL."""
        for status in (200, 486):
            transaction = self.send()
            transaction.cancel()
            self.answer(status)
            self.assertNotIn("CANCEL", self.udp.summary)
        self.assertEqual(self.outcomes, [200, 486])

    def test_silence(self) -> None:
        """No response at all: Timer B, as ever; nothing is sent."""
        transaction = self.send(self.wss)
        transaction.cancel()
        self.clock.advance(32)
        self.assertEqual((self.wss.summary, self.outcomes), (["INVITE"], [TimedOut]))

    def test_once(self) -> None:
        """Twice is once; after a final response it is nothing, in whatever state."""
        transaction = self.send()
        self.answer(180)
        transaction.cancel()
        transaction.cancel()
        self.assertEqual(self.udp.summary, ["INVITE", "CANCEL"])
        self.answer(200, to=self.udp.last_request)
        self.answer(487)
        transaction.cancel()
        accepted = self.send()
        self.answer(200)
        accepted.cancel()
        self.clock.advance(40)
        accepted.cancel()
        self.assertEqual(self.udp.summary, ["INVITE", "CANCEL", "ACK", "INVITE"])

    def test_no_final_response_after_it(self) -> None:
        """CANCEL answered, no 487 ever: at 64*T1 after the CANCEL the transaction is given up; 1xx don't help."""
        for flow in (self.udp, self.wss):
            transaction = self.send(flow)
            self.answer(180, flow)
            self.clock.advance(100)
            transaction.cancel()
            self.answer(200, flow, to=flow.last_request)
            self.clock.advance(10)
            self.answer(180, flow)
            self.clock.advance(21.875)
            self.assertEqual(self.outcomes, [])
            self.clock.advance(0.125)
            self.assertEqual((self.outcomes, state(transaction), len(self.layer)), ([TimedOut], "Terminated", 0))
            self.outcomes.clear()

    def test_answered_all_the_same(self) -> None:
        """A 200 that crosses the CANCEL is the final response, and stays for Timer M."""
        transaction = self.send()
        self.answer(180)
        transaction.cancel()
        self.answer(200, to=self.udp.last_request)
        self.clock.advance(30)
        self.answer(200)
        self.clock.advance(31)
        self.answer(200)
        self.assertEqual((self.outcomes, len(self.again)), ([200], 1))

    def test_transaction_of_its_own(self) -> None:
        """A CANCEL is sent again by Timer E until it is answered; its failure is ignored."""
        transaction = self.send()
        self.answer(180)
        transaction.cancel()
        self.udp.clear()
        self.assertEqual(self.times(self.udp, 4), [0.5, 1.5, 3.5])
        self.assertEqual(set(self.udp.summary), {"CANCEL"})
        self.answer(487)
        self.clock.advance(60)
        self.assertEqual(self.outcomes, [487])

    def test_unsendable(self) -> None:
        """A CANCEL that can't be sent: the INVITE waits its 64*T1."""
        transaction = self.send()
        self.answer(180)
        self.udp.broken = True
        transaction.cancel()
        self.assertEqual(self.outcomes, [])
        self.clock.advance(32)
        self.assertEqual(self.outcomes, [TimedOut])

    def test_broken_header(self) -> None:
        """A header that can't be written is the caller's fault, and spoils nothing."""
        transaction = self.send()
        self.answer(180)
        self.assertRaises(ValueError, transaction.cancel, [("Reason", "a\r\nb")])
        transaction.cancel()
        self.assertEqual(self.udp.summary, ["INVITE", "CANCEL"])
        self.answer(487)

    def test_only_an_invite(self) -> None:
        """Other requests can't be taken back."""
        self.method = "OPTIONS"
        transaction = self.send()
        transaction.cancel()
        self.answer(200)
        self.assertEqual(self.udp.summary, ["OPTIONS"])
