"""Whose a session at rtpengine is, by its name."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.media.names import SessionNames


class Names(SynchronousTestCase):
    def assert_left(self, names: SessionNames, left: list[SessionNames], others: list[SessionNames]) -> None:
        """`names` takes the sessions of these processes for left over, and of those not."""
        self.assertEqual([True] * len(left), [names.is_left_over(each.new()) for each in left])
        self.assertEqual([False] * len(others), [names.is_left_over(each.new()) for each in others])

    def test_own(self) -> None:
        """One of its own is left over once it is released."""
        names = SessionNames("edge")
        name = names.new()
        self.assertEqual((1, False), (len(names), names.is_left_over(name)))
        names.release(name)
        names.release(name)
        self.assertEqual((0, True), (len(names), names.is_left_over(name)))

    def test_single_process(self) -> None:
        """It takes over from the one before it, and from any worker."""
        same = [SessionNames("edge"), SessionNames("edge", 1, 2), SessionNames("edge", 2, 2)]
        others = [SessionNames("edge2"), SessionNames("edg"), SessionNames(), SessionNames("edge_1")]
        self.assert_left(SessionNames("edge"), same, others)
        self.assertTrue(SessionNames("edge").has_earlier)

    def test_workers(self) -> None:
        """A worker takes over from that of its number; the first one also from a single process, and from numbers that
        there are no more."""
        each = {number: SessionNames("edge", number, 3) for number in (1, 2, 3)}
        single = SessionNames("edge")
        self.assert_left(SessionNames("edge", 1, 2), [each[1], each[3], single], [each[2]])
        self.assert_left(SessionNames("edge", 2, 2), [each[2]], [each[1], each[3], single])

    def test_nameless(self) -> None:
        """Without a name it leaves all others alone."""
        names = SessionNames()
        self.assert_left(names, [], [SessionNames(), SessionNames("edge")])
        self.assertFalse(names.has_earlier)

    def test_odd_names(self) -> None:
        """Whatever stands in a name, sessions are named with letters and digits."""
        self.assertRegex(SessionNames("a b-c_1.*").new(), r"\Awrp-axbxcx1xx-\w+-\w+\Z")
