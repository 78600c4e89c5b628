"""The session timers of a call at work: negotiated on each leg, refreshed by the peer, and the end of the one that
vanished (RFC 4028, corners.rst 4: 4028)."""

from __future__ import annotations

from tests.support.calls.party import party_of
from tests.support.calls.timing import JSSIP, TIMER, UPDATES, TimerCase
from tests.support.calls.world import OFFER, PLAIN
from webrtcproxy.config import CallsConfig


class Negotiation(TimerCase):
    """The set-up: a negotiation for each leg."""

    def test_jssip_calls(self) -> None:
        """The caller is told that it refreshes every 90 seconds, the callee is asked for 1800: nothing of either
        crosses."""
        self.connect(JSSIP, (TIMER, ("Session-Expires", "600;refresher=uas")))
        self.assertEqual(self.leg.headers.lines("Session-Expires"), ["1800"])
        self.assertIn("timer", self.leg.headers.all("Supported"))
        self.assertNotIn("Min-SE", self.leg.headers)
        self.assertNotIn("Require", self.leg.headers)
        self.assertEqual(self.ok.headers.lines("Session-Expires"), ["90;refresher=uac"])
        self.assertEqual(self.ok.headers.lines("Require"), ["timer"])

    def test_caller_without_timer(self) -> None:
        """SIP.js, which knows none, learns of none: it would refuse a Require."""
        self.connect((), (TIMER, ("Session-Expires", "600;refresher=uas"), ("Require", "timer")))
        self.assertNotIn("Session-Expires", self.ok.headers)
        self.assertNotIn("Require", self.ok.headers)

    def test_required(self) -> None:
        """Require: timer is no reason for a 420 any more."""
        self.connect((("Require", "timer"), ("Session-Expires", "90;refresher=uas")))
        self.assertEqual(self.ok.headers.lines("Session-Expires"), ["90;refresher=uas"])

    def test_configured(self) -> None:
        """`[calls] session-expires`."""
        self.world = self.make_world(calls=CallsConfig(session_expires=120, limit_unregistered=3))
        self.connect((TIMER,))
        self.assertEqual(self.leg.headers.lines("Session-Expires"), ["120"])
        self.assertEqual(self.ok.headers.lines("Session-Expires"), ["120;refresher=uas"])

    def test_too_short(self) -> None:
        """422 with Min-SE, and nobody is called."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.invite("sip:bob@pbx.example.com", TIMER, ("Session-Expires", "60"))
        self.assertEqual(alice.response(422).headers.get("Min-SE"), "90")
        trunk.silent()
        self.assert_over(alice, trunk)

    def test_unreadable(self) -> None:
        """One that can't be read is none: nobody loses a call by it."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.invite("sip:bob@pbx.example.com", TIMER, ("Session-Expires", "soon"), ("Min-SE", "never"))
        trunk.heard("INVITE")

    def test_trunk_wants_longer(self) -> None:
        """A 422 of the far side is answered by us: the same Call-ID and tag, CSeq + 1, its Min-SE; the caller learns
        nothing of it, and the Min-SE stays for what follows."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com", *JSSIP)
        self.alice = alice
        first = trunk.request("INVITE")
        trunk.answer(first, 422, headers=[("Min-SE", "3600")])
        trunk.heard("ACK")
        second = trunk.request("INVITE")
        self.assertEqual((second.call_id, second.from_), (first.call_id, first.from_))
        self.assertEqual(second.cseq.number, first.cseq.number + 1)
        self.assertNotEqual(second.via.branch, first.via.branch)
        self.assertEqual((second.uri, second.body), (first.uri, first.body))
        self.assertEqual(second.headers.lines("Session-Expires"), ["3600"])
        self.assertEqual(second.headers.lines("Min-SE"), ["3600"])
        alice.silent()
        answer = trunk.answer(second, 200, PLAIN, headers=[("Session-Expires", "3600;refresher=uac"), UPDATES])
        trunk.heard("ACK")
        ok = alice.response(200)
        alice.ack(invite, ok)
        self.began = self.world.clock.seconds()
        self.keep_alice(1800, party_of(alice, invite, ok))
        update = trunk.request("UPDATE")
        self.assertEqual(update.headers.lines("Session-Expires"), ["3600;refresher=uac"])
        self.assertEqual(update.headers.lines("Min-SE"), ["3600"])
        party_of(trunk, second, answer).answer(update, 200, b"", ("Session-Expires", "3600;refresher=uac"))

    def test_trunk_wants_too_much(self) -> None:
        """A 422 that can't be obeyed ends the call; it is no answer to the caller's own interval."""
        for minimum in ("100000", "1800", "x"):
            alice, trunk = self.world.browser(), self.world.trunk()
            alice.invite("sip:bob@pbx.example.com")
            trunk.answer(trunk.request("INVITE"), 422, headers=[("Min-SE", minimum)])
            trunk.heard("ACK")
            self.assertNotIn("Min-SE", alice.response(500).headers)
            self.assert_over(alice, trunk)

    def test_cancelled_meanwhile(self) -> None:
        """After the caller's CANCEL nothing is sent again."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        alice.cancel(invite)
        self.world.turn()
        trunk.answer(leg, 422, headers=[("Min-SE", "3600")])
        trunk.heard("ACK")
        trunk.silent()


