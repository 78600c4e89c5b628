"""What several targets of one INVITE mean for the dialogs of its call (RFC 3263 section 4.3; RFC 3261 13.2.2)."""

from __future__ import annotations

from tests.call.test_cycles import CycleCase
from tests.routing.test_failover import FIRST, SECOND, Case, pbx
from tests.support.calls.party import party_of
from tests.support.calls.world import PLAIN
from webrtcproxy.sip.message import Request

CHALLENGE = ("WWW-Authenticate", 'Digest realm="pbx", nonce="abc", qop="auth"')
RELIABLE = (("Require", "100rel"), ("RSeq", "7"))


class AtTheSecond(Case):
    """The first target is silent; the second takes the call, and wants a lot of things first."""

    trunks = (pbx(FIRST, SECOND, username="us", password="secret"),)

    def begin(self, *trunks: object) -> None:
        super().begin(*trunks)  # type: ignore[arg-type]
        self.alice.bind()

    def challenged(self) -> tuple[Request, Request]:
        """The INVITE at the first target; and at the second one, with credentials."""
        leg = self.call()
        self.wait(4.1)
        self.first.forget()
        plain = self.second.request("INVITE")
        self.second.answer(plain, 401, headers=[CHALLENGE])
        self.second.heard("ACK")
        again = self.second.request("INVITE")
        self.assertEqual(again.cseq.number, leg.cseq.number + 1)
        return leg, again

    def test_all_of_it(self) -> None:
        """Challenge, session interval, reliable 183, answer, re-INVITE of the far side, BYE: each goes where the one
        before came from, with the next CSeq and the next nonce count; the first target learns of nothing."""
        _, again = self.challenged()
        self.second.answer(again, 422, headers=[("Min-SE", "3600")])
        self.second.heard("ACK")
        longer = self.second.request("INVITE")
        self.assertEqual(longer.cseq.number, again.cseq.number + 1)
        self.assertEqual(longer.headers.lines("Session-Expires"), ["3600"])
        self.assertIn("nc=00000002", longer.headers.get("Authorization") or "")
        early = self.second.answer(longer, 183, PLAIN, headers=RELIABLE)
        prack = self.second.request("PRACK")
        self.assertEqual(prack.headers.get("RAck"), f"7 {longer.cseq.number} INVITE")
        self.assertIn("nc=00000003", prack.headers.get("Authorization") or "")
        self.second.answer(prack, 200)
        self.assertTrue(self.alice.response(183).body)
        self.second.answer(longer, 200)
        self.assertEqual(self.second.request("ACK").cseq.number, longer.cseq.number)
        ok = self.alice.response(200)
        self.alice.ack(self.invite, ok)
        callee = party_of(self.second, longer, early)
        theirs = callee.ask("INVITE", callee.sdp("sendonly"))
        mine = party_of(self.alice, self.invite, ok)
        mine.answer(self.alice.request("INVITE"), 200, mine.sdp("recvonly").replace(b"actpass", b"active"))
        self.alice.heard("ACK")
        self.second.heard(200)
        callee.ack(theirs)
        mine.ask("BYE")
        self.alice.heard(200)
        self.world.turn()
        self.second.answer(self.second.request("BYE"), 200)
        self.assert_over(self.alice, self.first, self.second)

    def test_first_answers_too_late(self) -> None:
        """The first target answers what it was asked: each of its 200s is ACKed with that CSeq number, which is not the
        one that counts at the second; so it is with a further fork of it."""
        leg, again = self.challenged()
        for tag in ("late", "fork"):
            self.first.answer(leg, 200, PLAIN, tag=tag)
            self.assertEqual(self.first.request("ACK").cseq.number, leg.cseq.number)
            bye = self.first.request("BYE")
            self.assertEqual((bye.to.tag, bye.cseq.number), (tag, leg.cseq.number + 1))
            self.first.answer(bye, 200)
            self.first.answer(leg, 200, PLAIN, tag=tag)
            self.assertEqual(self.first.request("ACK").cseq.number, leg.cseq.number)
        self.answered_by(self.second, again)
        self.assert_over(self.alice, self.first, self.second)

    def test_late_offer(self) -> None:
        """An INVITE without an offer: the second target's is answered in the ACK."""
        self.alice.sdp = b""
        _, again = self.challenged()
        self.assertEqual(again.body, b"")
        answer = self.second.answer(again, 200, PLAIN)
        self.second.silent()
        ok = self.alice.response(200)
        mine = party_of(self.alice, self.invite, ok)
        mine.ack(self.invite, mine.sdp().replace(b"actpass", b"active"))
        ack = self.second.request("ACK")
        self.assertEqual((ack.cseq.number, bool(ack.body)), (again.cseq.number, True))
        self.assertIn("Authorization", ack.headers)
        party_of(self.second, again, answer).ask("BYE")
        self.second.heard(200)
        self.world.turn()
        mine.answer(self.alice.request("BYE"), 200)
        self.assert_over(self.alice, self.first, self.second)


