"""Transfers by the proxy of which somebody hangs up meanwhile, and those to another call (RFC 5589)."""

from __future__ import annotations

from tests.support.calls.party import Party, party_of
from tests.support.calls.transferring import BY, NEW, TARGET, LocalTransferCase, name_of, refer_to
from tests.support.calls.world import PLAIN
from webrtcproxy.sip.message import Request


class HangUps(LocalTransferCase):
    """Somebody hangs up while the target rings."""

    def test_transferor(self) -> None:
        """It may go at once: the transfer goes on, and it still learns how it went."""
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

    def test_his_reason_is_his_own(self) -> None:
        """What its BYE says is not what the call ends with, long after it."""
        invite = self.refer()
        self.mine.ask("BYE", b"", ("Reason", 'SIP;cause=200;text="Off to lunch"'))
        self.alice.heard(200)
        self.mine.cseq -= 1
        dave = self.answered(invite)
        self.told("200 OK", "terminated")
        self.world.turn(60)
        self.world.calls.stop()
        self.world.turn()
        for party in (self.bob, dave):
            bye = party.peer.request("BYE")
            self.assertNotIn("Reason", bye.headers)
            party.answer(bye, 200)
        self.assert_over(self.alice, self.pbx, self.carrier)

    def test_transferor_does_not_know_the_call(self) -> None:
        """What crosses to it meanwhile it answers 481, or not at all: that ends no call that goes on without it."""
        for status in (481, 0):
            invite = self.refer()
            self.bob.ask("INFO", b"x")
            info = self.alice.request("INFO")
            dave = self.answered(invite)
            self.told("200 OK", "terminated")
            self.mine.answer(self.alice.request("BYE"), 200)
            if status:
                self.mine.answer(info, status)
            for _ in range(66):
                self.world.turn(0.5)
            while self.pbx.pending()[:1] in (["100"], ["481"], ["504"]):
                self.pbx.next()
            self.hold(dave, self.bob)
            self.bye(dave, self.bob)
            self.assert_over(self.alice, self.pbx, self.carrier)
            self.mine, self.bob = self.out(self.alice, self.pbx, "bob")
        self.bye(self.mine, self.bob)

    def test_transferor_who_never_sends_ack(self) -> None:
        """It gets its BYE when the time for it is up (RFC 3261 section 13.3.1.4); the others go on."""
        self.bye(self.mine, self.bob)
        invite = self.alice.invite("sip:bob@pbx.example.com")
        leg = self.pbx.request("INVITE")
        answer = self.pbx.answer(leg, 200, PLAIN, tag="bob")
        self.pbx.heard("ACK")
        self.mine = party_of(self.alice, invite, self.alice.response(200))
        self.bob = party_of(self.pbx, leg, answer)
        dave = self.answered(self.refer())
        self.told("200 OK", "terminated")
        for _ in range(66):
            self.world.turn(0.5)
        while self.alice.pending()[:1] == ["200"]:
            self.alice.next()
        self.mine.answer(self.alice.request("BYE"), 200)
        self.hold(dave, self.bob)
        self.bye(dave, self.bob)
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

    def test_transferor_who_refreshes(self) -> None:
        """One that has left refreshes no session, and is not missed."""
        self.mine.ask("UPDATE", b"", ("Supported", "timer"), ("Session-Expires", "90;refresher=uac"))
        self.alice.heard(200)
        invite = self.refer()
        self.carrier.answer(invite, 180, tag="dave")
        self.told("180 Ringing", "active")
        self.mine.ask("BYE")
        self.alice.heard(200)
        self.mine.cseq -= 1
        for _ in range(100):
            self.world.turn(1)
        self.pbx.silent()
        dave = self.answered(invite)
        self.told("200 OK", "terminated")
        self.bye(self.bob, dave)

    def test_transferor_is_lost(self) -> None:
        """Its browser is gone for ever: the same as if it had hung up."""
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

    def test_target_during_glare(self) -> None:
        """The target hangs up while the offer to the transferee is out, and collides with one of its own; or during the
        pause after that: the offer is withdrawn, and is not made again."""
        for pausing in (False, True):
            invite = self.refer()
            answer = self.carrier.answer(invite, 200, NEW, tag="dave")
            self.carrier.heard("ACK")
            offered = self.pbx.request("INVITE")
            if pausing:
                self.bob.answer(offered, 491)
                self.pbx.heard("ACK")
            else:
                self.bob.answer(offered, 100)
            party_of(self.carrier, invite, answer).ask("BYE")
            self.carrier.heard(200)
            self.told("480 Temporarily Unavailable", "terminated")
            if not pausing:
                self.pbx.answer(self.pbx.request("CANCEL"), 200)
                self.bob.answer(offered, 491)
                self.pbx.heard("ACK")
            self.world.turn(4)
            self.pbx.silent()
        self.old_call()

    def test_shutdown(self) -> None:
        """The proxy ends: everybody gets its BYE, the target a CANCEL."""
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


