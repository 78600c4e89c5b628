"""Who may take a place in a dialog by Replaces: known for a while, and no more than a bound."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import FakeFlow
from webrtcproxy.dialog.referred import ReplacesGrant, ReplacesGrants

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