class OfThePeer(TimerCase):
    """The peer refreshes."""

    def test_jssip_updates(self) -> None:
        """UPDATE without SDP is answered at once, with the same timer; the other leg gets nothing, rtpengine neither;
        and the call lives on."""
        caller, _ = self.connect(JSSIP)
        commands = len(self.world.nodes.sessions[0].operations)
        for _ in range(5):
            self.wait(45)
            caller.ask("UPDATE", b"", TIMER, ("Session-Expires", "90;refresher=uac"))
            ok = self.alice.response(200)
            self.assertEqual(ok.headers.lines("Session-Expires"), ["90;refresher=uac"])
            self.assertEqual(ok.headers.lines("Require"), ["timer"])
        self.trunk.silent()
        self.assertEqual(len(self.world.nodes.sessions[0].operations), commands)
        self.assertEqual(len(self.world.calls), 1)

    def test_reinvites(self) -> None:
        """A re-INVITE that changes nothing does the same."""
        _, callee = self.connect((), (TIMER, ("Session-Expires", "90;refresher=uas")))
        for _ in range(5):
            self.wait(45)
            invite = callee.ask("INVITE", PLAIN, TIMER, ("Session-Expires", "90;refresher=uac"))
            ok = self.trunk.response(200)
            self.assertEqual(ok.headers.lines("Session-Expires"), ["90;refresher=uac"])
            callee.ack(invite)
        self.alice.silent()
        self.assertEqual(len(self.world.calls), 1)

    def test_hold_is_a_refresh(self) -> None:
        """A re-INVITE that crosses refreshes both legs, each with its own interval."""
        caller, callee = self.connect(JSSIP, (TIMER, UPDATES, ("Session-Expires", "600;refresher=uac")))
        self.wait(45)
        invite = caller.ask("INVITE", caller.sdp("sendonly"), TIMER, ("Session-Expires", "90;refresher=uac"))
        crossed = self.trunk.request("INVITE")
        self.assertEqual(crossed.headers.lines("Session-Expires"), ["600;refresher=uac"])
        callee.answer(crossed, 200, callee.sdp("recvonly"), ("Session-Expires", "600;refresher=uac"))
        self.trunk.heard("ACK")
        self.assertEqual(self.alice.response(200).headers.lines("Session-Expires"), ["90;refresher=uac"])
        caller.ack(invite)
        for _ in range(6):
            self.wait(45)
            caller.ask("UPDATE", b"", TIMER, ("Session-Expires", "90;refresher=uac"))
            self.alice.heard(200)
        self.trunk.silent()
        self.wait(30)
        callee.answer(self.trunk.request("UPDATE"), 200, b"", ("Session-Expires", "600;refresher=uac"))

    def test_hold_meets_422(self) -> None:
        """A far side that wants a longer interval for the re-INVITE gets it; the requester gets the 200 alone."""
        caller, callee = self.connect()
        invite = caller.ask("INVITE", caller.sdp("sendonly"))
        crossed = self.trunk.request("INVITE")
        callee.answer(crossed, 422, b"", ("Min-SE", "2400"))
        self.trunk.heard("ACK")
        again = self.trunk.request("INVITE")
        self.assertEqual((again.cseq.number, again.body), (crossed.cseq.number + 1, crossed.body))
        self.assertEqual(again.headers.lines("Session-Expires"), ["2400"])
        callee.answer(again, 200, callee.sdp("recvonly"))
        self.assertEqual(self.trunk.request("ACK").cseq.number, again.cseq.number)
        self.alice.heard(200)
        caller.ack(invite)

    def test_refresh_too_short(self) -> None:
        """422 to a refresh that asks for less than 90 seconds; the call stays."""
        caller, _ = self.connect(JSSIP)
        for method, body in (("UPDATE", b""), ("UPDATE", OFFER), ("INVITE", OFFER)):
            asked = caller.ask(method, body, TIMER, ("Session-Expires", "30;refresher=uac"))
            self.assertEqual(self.alice.response(422).headers.get("Min-SE"), "90")
            if method == "INVITE":
                caller.ack_refusal(asked)
        self.trunk.silent()
        self.assertEqual(len(self.world.calls), 1)

    def test_vanished(self) -> None:
        """No refresh: BYE to both at SE - min(32, SE/3), which is 60 of 90 seconds, with the reason."""
        caller, callee = self.connect(JSSIP)
        self.wait(59)
        self.alice.silent()
        self.trunk.silent()
        self.wait(1)
        for bye in self.assert_ended(caller, callee):
            self.assertEqual(bye.headers.get("Reason"), 'SIP;cause=408;text="Session expired"')

    def test_trunk_vanished(self) -> None:
        """The same for the callee's leg: 568 of 600 seconds."""
        caller, callee = self.connect((), (TIMER, ("Session-Expires", "600;refresher=uas")))
        self.wait(567)
        self.trunk.silent()
        self.wait(1)
        self.assert_ended(caller, callee)


