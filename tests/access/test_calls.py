"""Calls that go to several trunks one after the other, as redirects and transfers do (docs/access.rst: Limits)."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.configs import CARRIER, PBX, config
from tests.support.messages import request
from webrtcproxy.access.caller import Caller
from webrtcproxy.access.calls import PermittedCall
from webrtcproxy.access.control import AccessControl
from webrtcproxy.access.policy import Permit, Permitted
from webrtcproxy.config import LimitsConfig, Trunk, TrunkLimits
from webrtcproxy.runtime.errors import Denied
from webrtcproxy.runtime.metrics import Metrics

ALICE = Caller("alice@pbx.example.com")
TRUNK = replace(CARRIER, limits=TrunkLimits(calls=1))


class OneAfterTheOther(SynchronousTestCase):
    """`PermittedCall`."""

    def setUp(self) -> None:
        self.clock = Clock()
        limits = LimitsConfig(user_minutes_per_day=10)
        self.access = AccessControl(config(PBX, TRUNK, limits=limits), self.clock, Metrics())
        self.over: list[str] = []

    def permitted(self, trunk: Trunk) -> Permitted:
        """What the policy says about a call of alice to a trunk."""
        found = self.access.decide(self.access.question(request("INVITE"), ALICE, "198.51.100.9", trunk))
        assert isinstance(found, Permitted)
        return found

    def answered(self, call: PermittedCall) -> None:
        call.answered(lambda: self.over.append("over"))

    def rest(self, *calls: PermittedCall) -> None:
        """Nothing counts any more."""
        for call in calls:
            call.over()
        self.assertEqual((len(self.access.calls), self.clock.getDelayedCalls()), (0, []))

    def test_transferor_pays(self) -> None:
        """The minutes of a call that came in, and is transferred to a trunk, are those of the user that has asked for
        it."""
        call = self.access.calls.begin_of_peer("in", "192.0.2.50", PBX)
        call.goes_to(None, None)
        self.answered(call)
        self.clock.advance(3600)
        call.goes_to(TRUNK, self.permitted(TRUNK))
        call.reach_target()
        self.clock.advance(599)
        self.assertEqual(self.over, [])
        self.clock.advance(2)
        self.assertEqual(self.over, ["over"])
        again = self.access.calls.begin_of_browser("out", ALICE, "198.51.100.9")
        denied = self.assertRaises(Denied, again.goes_to, PBX, self.permitted(PBX))
        self.assertEqual((denied.status, denied.counted), (403, "minutes_limit"))
        self.rest(call, again)

    def granted(self, seconds: float) -> Permitted:
        """What a policy says that gives a call so many seconds."""
        return Permitted(self.permitted(PBX).question, Permit(seconds))

    def test_time_after_a_transfer(self) -> None:
        """The time that a policy gives a call begins again with each target of a transfer: that of the new one,
        longer or shorter, which may be none at all. No earlier time ends the call."""
        for seconds, end in ((60, 90), (10, 40), (0, None)):
            self.over.clear()
            call = self.access.calls.begin_of_browser("out", ALICE, "198.51.100.9")
            call.goes_to(None, self.granted(60))
            self.answered(call)
            self.clock.advance(30)
            call.goes_to(None, self.granted(seconds))
            ends = []
            for passed in range(31, 100):
                self.clock.advance(1)
                ends += [passed] * len(self.over)
                self.over.clear()
            self.assertEqual(ends, [] if end is None else [end], seconds)
            call.over()
        self.rest()

    def test_refusals_take_nothing(self) -> None:
        """A call that a trunk can't take takes nothing of what the trunk may get in a minute; one that is above that
        counts nowhere."""
        trunk = replace(TRUNK, limits=TrunkLimits(calls=1, calls_to_per_minute=2))
        self.access = AccessControl(config(PBX, trunk), self.clock, Metrics())

        def called() -> tuple[PermittedCall, str]:
            call = self.access.calls.begin_of_browser("out", ALICE, "198.51.100.9")
            try:
                call.goes_to(trunk, None)
            except Denied as denied:
                call.over()
                return call, denied.counted
            return call, ""

        first, _ = called()
        self.assertEqual([called()[1] for _ in range(5)], ["calls_limit"] * 5)
        first.over()
        second, refused = called()
        self.assertEqual(refused, "")
        second.over()
        self.assertEqual(called()[1], "rate_limit")
        self.assertEqual(len(self.access.calls), 0)
        self.rest(first, second)

    def test_refused_target(self) -> None:
        """A target that has refused is left: before the call is answered, and in a transfer that fails."""
        first, second = (self.access.calls.begin_of_browser("out", ALICE, "198.51.100.9") for _ in range(2))
        first.goes_to(TRUNK, self.permitted(TRUNK))
        self.assertRaises(Denied, second.goes_to, TRUNK, self.permitted(TRUNK))
        first.goes_to(PBX, self.permitted(PBX))
        second.goes_to(TRUNK, self.permitted(TRUNK))
        self.answered(first)
        second.over()
        first.goes_to(TRUNK, self.permitted(TRUNK))
        first.leave_target()
        third = self.access.calls.begin_of_browser("out", ALICE, "198.51.100.9")
        third.goes_to(TRUNK, self.permitted(TRUNK))
        self.rest(first, third)

    def consulted(self, seconds: float = 0) -> PermittedCall:
        """An answered call of alice to TRUNK, which a policy has given so many seconds."""
        call = self.access.calls.begin_of_browser("out", ALICE, "198.51.100.9")
        call.goes_to(TRUNK, Permitted(self.permitted(TRUNK).question, Permit(seconds)))
        call.answered(lambda: self.over.append("consulted"))
        return call

    def came_in(self) -> PermittedCall:
        """An answered call of PBX."""
        call = self.access.calls.begin_of_peer("in", "192.0.2.50", PBX)
        call.goes_to(None, None)
        self.answered(call)
        return call

    def test_brought_together(self) -> None:
        """After an attended transfer the minutes of the consultation call run on, it counts at its trunk, and it is the
        call that goes on that ends when they are used up; also when that is brought together with a third one."""
        for calls in (1, 2):
            self.clock.advance(86_400)
            consulted = self.consulted()
            self.clock.advance(300)
            goes_on = consulted
            for _ in range(calls):
                joined, goes_on = goes_on, self.came_in()
                goes_on.join(joined, joined is consulted)
                joined.over()
            other = self.access.calls.begin_of_browser("out", ALICE, "198.51.100.9")
            self.assertRaises(Denied, other.goes_to, TRUNK, self.permitted(TRUNK))
            other.over()
            self.clock.advance(299)
            self.assertEqual(self.over, [])
            self.clock.advance(2)
            self.assertEqual(self.over, ["over"])
            self.over.clear()
            self.rest(goes_on)

    def test_time_when_brought_together(self) -> None:
        """So does the time that a policy has given it, and the policy is told of its end when it has ended."""
        ended: list[float] = []
        self.access.calls.ended = lambda question, seconds: ended.append(seconds)
        consulted, goes_on = self.consulted(60), self.came_in()
        self.clock.advance(30)
        goes_on.join(consulted, True)
        consulted.over()
        self.assertIsNotNone(goes_on.permitted)
        self.clock.advance(29)
        self.assertEqual((self.over, ended), ([], []))
        self.clock.advance(2)
        self.assertEqual((self.over, ended), (["over"], []))
        self.rest(goes_on)
        self.assertEqual(ended, [61])

    def test_who_has_left(self) -> None:
        """Who has brought two calls together has one call less; a caller who is one of their ends has not."""
        for left, taken in ((True, True), (False, False)):
            access = AccessControl(config(PBX, limits=LimitsConfig(user_calls=1)), self.clock, Metrics())
            goes_on = access.calls.begin_of_peer("in", "192.0.2.50", PBX)
            consulted = access.calls.begin_of_browser("out", ALICE, "198.51.100.9")
            for call in (goes_on, consulted):
                call.answered(lambda: None)
            goes_on.join(consulted, left)
            consulted.over()
            try:
                access.calls.begin_of_browser("out", ALICE, "198.51.100.9").over()
            except Denied:
                self.assertFalse(taken)
            else:
                self.assertTrue(taken)
            goes_on.over()
            self.assertEqual(len(access.calls), 0)
