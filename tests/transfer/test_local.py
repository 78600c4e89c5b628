"""Transfers that the proxy carries out by itself: `refer = local` (RFC 3515, RFC 5589)."""

from __future__ import annotations

import secrets

from tests.support.calls.party import Party, party_of
from tests.support.calls.transferring import BY, NEW, TARGET, LocalTransferCase, tag_of
from tests.support.calls.world import PLAIN
from tests.support.configs import CARRIER
from tests.support.fakes import FakeFlow
from webrtcproxy.runtime.errors import NgRefused
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.sdp.rewriting import sent_nowhere


class Blind(LocalTransferCase):
    """The target is called."""

    def test_done(self) -> None:
        """202, NOTIFYs, a new leg in the transferee's name with the transferor's Referred-By; both ends get a media
        session of their own, which does not know where bob is before he has agreed to it; the transferor gets a BYE,
        and the call goes on without it (corners.rst 4: 3515, 3892)."""
        for status in (405, 501, 603):
            invite = self.refer(("Refer-To", f"<{TARGET}?Subject=x>"), BY, status=status)
            self.assertEqual(invite.uri, TARGET)
            self.assertNotIn("Subject", invite.headers)
            self.assertEqual(invite.from_.uri, "sip:bob@pbx.example.com")
            self.assertEqual(invite.headers.lines("Referred-By"), [BY[1]])
            self.assertIn(b"RTP/AVP", invite.body)
            self.carrier.answer(invite, 180, tag="dave")
            self.told("180 Ringing", "active")
            self.pbx.silent()
            dave = self.answered(invite)
            self.told("200 OK", "terminated;reason=noresource")
            self.mine.answer(self.alice.request("BYE"), 200)
            old, new = self.world.nodes.sessions[-2:]
            self.assertEqual(([o.command for o in new.operations]), ["offer", "answer", "offer", "answer"])
            self.assertEqual(new.operations[0].sdp, sent_nowhere(PLAIN))
            self.assertEqual(new.operations[1].sdp, NEW)
            self.assertEqual(new.operations[2].sdp, NEW)
            self.assertEqual(new.operations[3].sdp, self.bob.sdp())
            self.assertTrue(old.deleted)
            self.talk(self.bob, dave)
            self.bye(dave, self.bob)
            self.assert_over(self.alice, self.pbx, self.carrier)
            self.mine, self.bob = self.out(self.alice, self.pbx, "bob")
        self.bye(self.mine, self.bob)

    def talk(self, one: Party, other: Party) -> None:
        """The two are in one call: what each asks gets to the other."""
        for asker, asked in ((one, other), (other, one)):
            self.hold(asker, asked)
            asker.ask("INFO", b"x")
            asked.answer(asked.peer.request("INFO"), 200)
            asker.peer.heard(200)

    def test_not_asked(self) -> None:
        """A trunk that says that it takes no REFER is not asked."""
        leg = self.world.legs.get((self.bob.call_id, tag_of(self.bob.remote), tag_of(self.bob.local)))
        assert leg is not None
        allow = Request("INVITE", "sip:x@y")
        allow.headers.add("Allow", "INVITE, ACK, BYE")
        leg.learn(allow)
        self.mine.ask("REFER", b"", ("Refer-To", f"<{TARGET}>"))
        self.alice.heard(202)
        self.told("100 Trying", "active")
        self.pbx.silent()
        invite = self.carrier.request("INVITE")
        self.assertNotIn("Referred-By", invite.headers)
        self.carrier.answer(invite, 486)
        self.carrier.heard("ACK")
        self.told("486 Busy Here", "terminated")
        self.old_call()

    def test_other_refusals_cross(self) -> None:
        """Any other answer is the transferor's to hear."""
        for status in (202, 403, 480):
            self.mine.ask("REFER", b"", ("Refer-To", f"<{TARGET}>"), ("Refer-Sub", "false"))
            self.bob.answer(self.pbx.request("REFER"), status, b"", ("Refer-Sub", "false"))
            self.alice.heard(status)
        self.carrier.silent()
        self.bye(self.mine, self.bob)

    def test_refused(self) -> None:
        """Whatever the target says, the transferor hears, and the old call stands."""
        for status, fragment in ((486, "486 Busy Here"), (603, "603 Decline"), (302, "302 Moved Temporarily")):
            invite = self.refer()
            self.carrier.answer(invite, status)
            self.carrier.heard("ACK")
            self.told(fragment, "terminated;reason=noresource")
            self.pbx.silent()
            self.assertTrue(self.world.nodes.sessions[-1].deleted)
        self.old_call()

    def test_rings_too_long(self) -> None:
        """A target that nobody answers is given up like any call, and the old call stands."""
        invite = self.refer()
        self.carrier.answer(invite, 180, tag="dave")
        self.told("180 Ringing", "active")
        self.world.turn(180)
        self.told("408 Request Timeout", "terminated")
        self.carrier.answer(self.carrier.request("CANCEL"), 200)
        self.carrier.answer(invite, 487, tag="dave")
        self.carrier.heard("ACK")
        self.old_call()

    def test_not_allowed(self) -> None:
        """The transferor may not have called there itself: nor by transfer, whoever does it; the call goes on."""
        for to, status in (("sip:x@elsewhere.example", 403), ("sips:x@pbx.example.com", 416)):
            self.mine.ask("REFER", b"", ("Refer-To", f"<{to}>"))
            self.alice.heard(status)
            self.pbx.silent()
        self.mine.ask("REFER", b"", ("Refer-To", "<sip:x@pbx.example.com;method=BYE>"))
        self.bob.answer(self.pbx.request("REFER"), 405)
        self.alice.heard(603)
        self.old_call()

    def test_unreachable(self) -> None:
        """No way to the target is 502, in a NOTIFY."""
        self.mine.ask("REFER", b"", ("Refer-To", f"<{TARGET}>"))
        refer = self.pbx.request("REFER")
        self.world.unreachable = True
        self.bob.answer(refer, 405)
        self.world.unreachable = False
        self.alice.heard(202)
        self.told("100 Trying", "active")
        self.told("502 Trunk Unreachable", "terminated")
        self.old_call()

    def test_challenged(self) -> None:
        """The trunk's challenge is answered with its credentials, where the transferor may use them; else it fails."""
        challenge = ("WWW-Authenticate", 'Digest realm="carrier", nonce="n", qop="auth"')
        self.alice.authenticate(CARRIER)
        invite = self.refer()
        self.carrier.answer(invite, 401, headers=[challenge])
        self.carrier.heard("ACK")
        again = self.carrier.request("INVITE")
        self.assertIn('username="us"', again.headers.get("Authorization") or "")
        self.carrier.answer(again, 486)
        self.carrier.heard("ACK")
        self.told("486 Busy Here", "terminated")
        self.world.location.proofs.remove(self.alice.flow, "alice@carrier.example.net")
        invite = self.refer()
        self.carrier.answer(invite, 401, headers=[challenge])
        self.carrier.heard("ACK")
        self.told("401 Unauthorized", "terminated")
        self.old_call()

    def test_transferee_refuses(self) -> None:
        """A transferee that does not take the new session stays in the old one; the target gets a BYE."""
        invite = self.refer()
        answer = self.carrier.answer(invite, 200, NEW, tag="dave")
        self.carrier.heard("ACK")
        self.agrees(self.bob, 488)
        dave = party_of(self.carrier, invite, answer)
        dave.answer(self.carrier.request("BYE"), 200)
        self.told("488 Not Acceptable Here", "terminated")
        self.old_call()

    def test_glare(self) -> None:
        """Our offer meets one of the transferee's: it is made again (RFC 3261 section 14.1)."""
        invite = self.refer()
        answer = self.carrier.answer(invite, 200, NEW, tag="dave")
        self.carrier.heard("ACK")
        offered = self.pbx.request("INVITE")
        theirs = self.bob.ask("INVITE", self.bob.sdp())
        self.pbx.heard(491)
        self.bob.ack_refusal(theirs)
        self.bob.answer(offered, 491)
        self.pbx.heard("ACK")
        self.world.turn(4)
        self.agrees(self.bob)
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.bye(party_of(self.carrier, invite, answer), self.bob)

    def test_pause_at_glare(self) -> None:
        """The offer is made again after 1.9 to 2.9 seconds, at random (RFC 3261 section 14.1)."""
        for share, seconds in ((0, 1.9), (1, 2.9)):
            invite = self.refer()
            answer = self.carrier.answer(invite, 200, NEW, tag="dave")
            self.carrier.heard("ACK")
            self.patch(secrets, "randbelow", lambda limit, share=share: share * (limit - 1))
            self.bob.answer(self.pbx.request("INVITE"), 491)
            self.pbx.heard("ACK")
            self.world.turn(seconds - 0.01)
            self.pbx.silent()
            self.world.turn(0.02)
            self.agrees(self.bob, 488)
            party_of(self.carrier, invite, answer).answer(self.carrier.request("BYE"), 200)
            self.told("488 Not Acceptable Here", "terminated")
        self.old_call()

    def test_no_media(self) -> None:
        """rtpengine refuses the target's answer, or the transferee's: the old session stands, or is told again."""
        for count in (1, 2):
            invite = self.refer()
            self.world.nodes.fail("answer", NgRefused("no")) if count == 1 else None
            answer = self.carrier.answer(invite, 200, NEW, tag="dave")
            self.carrier.heard("ACK")
            if count == 2:
                self.world.nodes.fail("answer", NgRefused("no"))
                offered = self.pbx.request("INVITE")
                self.bob.answer(offered, 200, self.bob.sdp())
                self.pbx.heard("ACK")
                back = self.agrees(self.bob)
                self.assertNotEqual(back.body, offered.body)
            party_of(self.carrier, invite, answer).answer(self.carrier.request("BYE"), 200)
            self.told("488 Not Acceptable Here", "terminated")
        self.old_call()

    def test_silent(self) -> None:
        """Refer-Sub: false: no NOTIFY is sent (RFC 4488)."""
        self.mine.ask("REFER", b"", ("Refer-To", f"<{TARGET}>"), ("Refer-Sub", "false"))
        self.bob.answer(self.pbx.request("REFER"), 405)
        self.assertEqual(self.alice.response(202).headers.get("Refer-Sub"), "false")
        dave = self.answered(self.carrier.request("INVITE"))
        self.mine.answer(self.alice.request("BYE"), 200)
        self.bye(dave, self.bob)

    def test_media_lost(self) -> None:
        """rtpengine gives up the new session: that ends the call, as ever."""
        dave = self.answered(self.refer())
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.world.nodes.lose(self.world.nodes.sessions[-1])
        for party in (dave, self.bob):
            bye = party.peer.request("BYE")
            self.assertEqual('SIP;cause=503;text="Media lost"', bye.headers.get("Reason"))
            party.answer(bye, 200)
        self.assert_over(self.alice, self.pbx, self.carrier)

    def test_kept_alive(self) -> None:
        """Both ends of the new call are asked for signs of life, and not the one that has left (RFC 4028)."""
        dave = self.answered(self.refer())
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        for _ in range(60):
            self.world.turn(16)
            if self.pbx.pending():
                break
        for party in (self.bob, dave):
            party.answer(party.peer.request("OPTIONS"), 200)
        self.alice.silent()
        self.world.turn(32)
        self.bye(dave, self.bob)

    def test_vanished(self) -> None:
        """One of them has no such dialog any more: the other one gets a BYE, and nobody else."""
        dave = self.answered(self.refer())
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        for _ in range(60):
            self.world.turn(16)
            if self.pbx.pending():
                break
        self.bob.answer(self.pbx.request("OPTIONS"), 481)
        dave.answer(self.carrier.request("OPTIONS"), 200)
        self.world.turn()
        dave.answer(self.carrier.request("BYE"), 200)
        self.assert_over(self.alice, self.pbx, self.carrier)

    def test_after_another(self) -> None:
        """What bob was referred to before, and has accepted, he still tells alice of, who has left."""
        self.mine.ask("REFER", b"", ("Refer-To", f"<{TARGET}>"))
        self.bob.answer(self.pbx.request("REFER"), 202)
        self.alice.heard(202)
        dave = self.answered(self.refer())
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.bob.ask("NOTIFY", b"", ("Event", "refer"), ("Subscription-State", "terminated"))
        self.mine.answer(self.alice.request("NOTIFY"), 200)
        self.pbx.heard(200)
        self.carrier.silent()
        self.bye(dave, self.bob)

    def test_before_the_answer(self) -> None:
        """A call whose callee has offered, and has no answer as yet: 491, its session is not there to be moved."""
        self.bye(self.mine, self.bob)
        self.alice.sdp = b""
        invite = self.alice.invite("sip:bob@pbx.example.com")
        leg = self.pbx.request("INVITE")
        answer = self.pbx.answer(leg, 200, PLAIN, tag="bob", headers=[("Allow", "INVITE, ACK, BYE")])
        ok = self.alice.response(200)
        self.mine, self.bob = party_of(self.alice, invite, ok), party_of(self.pbx, leg, answer)
        self.mine.ask("REFER", b"", ("Refer-To", f"<{TARGET}>"))
        self.alice.heard(491)
        self.carrier.silent()
        self.mine.ack(invite, self.mine.sdp().replace(b"actpass", b"active"))
        self.assertTrue(self.pbx.request("ACK").body)
        dave = self.answered(self.refer_at_once())
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.bye(dave, self.bob)

    def refer_at_once(self) -> Request:
        """As `refer`, where bob is not asked."""
        self.mine.ask("REFER", b"", ("Refer-To", f"<{TARGET}>"))
        self.alice.heard(202)
        self.told("100 Trying", "active")
        return self.carrier.request("INVITE")

    def test_one_at_a_time(self) -> None:
        """A second REFER meanwhile is 491, and so is a re-INVITE of either side."""
        invite = self.refer()
        self.mine.ask("REFER", b"", ("Refer-To", f"<{TARGET}>"))
        self.bob.answer(self.pbx.request("REFER"), 405)
        self.alice.heard(491)
        theirs = self.mine.ask("INVITE", self.mine.sdp())
        self.alice.heard(491)
        self.mine.ack_refusal(theirs)
        self.mine.cseq -= 2  # of which the NOTIFYs know nothing
        self.carrier.answer(invite, 486)
        self.carrier.heard("ACK")
        self.told("486 Busy Here", "terminated")
        self.mine.cseq += 2
        self.old_call()


