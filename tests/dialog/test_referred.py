"""Who may take somebody's place in a dialog: known for a while, and no more than a bound."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import FakeFlow
from webrtcproxy.dialog.referred import ReplacesGrant, ReplacesGrants

KEY = ("call", "ours", "theirs")


class HeirsTests(SynchronousTestCase):
    """The memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.heirs = ReplacesGrants(self.clock)

    def heir(self, host: str) -> ReplacesGrant:
        return ReplacesGrant(None, host, "192.0.2.50")

    def test_for_a_while(self) -> None:
        """Each has 64*T1; then it makes room, too."""
        first, second = ReplacesGrant(FakeFlow.wss(), "a", "t"), self.heir("b")
        self.heirs.add(KEY, first)
        self.clock.advance(20)
        self.heirs.add(KEY, second)
        self.assertEqual(self.heirs.of(KEY), [first, second])
        self.clock.advance(13)
        self.assertEqual(self.heirs.of(KEY), [second])
        self.clock.advance(20)
        self.assertEqual(self.heirs.of(KEY), [])
        self.heirs.add(("other", "1", "2"), first)
        self.assertEqual(len(self.heirs), 1)

    def test_bounds(self) -> None:
        """Of one dialog, the last eight; of all dialogs, the last ten thousand."""
        for number in range(10):
            self.heirs.add(KEY, self.heir(str(number)))
        self.assertEqual([heir.host for heir in self.heirs.of(KEY)], list("23456789"))
        for number in range(ReplacesGrants.LIMIT):
            self.heirs.add((str(number), "1", "2"), self.heir("x"))
        self.assertEqual(len(self.heirs), ReplacesGrants.LIMIT)
        self.assertEqual(self.heirs.of(KEY), [])