class Attended(LocalTransferCase):
    """The target is the other end of a call that the transferor has here, too."""

    def consult(self) -> None:
        self.second, self.carol = self.out(self.alice, self.pbx, "carol")
        self.mine.ask("REFER", b"", refer_to(self.second.target, name_of(self.second)), BY)
        self.bob.answer(self.pbx.request("REFER"), 501)
        self.alice.heard(202)
        self.told("100 Trying", "active")

    def test_done(self) -> None:
        """Both ends are offered a session with each other; the transferor gets a BYE in both of its calls
        (corners.rst 4: 3891)."""
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
        """It may hang up both at once."""
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
        """Nobody is brought together with itself."""
        self.mine.ask("REFER", b"", refer_to(self.mine.target, name_of(self.mine)))
        self.bob.answer(self.pbx.request("REFER"), 405)
        self.alice.heard(603)
        self.old_call()

    def test_foreign(self) -> None:
        """A dialog that is not ours: the target gets its name in the INVITE."""
        invite = self.refer(("Refer-To", f"<{TARGET}?Replaces=a%40b%3Bfrom-tag%3D1%3Bto-tag%3D2>"), BY)
        self.assertEqual(invite.headers.get("Replaces"), "a@b;to-tag=2;from-tag=1")
        self.carrier.answer(invite, 481)
        self.carrier.heard("ACK")
        self.told("481 Call/Transaction Does Not Exist", "terminated")
        self.old_call()


class OfTheCallee(LocalTransferCase):
    """The transferor was called: the transferee is the caller."""

    def setUp(self) -> None:
        super().setUp()
        self.bye(self.mine, self.bob)
        self.bob, self.mine = self.into(self.pbx, self.alice)
        self.pbx.forget()

    def told_of(self, invite: Request) -> Party:
        dave = self.answered(invite)
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        return dave

    def test_done(self) -> None:
        """Sessions change both ways, either side may offer late, the sessions are refreshed; either end hangs up."""
        for last in (0, 1):
            dave = self.told_of(self.refer())
            for asker, other in ((self.bob, dave), (dave, self.bob)):
                self.hold(asker, other)
                late = asker.ask("INVITE")
                crossed = other.peer.request("INVITE")
                self.assertEqual(crossed.body, b"")
                other.answer(crossed, 200, other.sdp())
                self.assertTrue(asker.peer.response(200).body)
                asker.ack(late, asker.sdp())
                self.assertTrue(other.peer.request("ACK").body)
            self.world.turn(899)
            self.world.turn(32)
            for party in (self.bob, dave):
                party.answer(party.peer.request("OPTIONS"), 200)
            self.bye(*((self.bob, dave) if last else (dave, self.bob)))
            self.assert_over(self.alice, self.pbx, self.carrier)
            self.alice.bind()
            self.bob, self.mine = self.into(self.pbx, self.alice)
            self.pbx.forget()
        self.bye(self.mine, self.bob)

    def test_goes_on_alone(self) -> None:
        """The transferor's browser is gone after it: that concerns nobody any more."""
        dave = self.told_of(self.refer())
        self.alice.flow.lose()
        self.world.turn(60)
        self.hold(dave, self.bob)
        self.bye(dave, self.bob)
        self.assert_over(self.pbx, self.carrier)


class Limits(LocalTransferCase):
    """Transferred calls count as the transferor's while they last."""

    def test_counted(self) -> None:
        """It can't have more of them than calls."""
        before = self.world.legs.count_on(self.alice.flow)
        dave = self.answered(self.refer())
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.assertEqual(self.world.legs.count_on(self.alice.flow), before)
        self.bye(dave, self.bob)
        self.assertEqual(self.world.legs.count_on(self.alice.flow), 0)
