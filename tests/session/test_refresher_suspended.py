"""Calls after the machine was suspended: who is still there is asked, a few at a time (docs/operations.rst)."""

from __future__ import annotations

from tests.support.calls.party import Party, party_of
from tests.support.calls.timing import JSSIP, UPDATES, TimerCase
from tests.support.calls.world import PLAIN
from webrtcproxy.session.refresher import ASKED_WITHIN
from webrtcproxy.sip.message import Request


class Suspended(TimerCase):
    """An hour in which nothing ran."""

    def suspend(self, seconds: float = 3600) -> None:
        """The machine is suspended; what the reactor does first after it."""
        self.world.turn(seconds)

    def asked(self, *parties: Party) -> list[Request]:
        """Each of them is asked for a sign of life, in time; what it is asked by."""
        for _ in range(int(ASKED_WITHIN * 10)):
            self.world.turn(0.1)
            if all(party.peer.pending() for party in parties):
                return [party.peer.request("UPDATE") for party in parties]
        raise AssertionError([party.peer.pending() for party in parties])

    def test_both_alive(self) -> None:
        """JsSIP, which refreshes its session, could not do so: it is asked, and so is the trunk. The call goes on, and
        so do the session timers: JsSIP has to refresh again."""
        caller, callee = self.connect(JSSIP, (UPDATES,))
        self.suspend()
        self.alice.silent()
        self.trunk.silent()
        updates = self.asked(caller, callee)
        self.assertEqual(updates[0].headers.lines("Session-Expires"), ["90;refresher=uas"])
        for party, update in zip((caller, callee), updates, strict=True):
            party.answer(update, 200, b"", ("Session-Expires", update.headers.get("Session-Expires") or ""))
        self.wait(50)
        self.alice.silent()
        self.assertEqual(len(self.world.calls), 1)
        for _ in range(20):
            self.wait(0 if self.alice.pending() else 1)
        self.assert_ended(caller, callee)

    def test_one_is_gone(self) -> None:
        """Who does not know the call any more has ended it: the other one gets BYE."""
        caller, callee = self.connect(JSSIP, (UPDATES,))
        self.suspend()
        first, second = self.asked(caller, callee)
        caller.answer(first, 481)
        callee.answer(second, 200)
        self.assert_ended(callee)

    def test_nobody_there(self) -> None:
        """Who does not answer is gone: BYE to both."""
        caller, callee = self.connect(JSSIP, (UPDATES,))
        self.suspend()
        callee.answer(self.asked(caller, callee)[1], 200)
        for _ in range(33):
            self.wait(1)
            while self.alice.pending()[:1] == ["UPDATE"]:
                self.alice.next()
            if self.alice.pending():
                break
        self.assert_ended(caller, callee)

    def test_not_for_long(self) -> None:
        """After some seconds nothing is due, and nobody is asked."""
        self.connect(JSSIP, (UPDATES,))
        self.suspend(40)
        self.wait(15)
        self.trunk.silent()
        self.assertEqual(len(self.world.calls), 1)

    def test_ended_meanwhile(self) -> None:
        """A call that ends before its turn leaves no timer."""
        caller, callee = self.connect(JSSIP, (UPDATES,))
        self.suspend()
        before = len(self.world.clock.getDelayedCalls())
        caller.ask("BYE")
        self.alice.heard(200)
        callee.answer(self.trunk.request("BYE"), 200)
        self.world.turn()
        self.assertLess(len(self.world.clock.getDelayedCalls()), before + 2)
        self.wait(ASKED_WITHIN)
        self.assert_over(self.alice, self.trunk)

    def test_spread(self) -> None:
        """Many calls are not asked in one moment: a trunk would refuse that."""
        alices = [self.world.browser(f"u{number}") for number in range(60)]
        trunk = self.world.trunk()
        for alice in alices:
            invite = alice.invite("sip:bob@pbx.example.com", *JSSIP)
            leg = trunk.request("INVITE")
            party_of(trunk, leg, trunk.answer(leg, 200, PLAIN, headers=(UPDATES,)))
            trunk.heard("ACK")
            alice.ack(invite, alice.response(200))
        self.suspend()
        trunk.silent()
        counts = []
        for _ in range(int(ASKED_WITHIN)):
            self.world.turn(1)
            counts.append(0)
            while trunk.pending():
                request = trunk.next()
                if isinstance(request, Request) and request.method == "UPDATE":
                    counts[-1] += 1
                    trunk.answer(request, 200)
        self.assertEqual(sum(counts), 60)
        self.assertLess(max(counts), 15)
