"""Transfers that the proxy carries out by itself: `refer = local` (RFC 3515, RFC 5589)."""

from __future__ import annotations

from dataclasses import replace

from tests.call.party import Pair, Party, party_of
from tests.call.test_replacing import ReplacingCase, name_of, refer_to, tag_of
from tests.call.world import PLAIN
from tests.support.configs import CARRIER, PBX
from tests.support.ngnode import TRUNK_SDP
from webrtcproxy.errors import NgRefused
from webrtcproxy.sip.message import Request

TARGET = "sip:dave@carrier.example.net:5080"
BY = ("Referred-By", "<sip:alice@pbx.example.com>")
NEW = TRUNK_SDP % {b"port": 60000, b"version": 1}


class HandoverCase(ReplacingCase):
    """A browser's call to bob, whose trunk does not do REFER; dave is elsewhere."""

    trunks = (replace(PBX, refer="local"), replace(CARRIER, refer="local"))

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.pbx = self.world.browser(), self.world.trunk()
        self.carrier = self.world.trunk("192.0.2.7", 5090)
        self.alice.bind()
        self.mine, self.bob = self.out(self.alice, self.pbx, "bob")

    def refer(self, *headers: Pair, to: str = TARGET, status: int = 405) -> Request:
        """Alice's REFER, which bob refuses: the INVITE to dave."""
        self.mine.ask("REFER", b"", *(headers or (("Refer-To", f"<{to}>"), BY)))
        self.bob.answer(self.pbx.request("REFER"), status)
        self.alice.heard(202)
        self.told("100 Trying", "active")
        return self.carrier.request("INVITE")

    def told(self, fragment: str, state: str) -> Request:
        """The next NOTIFY that alice gets; answered 200."""
        notify = self.alice.request("NOTIFY")
        self.assertEqual(notify.body, f"SIP/2.0 {fragment}\r\n".encode())
        self.assertEqual(notify.content_type, "message/sipfrag")
        self.assertTrue((notify.headers.get("Subscription-State") or "").startswith(state), notify.headers)
        self.assertEqual(notify.headers.get("Event"), f"refer;id={self.mine.cseq}")
        self.assertEqual(notify.call_id, self.mine.call_id)
        self.mine.answer(notify, 200)
        return notify

    def answered(self, invite: Request) -> Party:
        """Dave answers, and bob agrees to hear him."""
        answer = self.carrier.answer(invite, 200, NEW, tag="dave")
        self.carrier.heard("ACK")
        self.agrees(self.bob)
        return party_of(self.carrier, invite, answer)

    def agrees(self, party: Party, status: int = 200) -> Request:
        offered = party.peer.request("INVITE")
        self.assertEqual(offered.call_id, party.call_id)
        party.answer(offered, status, party.sdp() if status == 200 else b"")
        party.peer.heard("ACK")
        return offered

    def old_call(self) -> None:
        """The call of alice and bob is as it was, and its session may be changed."""
        self.world.turn(40)
        self.hold(self.mine, self.bob)
        self.bye(self.mine, self.bob)

    def hold(self, asker: Party, other: Party) -> None:
        invite = asker.ask("INVITE", asker.sdp("sendonly"))
        crossed = other.peer.request("INVITE")
        other.answer(crossed, 200, other.sdp("recvonly"))
        other.peer.heard("ACK")
        asker.peer.heard(200)
        asker.ack(invite)


class Blind(HandoverCase):
    """The target is called."""

    def test_done(self) -> None:
        """202, NOTIFYs, a new leg in the transferee's name with the transferor's Referred-By; both ends get a media
        session of their own; the transferor gets a BYE, and the call goes on without him (CORNERS 4: 3515, 3892)."""
        for status in (405, 501, 603):
            invite = self.refer(status=status)
            self.assertEqual(invite.uri, TARGET)
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
            self.assertEqual(new.operations[0].sdp, PLAIN)
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
        leg = self.world.legs.of((self.bob.call_id, tag_of(self.bob.remote), tag_of(self.bob.local)))
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
        """The transferor may not have called there himself: nor by transfer; the call goes on."""
        for to, status in (("sip:x@elsewhere.example", 403), ("sips:x@pbx.example.com", 416),
                           ("sip:x@pbx.example.com;method=BYE", 603)):  # fmt: skip
            self.mine.ask("REFER", b"", ("Refer-To", f"<{to}>"))
            self.bob.answer(self.pbx.request("REFER"), 405)
            self.alice.heard(status)
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
        invite = self.refer()
        self.carrier.answer(invite, 401, headers=[challenge])
        self.carrier.heard("ACK")
        again = self.carrier.request("INVITE")
        self.assertIn('username="us"', again.headers.get("Authorization") or "")
        self.carrier.answer(again, 486)
        self.carrier.heard("ACK")
        self.told("486 Busy Here", "terminated")
        self.world.location.prove(self.alice.aor, self.alice.flow, 0)
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

    def test_behind_another(self) -> None:
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


