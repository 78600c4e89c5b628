"""Who may take a place in a dialog by Replaces, and who has referred whom: known for a while, and no more than a
bound."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import FakeFlow
from webrtcproxy.dialog.referred import Referrers, ReplacesGrant, ReplacesGrants

KEY = ("call", "ours", "theirs")


class GrantsTests(SynchronousTestCase):
    """All of them."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.grants = ReplacesGrants(self.clock)

    def grant(self, host: str) -> ReplacesGrant:
        return ReplacesGrant(None, host, "192.0.2.50")

    def test_for_a_while(self) -> None:
        """Each has 64*T1; then it makes room, too."""
        first, second = ReplacesGrant(FakeFlow.wss(), "a", "t"), self.grant("b")
        self.grants.add(KEY, first)
        self.clock.advance(20)
        self.grants.add(KEY, second)
        self.assertEqual(self.grants.of(KEY), [first, second])
        self.clock.advance(13)
        self.assertEqual(self.grants.of(KEY), [second])
        self.clock.advance(20)
        self.assertEqual(self.grants.of(KEY), [])
        self.grants.add(("other", "1", "2"), first)
        self.assertEqual(len(self.grants), 1)

    def test_bounds(self) -> None:
        """Of one dialog, the last eight; of all dialogs, the last ten thousand."""
        for number in range(10):
            self.grants.add(KEY, self.grant(str(number)))
        self.assertEqual([grant.host for grant in self.grants.of(KEY)], list("23456789"))
        for number in range(ReplacesGrants.MAX_DIALOGS):
            self.grants.add((str(number), "1", "2"), self.grant("x"))
        self.assertEqual(len(self.grants), ReplacesGrants.MAX_DIALOGS)
        self.assertEqual(self.grants.of(KEY), [])


class ReferrersTests(SynchronousTestCase):
    """Who has referred whom."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.referrers = Referrers(self.clock)
        self.flow, self.other = FakeFlow.wss(), FakeFlow.wss()

    def test_whom(self) -> None:
        """A browser is known by its flow, and by each of its addresses-of-record on any other."""
        self.referrers.add(self.flow, ["a@x", "b@x"], "<sip:boss@x>")
        self.referrers.add(self.flow, [], "<sip:vice@x>")
        both = {"<sip:boss@x>", "<sip:vice@x>"}
        for flow, aors, found in (
            (self.flow, (), both), (self.other, ("b@x", "c@x"), {"<sip:boss@x>"}), (self.other, ("c@x",), set()),
            (self.other, (), set()),
        ):  # fmt: skip
            self.assertEqual(self.referrers.of(flow, aors), found)

    def test_for_a_while(self) -> None:
        """Each is forgotten."""
        self.referrers.add(self.flow, ["a@x"], "<sip:boss@x>")
        self.clock.advance(Referrers.SECONDS - 0.1)
        self.assertTrue(self.referrers.of(self.flow, ()))
        self.clock.advance(0.1)
        self.assertEqual(self.referrers.of(self.flow, ["a@x"]), set())
        self.referrers.add(self.other, (), "<sip:boss@x>")
        self.assertEqual(len(self.referrers), 1)

    def test_bounds(self) -> None:
        """Of one browser, the last eight; of all, the last ten thousand."""
        for number in range(10):
            self.referrers.add(self.flow, (), str(number))
        self.assertEqual(self.referrers.of(self.flow, ()), set("23456789"))
        for number in range(Referrers.MAX_BROWSERS - 1):
            self.referrers.add(self.other, [str(number)], "x")
        self.assertEqual(len(self.referrers), Referrers.MAX_BROWSERS)
        self.assertEqual(self.referrers.of(self.flow, ()), set())
