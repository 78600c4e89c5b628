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