class HangUps(HandoverCase):
    """Somebody hangs up while the target rings."""

    def test_transferor(self) -> None:
        """He may go at once: the transfer goes on, and he still hears how it went."""
        invite = self.refer()
        self.mine.ask("BYE")
        self.alice.heard(200)
        self.mine.cseq -= 1
        self.carrier.answer(invite, 180, tag="dave")
        self.told("180 Ringing", "active")
        self.world.turn(10)
        self.pbx.silent()
        dave = self.answered(invite)
        self.told("200 OK", "terminated")
        self.alice.silent()
        self.bye(self.bob, dave)
        self.assert_over(self.alice, self.pbx, self.carrier)

    def test_transferor_and_it_fails(self) -> None:
        """There is nobody to come back to: the transferee gets a BYE."""
        invite = self.refer()
        self.mine.ask("BYE")
        self.alice.heard(200)
        self.mine.cseq -= 1
        self.carrier.answer(invite, 486)
        self.carrier.heard("ACK")
        self.told("486 Busy Here", "terminated")
        self.world.turn()
        self.bob.answer(self.pbx.request("BYE"), 200)
        self.assert_over(self.alice, self.pbx, self.carrier)

    def test_transferor_is_lost(self) -> None:
        """His browser is gone for good: the same as if he had hung up."""
        invite = self.refer()
        self.carrier.answer(invite, 100)
        self.alice.flow.lose()
        self.world.turn(6)
        dave = self.answered(invite)
        self.bye(self.bob, dave)
        self.assert_over(self.pbx, self.carrier)

    def test_transferee(self) -> None:
        """The call is over, and the target is not wanted any more."""
        invite = self.refer()
        self.bob.ask("BYE")
        self.pbx.heard(200)
        self.world.turn()
        self.carrier.answer(invite, 100)
        self.carrier.answer(self.carrier.request("CANCEL"), 200)
        self.carrier.answer(invite, 487)
        self.carrier.heard("ACK")
        pending = [self.alice.request("NOTIFY"), self.alice.request("BYE")]
        self.assertIn(b"487", pending[0].body)
        for request in pending:
            self.mine.answer(request, 200)
        self.assert_over(self.alice, self.pbx, self.carrier)

    def test_target_at_once(self) -> None:
        """The target hangs up before the transferee has agreed: the transferee is taken back."""
        invite = self.refer()
        answer = self.carrier.answer(invite, 200, NEW, tag="dave")
        self.carrier.heard("ACK")
        offered = self.pbx.request("INVITE")
        self.bob.answer(offered, 100)
        dave = party_of(self.carrier, invite, answer)
        dave.ask("BYE")
        self.carrier.heard(200)
        self.told("480 Temporarily Unavailable", "terminated")
        self.pbx.answer(self.pbx.request("CANCEL"), 200)
        self.bob.answer(offered, 200, self.bob.sdp())
        self.pbx.heard("ACK")
        self.agrees(self.bob)
        self.old_call()

    def test_shutdown(self) -> None:
        """The proxy ends: everybody gets his BYE, the target a CANCEL."""
        invite = self.refer()
        self.world.calls.stop()
        self.world.turn()
        self.carrier.answer(invite, 100)
        self.carrier.answer(self.carrier.request("CANCEL"), 200)
        self.carrier.answer(invite, 487)
        self.carrier.heard("ACK")
        for peer, party in ((self.alice, self.mine), (self.pbx, self.bob)):
            while peer.pending():
                message = peer.next()
                assert isinstance(message, Request)
                party.answer(message, 200)
        self.assert_over(self.alice, self.pbx, self.carrier)


