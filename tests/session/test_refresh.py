"""Our refreshes: of whom they are asked, with what, and what becomes of each answer (RFC 4028 sections 7.4 and 10,
corners.rst 4: 4028)."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tests.support.calls.party import Pair, Party
from tests.support.calls.timing import JSSIP, TIMER, UPDATES, TimerCase
from tests.support.calls.world import OFFER, PLAIN
from webrtcproxy.runtime.errors import NgRefused
from webrtcproxy.session.modifier import HELD_LIMIT
from webrtcproxy.sip.capabilities import SUPPORTED_WITHIN
from webrtcproxy.sip.message import Request, respond
from webrtcproxy.transport.flow import Hop


class OfOurs(TimerCase):
    """We refresh."""

    def connect_ours(self, *more: Pair) -> tuple[Party, Party]:
        return self.connect(JSSIP, (TIMER, *more, ("Session-Expires", "300;refresher=uac")))

    def test_by_update(self) -> None:
        """UPDATE without SDP at half of the interval where the peer lists it, again and again; alice gets nothing."""
        caller, callee = self.connect_ours(UPDATES)
        for number in range(2, 5):
            self.keep_alice(149, caller)
            self.trunk.silent()
            self.keep_alice(1, caller)
            update = self.trunk.request("UPDATE")
            self.assertEqual((update.body, update.cseq.number), (b"", number))
            self.assertEqual(update.headers.lines("Session-Expires"), ["300;refresher=uac"])
            self.assertEqual(update.headers.lines("Supported"), [SUPPORTED_WITHIN[1]])
            callee.answer(update, 200, b"", ("Session-Expires", "300;refresher=uac"))
        self.alice.silent()
        self.assertEqual(len(self.world.calls), 1)

    def test_by_reinvite(self) -> None:
        """Else a re-INVITE with the session as it was told last, o= and its version too (section 7.4); rtpengine has no
        part in it where the answer is the old one."""
        caller, callee = self.connect_ours()
        commands = len(self.world.nodes.sessions[0].operations)
        for _ in range(3):
            self.keep_alice(150, caller)
            invite = self.trunk.request("INVITE")
            self.assertEqual(invite.body, self.leg.body)
            self.assertEqual(invite.headers.lines("Content-Type"), ["application/sdp"])
            answer = callee.answer(invite, 200, PLAIN, ("Session-Expires", "300;refresher=uac"))
            self.assertEqual(self.trunk.request("ACK").cseq.number, invite.cseq.number)
            self.trunk.say(answer)
            self.trunk.heard("ACK")
        self.alice.silent()
        self.assertEqual(len(self.world.nodes.sessions[0].operations), commands)

    def test_new_ports_in_the_answer(self) -> None:
        """A peer that answers the re-INVITE from elsewhere: rtpengine is told, the other leg is not."""
        caller, callee = self.connect_ours()
        self.keep_alice(150, caller)
        self.world.nodes.sessions[0].operations.clear()
        moved = PLAIN.replace(b"50000", b"50002")
        callee.answer(self.trunk.request("INVITE"), 200, moved, ("Session-Expires", "300;refresher=uac"))
        self.trunk.heard("ACK")
        offer, answer = self.world.nodes.sessions[0].operations
        self.assertEqual((offer.command, offer.sdp, offer.to and offer.to.name), ("offer", OFFER, "trunk"))
        self.assertEqual((answer.command, answer.sdp, answer.to and answer.to.name), ("answer", moved, "browser"))
        self.alice.silent()

    def test_towards_a_browser(self) -> None:
        """What was an answer to the browser is offered with the DTLS role open (RFC 8842 section 5.2)."""
        caller, _ = self.connect((TIMER, ("Session-Expires", "90;refresher=uas")))
        self.assertNotIn(b"actpass", self.ok.body)
        self.wait(45)
        invite = self.alice.request("INVITE")
        self.assertIn(b"a=setup:actpass", invite.body)
        self.assertEqual(invite.body.replace(b"actpass", b"passive"), self.ok.body.replace(b"active", b"passive"))
        caller.answer(invite, 200, OFFER, ("Session-Expires", "90;refresher=uac"))
        self.alice.heard("ACK")

    def test_only_what_was_told(self) -> None:
        """What a refresh of the other side made rtpengine say, and nobody was told, is not offered here."""
        caller, callee = self.connect((TIMER, ("Session-Expires", "90;refresher=uas")))
        invite = callee.ask("INVITE", PLAIN)
        self.trunk.heard(200)
        callee.ack(invite)
        self.alice.silent()
        self.wait(45)
        offered = self.alice.request("INVITE")
        self.assertEqual(offered.body.replace(b"actpass", b"passive"), self.ok.body.replace(b"active", b"passive"))
        caller.answer(offered, 200, OFFER, ("Session-Expires", "90;refresher=uac"))
        self.alice.heard("ACK")

    def test_odd_answers(self) -> None:
        """A 2xx without SDP, with another body, or with a Contact that leads nowhere, is a sign of life: ACK, and the
        session stays as it is."""
        for body, headers in (
            (b"", []),
            (b"hello", [("Content-Type", "text/plain")]),
            (PLAIN, [("Content-Type", "application/sdp"), ("Contact", "<tel:+4930>")]),
        ):
            self.world = self.make_world()
            caller, _ = self.connect_ours()
            self.keep_alice(150, caller)
            invite = self.trunk.request("INVITE")
            answer = respond(invite, 200, headers=[*headers, ("Session-Expires", "300;refresher=uac")], body=body)
            self.world.nodes.sessions[0].operations.clear()
            self.trunk.say(answer)
            self.assertEqual(self.trunk.request("ACK").uri, "sip:callee@192.0.2.50:5060")
            self.assertEqual(self.world.nodes.sessions[0].operations, [])
            self.keep_alice(149, caller)
            self.trunk.silent()

    def test_rtpengine_refuses_new_ports(self) -> None:
        """The call goes on with the old ones."""
        caller, callee = self.connect_ours()
        self.keep_alice(150, caller)
        self.world.nodes.fail("offer", NgRefused("no"))
        moved = PLAIN.replace(b"50000", b"50002")
        callee.answer(self.trunk.request("INVITE"), 200, moved, ("Session-Expires", "300;refresher=uac"))
        self.trunk.heard("ACK")
        self.keep_alice(149, caller)
        self.trunk.silent()
        self.assertEqual(len(self.world.calls), 1)

    def test_name_takes_long(self) -> None:
        """A trunk whose name is looked up for longer than a refresh may take: it is taken back as soon as it is out."""
        found: Deferred[list[Hop]] = Deferred()
        caller, callee = self.connect_ours()
        self.keep_alice(149, caller)
        ((call, _),) = self.world.calls._alive.values()
        assert call._offer_answer.callee is not None
        call._offer_answer.callee.dialog.remote_target = "sip:callee@slow.example"
        self.patch(self.world.names, "resolve", lambda host, *_: found)
        self.keep_alice(32, caller)
        self.trunk.silent()
        found.callback([Hop("udp", self.trunk.flow.peer)])
        invite = self.trunk.request("INVITE")
        callee.answer(invite, 180)
        callee.answer(self.trunk.request("CANCEL"), 200)
        callee.answer(invite, 487)
        self.trunk.heard("ACK")
        self.assertEqual(len(self.world.calls), 1)

    def test_both_are_due(self) -> None:
        """Where the browser's time is over, the trunk is not asked in the same moment."""
        caller, callee = self.connect(JSSIP, (TIMER, UPDATES, ("Session-Expires", "120;refresher=uac")))
        self.wait(60)
        self.assert_ended(caller, callee)

    def refreshing(self) -> tuple[Party, Party, Request]:
        """Our re-INVITE is out to the trunk: caller, callee, and that."""
        self.world = self.make_world()
        caller, callee = self.connect_ours()
        self.keep_alice(150, caller)
        return caller, callee, self.trunk.request("INVITE")

    def test_glare(self) -> None:
        """While our re-INVITE is out, an offer of either side waits for its end, whatever that is, and crosses then; a
        trunk that has offered itself answers ours with 491 (RFC 3261 section 14.2; field.rst X16: Glare of our own)."""
        for of_trunk in (False, True):
            for status in (200, 491, 488):
                caller, callee, ours = self.refreshing()
                asker, other = (callee, caller) if of_trunk else (caller, callee)
                invite = asker.ask("INVITE", asker.sdp("sendonly"))
                asker.peer.silent()
                callee.answer(ours, status, PLAIN if status == 200 else b"")
                self.trunk.heard("ACK")
                crossed = other.peer.request("INVITE")
                other.answer(crossed, 200, other.sdp("recvonly"))
                other.peer.heard("ACK")
                asker.peer.heard(200)
                asker.ack(invite)

    def test_glare_of_both(self) -> None:
        """Only the browser's offer may wait: the trunk's gets 491, whichever is first. The browser that offers again
        gets 500 (section 14.2; field.rst X16: Glare of our own)."""
        for trunk_first in (False, True):
            caller, callee, ours = self.refreshing()
            asked = {party: party.ask("INVITE", party.sdp("sendonly"))
                     for party in ((callee, caller) if trunk_first else (caller, callee))}  # fmt: skip
            self.trunk.heard(491)
            callee.ack_refusal(asked[callee])
            again = caller.ask("INVITE", caller.sdp("inactive"))
            self.assertIn("Retry-After", self.alice.response(500).headers)
            caller.ack_refusal(again)
            callee.answer(ours, 200, PLAIN)
            self.trunk.heard("ACK")
            self.assertIn(b"m=audio", self.trunk.request("INVITE").body)
            self.alice.silent()

    def test_glare_ends(self) -> None:
        """It is taken back while it waits: 487, and nothing crosses. So it is where the call ends."""
        caller, callee, ours = self.refreshing()
        invite = caller.ask("INVITE", caller.sdp("sendonly"))
        caller.cancel(invite)
        self.assertEqual(["200", "487"], sorted(self.alice.pending()))
        self.alice.forget()
        caller.ack_refusal(invite)
        callee.answer(ours, 200, PLAIN)
        self.trunk.heard("ACK")
        self.trunk.silent()
        caller, callee, ours = self.refreshing()
        invite = caller.ask("INVITE", caller.sdp("sendonly"))
        callee.ask("BYE")
        self.world.turn()
        self.assertEqual(["487", "BYE"], sorted(self.alice.pending()))

    def test_glare_with_update(self) -> None:
        """An UPDATE waits 4 s at most, since its sender gives up after 32 s: then 491."""
        caller, callee, ours = self.refreshing()
        caller.ask("UPDATE", caller.sdp("sendonly"))
        self.world.clock.advance(HELD_LIMIT - 0.1)
        self.alice.heard(100)
        self.alice.silent()
        self.world.clock.advance(0.2)
        self.alice.heard(491)
        self.trunk.forget()  # it was repeated
        callee.answer(ours, 200, PLAIN)
        self.trunk.heard("ACK")
        self.trunk.silent()

    def test_waits_for_an_exchange(self) -> None:
        """While the session is changed, our re-INVITE waits."""
        caller, callee = self.connect_ours()
        self.keep_alice(148, caller)
        invite = caller.ask("INVITE", caller.sdp("sendonly"), TIMER, ("Session-Expires", "90;refresher=uac"))
        crossed = self.trunk.request("INVITE")
        callee.answer(crossed, 100)
        self.wait(10)
        self.alice.heard(100)
        self.trunk.silent()
        callee.answer(crossed, 200, callee.sdp("recvonly"), ("Session-Expires", "300;refresher=uac"))
        self.trunk.heard("ACK")
        self.alice.heard(200)
        caller.ack(invite)
        self.keep_alice(140, caller)
        self.trunk.silent()

    def test_refused(self) -> None:
        """A refusal is a sign of life: it is tried again at half of what is left, and the call lives."""
        for status in (491, 500, 488, 405):
            self.world = self.make_world()
            caller, callee = self.connect_ours(UPDATES)
            self.keep_alice(150, caller)
            callee.answer(self.trunk.request("UPDATE"), status)
            self.keep_alice(58, caller)
            self.trunk.silent()
            self.keep_alice(1, caller)
            callee.answer(self.trunk.request("UPDATE"), 200, b"", ("Session-Expires", "300;refresher=uac"))
            self.keep_alice(140, caller)
            self.trunk.silent()
            self.assertEqual(len(self.world.calls), 1)

    def test_refused_for_ever(self) -> None:
        """One that refuses each refresh is not asked without end in one interval (section 10)."""
        caller, callee = self.connect_ours(UPDATES)
        asked = 0
        for second in range(1, 600):
            self.wait(1)
            if second % 45 == 0:
                caller.ask("UPDATE", b"", TIMER, ("Session-Expires", "90;refresher=uac"))
                self.alice.heard(200)
            if self.trunk.pending():
                asked += 1
                callee.answer(self.trunk.request("UPDATE"), 500)
        self.assertEqual(len(self.world.calls), 1)
        self.assertLess(asked, 20)

    def test_too_short_for_the_peer(self) -> None:
        """422 to a refresh: again at once with the longer interval."""
        caller, callee = self.connect_ours(UPDATES)
        self.keep_alice(150, caller)
        callee.answer(self.trunk.request("UPDATE"), 422, b"", ("Min-SE", "600"))
        update = self.trunk.request("UPDATE")
        self.assertEqual(update.headers.lines("Session-Expires"), ["600;refresher=uac"])
        callee.answer(update, 200, b"", ("Session-Expires", "600;refresher=uac"))

    def test_dialog_is_gone(self) -> None:
        """481: the peer has no such call; the other leg gets its BYE."""
        for more in ((), (UPDATES,)):
            self.world = self.make_world()
            caller, callee = self.connect_ours(*more)
            self.keep_alice(150, caller)
            callee.answer(self.trunk.request("UPDATE" if more else "INVITE"), 481)
            if not more:
                self.trunk.heard("ACK")
            self.assert_ended(caller)

    def test_timed_out_beyond(self) -> None:
        """408 of a proxy in between, or no answer: BYE to both (section 10)."""
        caller, callee = self.connect_ours(UPDATES)
        self.keep_alice(150, caller)
        callee.answer(self.trunk.request("UPDATE"), 408)
        self.assert_ended(caller, callee)

    def test_no_answer(self) -> None:
        """A trunk that is silent, asked by UPDATE or by re-INVITE."""
        for more in ((), (UPDATES,)):
            self.world = self.make_world()
            caller, callee = self.connect_ours(*more)
            self.keep_alice(150, caller)
            self.keep_alice(31, caller)
            self.take_repeats()
            self.world.turn(1)
            self.take_repeats()
            self.assert_ended(caller, callee)

    def test_rings_for_ever(self) -> None:
        """A re-INVITE that gets a 1xx and nothing after it is taken back; silence after that is the end."""
        caller, callee = self.connect_ours()
        self.keep_alice(150, caller)
        invite = self.trunk.request("INVITE")
        callee.answer(invite, 180)
        self.keep_alice(31, caller)
        cancel = self.trunk.request("CANCEL")
        callee.answer(cancel, 200)
        callee.answer(invite, 487)
        self.trunk.heard("CANCEL")
        self.trunk.heard("ACK")
        self.assertEqual(len(self.world.calls), 1)

    def test_call_ends_meanwhile(self) -> None:
        """The caller hangs up while the refresh is out: CANCEL for a re-INVITE, and all is freed."""
        caller, callee = self.connect_ours()
        self.keep_alice(150, caller)
        invite = self.trunk.request("INVITE")
        callee.answer(invite, 180)
        caller.ask("BYE")
        self.alice.heard(200)
        self.world.turn()
        self.assertEqual(sorted(self.trunk.pending()), ["BYE", "CANCEL"])
        callee.answer(invite, 200, PLAIN)
        self.assertEqual(sorted(self.trunk.pending()), ["ACK", "BYE", "CANCEL"])