class AtOnce(LocalTransferCase):
    """The target's 2xx has answered our offer, so that it may make one of its own at once (RFC 3311 section 5.1)."""

    def ask_at_once(self, method: str) -> tuple[Party, Request]:
        """Dave answers, and changes the session before bob has agreed to hear him."""
        invite = self.refer()
        answer = self.carrier.answer(invite, 200, NEW, tag="dave")
        self.carrier.heard("ACK")
        dave = party_of(self.carrier, invite, answer)
        asked = dave.ask(method, dave.sdp("sendonly", 7))
        self.carrier.silent() if method == "UPDATE" else self.carrier.forget()
        return dave, asked

    def test_waits(self) -> None:
        """It crosses once the call has its leg. Only one waits."""
        for method in ("UPDATE", "INVITE"):
            dave, asked = self.ask_at_once(method)
            dave.ask("UPDATE", dave.sdp("sendonly", 8))
            self.carrier.heard(491)
            self.agrees(self.bob)
            self.told("200 OK", "terminated")
            self.mine.answer(self.alice.request("BYE"), 200)
            self.bob.answer(self.pbx.request("INVITE"), 200, self.bob.sdp("recvonly", 3))
            self.pbx.heard("ACK")
            self.carrier.heard(200)
            if method == "INVITE":
                dave.ack(asked)
            self.bye(dave, self.bob)
            self.world = self.make_world()
            self.people()

    def test_ends_meanwhile(self) -> None:
        """Where the transfer fails, or dave hangs up, it has its final response (RFC 3261 section 15.1.2)."""
        self.ask_at_once("UPDATE")
        self.bob.answer(self.pbx.request("INVITE"), 488)
        self.pbx.heard("ACK")
        self.carrier.heard(487)
        self.told("488 Not Acceptable Here", "terminated")
        self.carrier.answer(self.carrier.request("BYE"), 200)
        dave, _ = self.ask_at_once("UPDATE")
        dave.ask("BYE")
        self.assertEqual(self.carrier.pending(), ["200", "487"])

    def test_cancelled(self) -> None:
        """A re-INVITE that waits can be cancelled (RFC 3261 section 9.2), and is not handed to the call then."""
        dave, asked = self.ask_at_once("INVITE")
        dave.cancel(asked)
        self.assertEqual(sorted(self.carrier.pending()), ["200", "487"])
        self.carrier.forget()
        self.agrees(self.bob)
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.carrier.silent()
        self.bye(dave, self.bob)

    def test_moved(self) -> None:
        """Where dave is reached on another connection meanwhile, his answer and the BYE go there."""
        for waits in (True, False):
            invite = self.refer()
            answer = self.carrier.answer(invite, 200, NEW, tag="dave")
            self.carrier.heard("ACK")
            if waits:
                dave = party_of(self.carrier, invite, answer)
                dave.ask("UPDATE", dave.sdp("sendonly", 7))
            leg = self.world.legs.get((invite.call_id, invite.from_.tag or "", "dave"))
            assert leg is not None and leg.owner is not None
            flow = FakeFlow.tcp("192.0.2.9", 5061)
            leg.owner.moved(leg, flow)
            self.bob.answer(self.pbx.request("INVITE"), 488)
            self.pbx.heard("ACK")
            self.told("488 Not Acceptable Here", "terminated")
            self.carrier.silent()
            sent = [str(message).split(" ")[0] for message in flow.messages]
            self.assertEqual(len(sent), 2 if waits else 1, sent)

    def test_what_the_call_refuses(self) -> None:
        """The call refuses what it would refuse at any time."""
        for contact, status in (("<mailto:dave>", 400), ("<sip:dave@192.0.2.7>", 422)):
            invite = self.refer()
            answer = self.carrier.answer(invite, 200, NEW, tag="dave")
            self.carrier.heard("ACK")
            dave = party_of(self.carrier, invite, answer)
            short = (("Session-Expires", "60"), ("Supported", "timer"), ("Contact", contact))
            dave.ask("UPDATE", dave.sdp("sendonly", 7), *short)
            self.carrier.silent()
            self.agrees(self.bob)
            self.carrier.heard(status)
            self.told("200 OK", "terminated")
            self.mine.answer(self.alice.request("BYE"), 200)
            self.bye(dave, self.bob)
            self.world = self.make_world()
            self.people()