class Attended(HandoverCase):
    """The target is the other end of a call that the transferor has here, too."""

    def consult(self) -> None:
        self.second, self.carol = self.out(self.alice, self.pbx, "carol")
        self.mine.ask("REFER", b"", refer_to(self.second.target, name_of(self.second)), BY)
        self.bob.answer(self.pbx.request("REFER"), 501)
        self.alice.heard(202)
        self.told("100 Trying", "active")

    def test_done(self) -> None:
        """Both ends are offered a session with each other; the transferor gets a BYE in both of his calls
        (CORNERS 4: 3891)."""
        self.consult()
        self.agrees(self.carol)
        self.agrees(self.bob)
        bye = self.alice.request("BYE")
        self.assertEqual(bye.call_id, self.second.call_id)
        self.second.answer(bye, 200)
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.assertEqual(len(self.world.calls), 1)
        self.bye(self.bob, self.carol)
        self.assert_over(self.alice, self.pbx)

    def test_target_refuses(self) -> None:
        """Both calls stand."""
        self.consult()
        self.agrees(self.carol, 488)
        self.told("488 Not Acceptable Here", "terminated")
        self.bye(self.second, self.carol)
        self.old_call()

    def test_transferee_refuses(self) -> None:
        """The target is offered its old session again; both calls stand."""
        self.consult()
        before = self.agrees(self.carol)
        self.agrees(self.bob, 488)
        back = self.agrees(self.carol)
        self.assertNotEqual(before.body, back.body)
        self.told("488 Not Acceptable Here", "terminated")
        self.bye(self.second, self.carol)
        self.old_call()

    def test_transferor_leaves_both(self) -> None:
        """He may hang up both at once."""
        self.consult()
        for party in (self.mine, self.second):
            party.ask("BYE")
            self.alice.heard(200)
        self.mine.cseq -= 1
        self.agrees(self.carol)
        self.agrees(self.bob)
        self.told("200 OK", "terminated")
        self.alice.silent()
        self.bye(self.carol, self.bob)
        self.assert_over(self.alice, self.pbx)

    def test_transferor_leaves_both_and_it_fails(self) -> None:
        """Then both ends get a BYE."""
        self.consult()
        for party in (self.mine, self.second):
            party.ask("BYE")
            self.alice.heard(200)
        self.mine.cseq -= 1
        self.agrees(self.carol, 488)
        self.told("488 Not Acceptable Here", "terminated")
        self.world.turn()
        for party in (self.bob, self.carol):
            party.answer(self.pbx.request("BYE"), 200)
        self.assert_over(self.alice, self.pbx)

    def test_target_hangs_up(self) -> None:
        """The call with the target is over; that with the transferee stands."""
        self.consult()
        offered = self.pbx.request("INVITE")
        self.carol.ask("BYE")
        self.pbx.heard(200)
        self.carol.answer(offered, 481)
        self.world.turn()
        while self.pbx.pending():
            self.pbx.next()
        self.told("487 Request Terminated", "terminated")
        self.second.answer(self.alice.request("BYE"), 200)
        self.old_call()

    def test_same_call(self) -> None:
        """Nobody is brought together with himself."""
        self.mine.ask("REFER", b"", refer_to(self.mine.target, name_of(self.mine)))
        self.bob.answer(self.pbx.request("REFER"), 405)
        self.alice.heard(603)
        self.old_call()

    def test_foreign(self) -> None:
        """A dialog that is none of ours: the target hears its name in the INVITE."""
        invite = self.refer(("Refer-To", f"<{TARGET}?Replaces=a%40b%3Bfrom-tag%3D1%3Bto-tag%3D2>"), BY)
        self.assertEqual(invite.headers.get("Replaces"), "a@b;to-tag=2;from-tag=1")
        self.carrier.answer(invite, 481)
        self.carrier.heard("ACK")
        self.told("481 Call/Transaction Does Not Exist", "terminated")
        self.old_call()


class Limits(HandoverCase):
    """Transferred calls count as the transferor's while they last."""

    def test_counted(self) -> None:
        """He can't have more of them than calls."""
        before = self.world.legs.on(self.alice.flow)
        dave = self.answered(self.refer())
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.assertEqual(self.world.legs.on(self.alice.flow), before)
        self.bye(dave, self.bob)
        self.assertEqual(self.world.legs.on(self.alice.flow), 0)
