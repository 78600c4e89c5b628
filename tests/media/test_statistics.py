"""What the statistics of rtpengine tell of its sessions."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.media.bencode import Reply
from webrtcproxy.media.statistics import NodeStatistics


def reply(uptime: object, **counters: object) -> Reply:
    total = {b"uptime": uptime, **{name.encode(): value for name, value in counters.items()}}
    return {b"result": b"ok", b"statistics": {b"totalstatistics": total}}  # type: ignore[dict-item]


class Statistics(SynchronousTestCase):
    def setUp(self) -> None:
        self.statistics = NodeStatistics()

    def test_restarted(self) -> None:
        """It was restarted if it has been up for a shorter time than it should have been, not if its reply was slow, or
        its seconds end otherwise."""
        for now, uptime, starts in ((100, b"50", 0), (102, b"51", 0), (104, b"53", 0), (110, b"59", 0), (112, b"1", 1)):
            self.assertEqual(self.statistics.update(reply(uptime), now), starts == 1)
            self.assertEqual(self.statistics.starts, starts)
        self.assertFalse(self.statistics.update(reply(3), 114))
        self.assertTrue(self.statistics.update(reply(b"0"), 117))
        self.assertEqual(self.statistics.starts, 2)

    def test_given_up(self) -> None:
        """It has given sessions up if one of the counters is another than before; that of ended calls says nothing."""
        self.assertFalse(self.statistics.update(reply(b"1", timeoutsessions=5), 1))
        self.assertFalse(self.statistics.update(reply(b"2", timeoutsessions=5, regularterminatedsessions=3), 2))
        self.assertTrue(self.statistics.update(reply(b"3", timeoutsessions=6), 3))
        self.assertTrue(self.statistics.update(reply(b"4", timeoutsessions=6, forcedterminatedsessions=b"1"), 4))
        self.assertFalse(self.statistics.update(reply(b"5", timeoutsessions=6, forcedterminatedsessions=1), 5))

    def test_odd(self) -> None:
        """Whatever else a reply says."""
        for odd in (
            {},
            {b"statistics": []},
            {b"statistics": {b"totalstatistics": b"x"}},
            reply([]),
            reply(b"-1"),
            reply(b"9" * 50),
        ):
            self.assertFalse(self.statistics.update(odd, 7))  # type: ignore[arg-type]
        self.assertEqual(self.statistics.starts, 0)
