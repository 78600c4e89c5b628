"""Request sequences: one request sequence upstream for a browser that sends again (RFC 3261 section 22.2)."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.routing import sequence
from webrtcproxy.routing.sequence import RequestSequences, for_sip_side
from webrtcproxy.sip.headers import NameAddr

KEY = ("INVITE", "c1", "t1")


class Kept(SynchronousTestCase):
    """What is remembered, and how long."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.sequences = RequestSequences(self.clock)

    def test_goes_on(self) -> None:
        """The second request has the first one's Call-ID and From tag; CSeq counts on."""
        sequence = self.sequences.get(KEY)
        self.assertEqual(sequence.next_cseq(), 1)
        self.sequences.remember(KEY, sequence, 60)
        again = self.sequences.get(KEY)
        self.assertEqual((again.call_id, again.from_tag, again.next_cseq()), (sequence.call_id, sequence.from_tag, 2))

    def test_not_kept(self) -> None:
        """A sequence that nobody kept starts over, with names that can't be guessed."""
        one, other = self.sequences.get(KEY), self.sequences.get(KEY)
        self.assertNotEqual(one.call_id, other.call_id)
        self.assertGreaterEqual(len(one.from_tag), 16)

    def test_expires(self) -> None:
        """After its time a sequence is forgotten; keeping another one clears the table."""
        sequence = self.sequences.get(KEY)
        self.sequences.remember(KEY, sequence, 60)
        self.clock.advance(60)
        self.assertNotEqual(self.sequences.get(KEY).call_id, sequence.call_id)
        self.sequences.remember(("INVITE", "c2", "t2"), self.sequences.get(("x",)), 60)
        self.assertEqual(len(self.sequences), 1)

    def test_forget(self) -> None:
        """A sequence may be dropped early, and twice."""
        self.sequences.remember(KEY, self.sequences.get(KEY), 60)
        self.sequences.forget(KEY)
        self.sequences.forget(KEY)
        self.assertEqual(len(self.sequences), 0)

    def test_bounded(self) -> None:
        """The oldest makes room: nothing grows without a bound."""
        self.patch(sequence, "LIMIT", 3)
        for number in range(5):
            self.sequences.remember(("INVITE", str(number), "t"), self.sequences.get(KEY), 60)
        self.assertEqual(len(self.sequences), 3)


class Shown(SynchronousTestCase):
    """`for_sip_side`."""

    def test_parameters(self) -> None:
        """What is no parameter of From or To does not reach a trunk: an empty tag in To would seem to name a dialog
        (field.rst H: Odd headers)."""
        for text, sent in (
            ("<sip:a@h>;tag=", "<sip:a@h>"),
            ("<sip:a@h>;;x=;tag=t", "<sip:a@h>;tag=t"),
            ("<sip:a@h>;\u00fc=1;y;z=a/b", "<sip:a@h>;y"),
            ("<sip:a@h;transport=ws>;x=", "<sip:a@h>"),
        ):
            self.assertEqual(str(for_sip_side(NameAddr.parse_party(text))), sent)
        for text in ("<sip:a@h>;tag=t", '"A" <sip:a@h>', "<sip:a@h;x=y>;tag=t;z"):
            address = NameAddr.parse_party(text)
            self.assertIs(for_sip_side(address), address)