class WithoutTimer(TimerCase):
    """A peer that knows no session timer: we look whether it is there, and a call whose peer vanished ends."""

    def test_by_update(self) -> None:
        """UPDATE at half of our interval, where it is listed; each 2xx is a sign of life."""
        caller, callee = self.connect((), (UPDATES,))
        for _ in range(3):
            self.wait(899)
            self.trunk.silent()
            self.wait(1)
            update = self.trunk.request("UPDATE")
            self.assertEqual(update.headers.lines("Session-Expires"), ["1800"])
            callee.answer(update, 200)
            caller.answer(self.alice.request("OPTIONS"), 200)
        self.assertEqual(len(self.world.calls), 1)

    def test_by_options(self) -> None:
        """Else OPTIONS within the dialog, which every answer but 408 and 481 is a sign of life to."""
        caller, callee = self.connect()
        for status in (200, 501, 405, 500, 200):
            self.wait(900)
            for party in (caller, callee):
                options = party.peer.request("OPTIONS")
                self.assertEqual((options.call_id, options.to.tag is None), (party.call_id, False))
                party.answer(options, status)
        self.assertEqual(len(self.world.calls), 1)

    def test_gone(self) -> None:
        """481: the other leg gets a BYE."""
        caller, callee = self.connect()
        self.wait(900)
        caller.answer(self.alice.request("OPTIONS"), 200)
        callee.answer(self.trunk.request("OPTIONS"), 481)
        self.assert_ended(caller)

    def test_vanished(self) -> None:
        """No answer within 32 seconds: BYE to both."""
        caller, callee = self.connect()
        self.wait(900)
        caller.answer(self.alice.request("OPTIONS"), 200)
        self.wait(31)
        self.take_repeats()
        self.wait(1)
        self.take_repeats()
        self.assert_ended(caller, callee)

    def test_no_way(self) -> None:
        """A refresh that can't be sent is tried again; when the interval is over the call is."""
        caller, _ = self.connect()
        self.trunk.flow.broken = True
        for _ in range(1800):
            self.world.turn(1)
            while self.alice.pending() and len(self.world.calls):
                caller.answer(self.alice.request("OPTIONS"), 200)
        self.trunk.flow.broken = False
        self.assertEqual(len(self.world.calls), 0)

    def test_browser_on_its_way_back(self) -> None:
        """A browser between two sockets is not asked in vain and lost for that: its grace time counts."""
        _, callee = self.connect((), (UPDATES,))
        self.wait(897)
        self.alice.flow.lose()
        self.wait(3)
        callee.answer(self.trunk.request("UPDATE"), 200)
        self.assertEqual(len(self.world.calls), 1)
        self.wait(2)
        self.assertEqual(self.trunk.request("BYE").headers.get("Reason"), 'SIP;cause=480;text="Connection lost"')


class Cost(TimerCase):
    """What it takes."""

    def test_one_timer(self) -> None:
        """A call has one timer for its session timers, and none after its end."""
        schedule = self.world.transactions.schedule
        caller, callee = self.connect()
        self.wait(70)
        self.assertEqual(schedule.running, 1)
        caller.ask("BYE")
        self.alice.heard(200)
        callee.answer(self.trunk.request("BYE"), 200)
        self.wait(6)
        self.assertEqual(schedule.running, 0)

    def test_few_delays(self) -> None:
        """However odd the intervals are that peers ask for, the schedule gets no queues of their own for them."""
        queues = self.world.transactions.schedule._queues
        for seconds in range(91, 291, 10):
            caller, _ = self.connect((TIMER, UPDATES, ("Session-Expires", f"{seconds};refresher=uas")))
            self.wait(seconds / 2 + 2)
            self.alice.heard("UPDATE")
            caller.ask("BYE")
            self.alice.heard(200)
            self.world.turn()
            self.trunk.heard("BYE")
            self.trunk.forget()
        self.assertLess(len(queues), 20)


class Targets(TimerCase):
    """A refresh is a target refresh, too (RFC 3261 section 12.2.1.2, RFC 3311 section 5.1)."""

    def test_by_update(self) -> None:
        """The Contact in the 2xx is where the peer is from now on; one that leads nowhere changes nothing."""
        caller, _ = self.connect((), (UPDATES,))
        moved = self.world.trunk("192.0.2.60", 5070)
        self.wait(900)
        self.trunk.answer(self.trunk.request("UPDATE"), 200, headers=[("Contact", "<sip:callee@192.0.2.60:5070>")])
        caller.answer(self.alice.request("OPTIONS"), 200)
        self.wait(900)
        update = moved.request("UPDATE")
        self.assertEqual(update.uri, "sip:callee@192.0.2.60:5070")
        moved.answer(update, 200, headers=[("Contact", "<mailto:callee>")])
        caller.answer(self.alice.request("OPTIONS"), 200)
        caller.ask("BYE")
        self.alice.heard(200)
        self.world.turn()
        moved.answer(moved.request("BYE"), 200)
        self.assert_over(self.alice, self.trunk, moved)