class EachChallenges(Case):
    """Every target has nonces of its own."""

    def test_all_in_trouble_but_the_last(self) -> None:
        """Each challenges, and all but the last one are in trouble after that: nobody has refused the credentials."""
        hosts = ["192.0.2.50", "192.0.2.51", "192.0.2.52", "192.0.2.53"]
        self.begin(pbx(*hosts, username="us", password="secret"))
        self.alice.bind()
        self.invite = self.alice.invite("sip:bob@pbx.example.com")
        for host in hosts:
            target = self.world.trunk(host)
            challenge = ("WWW-Authenticate", f'Digest realm="pbx", nonce="{host}"')
            target.answer(target.request("INVITE"), 401, headers=[challenge])
            target.heard("ACK")
            if host != hosts[-1]:
                target.answer(target.request("INVITE"), 503)
                target.heard("ACK")
        self.answered_by(target, target.request("INVITE"))

    def test_wrong_password(self) -> None:
        """What one target refuses twice is not tried for ever."""
        self.begin(pbx(FIRST, SECOND, username="us", password="wrong"))
        self.alice.bind()
        leg = self.call()
        for nonce in ("a", "b"):
            self.first.answer(leg, 401, headers=[("WWW-Authenticate", f'Digest realm="pbx", nonce="{nonce}"')])
            self.first.heard("ACK")
            leg = self.first.request("INVITE")
        self.first.answer(leg, 401, headers=[("WWW-Authenticate", 'Digest realm="pbx", nonce="c"')])
        self.first.heard("ACK")
        self.assertEqual(self.alice.response(502).reason, "Trunk Refuses Our Credentials")
        self.assert_over(self.alice, self.first, self.second)


class Cycles(CycleCase):
    """No object of a call needs the collector, wherever it went (see test_cycles)."""

    trunks = (pbx(FIRST, SECOND, username="us", password="secret", redirects="follow"),)

    def test_all_of_it(self) -> None:
        """Given up, challenged, redirected, answered by one that was given up."""

        def live() -> None:
            alice, first, second = self.world.browser(), self.world.trunk(FIRST), self.world.trunk(SECOND)
            alice.bind()
            invite = alice.invite("sip:bob@pbx.example.com")
            leg = first.request("INVITE")
            self.world.turn(4.1)
            alice.heard(100)
            first.forget()
            second.answer(second.request("INVITE"), 401, headers=[CHALLENGE])
            second.heard("ACK")
            second.answer(second.request("INVITE"), 302, headers=[("Contact", "<sip:sales@pbx.example.com>")])
            second.heard("ACK")
            for _ in range(2):
                first.answer(leg, 200, PLAIN, tag="late")
            last = second.request("INVITE")
            second.answer(last, 183, PLAIN, headers=RELIABLE)
            second.answer(second.request("PRACK"), 200)
            alice.heard(183)
            second.answer(last, 200)
            second.heard("ACK")
            ok = alice.response(200)
            alice.ack(invite, ok)
            alice.say(alice.inside("BYE", invite, ok))
            self.world.turn()
            second.answer(second.request("BYE"), 200)

        self.assertEqual(self.left(live), [])
