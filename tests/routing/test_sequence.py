"""Pairings: one request sequence upstream for a browser that sends again (RFC 3261 section 22.2)."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.routing import sequence
from webrtcproxy.routing.sequence import RequestSequences

KEY = ("INVITE", "c1", "t1")


class Kept(SynchronousTestCase):
    """What is remembered, and how long."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.pairings = RequestSequences(self.clock)

    def test_goes_on(self) -> None:
        """The second request has the first one's Call-ID and From tag; CSeq counts on."""
        pair = self.pairings.take(KEY)
        self.assertEqual(pair.next_cseq(), 1)
        self.pairings.keep(KEY, pair, 60)
        again = self.pairings.take(KEY)
        self.assertEqual((again.call_id, again.from_tag, again.next_cseq()), (pair.call_id, pair.from_tag, 2))

    def test_not_kept(self) -> None:
        """A sequence that nobody kept begins anew, with names that can't be guessed."""
        one, other = self.pairings.take(KEY), self.pairings.take(KEY)
        self.assertNotEqual(one.call_id, other.call_id)
        self.assertGreaterEqual(len(one.from_tag), 16)

    def test_expires(self) -> None:
        """After its time a pair is forgotten; keeping another one clears the table."""
        pair = self.pairings.take(KEY)
        self.pairings.keep(KEY, pair, 60)
        self.clock.advance(60)
        self.assertNotEqual(self.pairings.take(KEY).call_id, pair.call_id)
        self.pairings.keep(("INVITE", "c2", "t2"), self.pairings.take(("x",)), 60)
        self.assertEqual(len(self.pairings), 1)

    def test_forget(self) -> None:
        """A pair may be dropped early, and twice."""
        self.pairings.keep(KEY, self.pairings.take(KEY), 60)
        self.pairings.forget(KEY)
        self.pairings.forget(KEY)
        self.assertEqual(len(self.pairings), 0)

    def test_bounded(self) -> None:
        """The oldest makes room: nothing grows without a bound."""
        self.patch(sequence, "LIMIT", 3)
        for number in range(5):
            self.pairings.keep(("INVITE", str(number), "t"), self.pairings.take(KEY), 60)
        self.assertEqual(len(self.pairings), 3)
