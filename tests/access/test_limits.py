"""Rates, calls at once and minutes of a day, each by key (docs/access.rst: Limits)."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.access.limits import DAY, CallCounts, CallLimit, CountedCall, Rates


class RatesTests(SynchronousTestCase):
    """The buckets of tokens."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.rates = Rates(self.clock)

    def taken(self, key: str, per_minute: int, burst: int) -> int:
        """How many tokens a key takes until it has none."""
        count = 0
        while self.wait(key, per_minute, burst) == 0:
            count += 1
        return count

    def wait(self, key: str, per_minute: int, burst: int) -> float:
        """Take a token of a key; the seconds that it has to wait for one."""
        empty = self.rates.take((key, per_minute, burst))
        if empty is None:
            return 0.0
        self.assertEqual(0, empty[0])
        return empty[1]

    def test_burst_then_rate(self) -> None:
        """A quiet key has a full bucket; then as many come as the rate says, whatever was refused meanwhile."""
        self.assertEqual(self.taken("alice", 60, 60), 60)
        self.assertAlmostEqual(self.wait("alice", 60, 60), 1.0)
        self.clock.advance(10)
        self.assertEqual(self.taken("alice", 60, 60), 10)
        self.clock.advance(3600)
        self.assertEqual(self.taken("alice", 60, 60), 60)

    def test_small_burst(self) -> None:
        """A bucket may be smaller than what comes in a minute."""
        self.assertEqual(self.taken("pbx", 6000, 100), 100)
        self.clock.advance(0.1)
        self.assertEqual(self.taken("pbx", 6000, 100), 10)

    def test_keys_apart(self) -> None:
        """No key takes anything from another."""
        self.taken("alice", 60, 60)
        self.assertEqual(self.taken("bob", 60, 60), 60)

    def test_no_limit(self) -> None:
        """0 is no limit, and nothing is remembered."""
        for _ in range(1000):
            self.assertEqual(self.wait("alice", 0, 0), 0)
        self.assertEqual(len(self.rates), 0)

    def test_bounded(self) -> None:
        """Keys whose buckets are full are forgotten as others come; beyond the bound the oldest is."""
        for number in range(100):
            self.rates.take((f"user{number}", 60, 60))
        self.clock.advance(60)
        for number in range(60):
            self.rates.take((f"other{number}", 60, 60))
        self.assertEqual(len(self.rates), 60)
        small = Rates(self.clock, limit=3)
        for number in range(10):
            small.take((number, 60, 60))
        self.assertEqual(len(small), 3)

    def test_used_buckets_stay(self) -> None:
        """A key whose bucket is not full is not forgotten, however many others come."""
        slow = ("alice", 1, 2)
        self.rates.take(slow)
        self.rates.take(slow)
        self.clock.advance(61)
        self.rates.take(("bob", 60, 60))
        self.assertIsNone(self.rates.take(slow))
        self.assertEqual(self.rates.take(slow), (0, 59))

    def test_recent_keys_stay(self) -> None:
        """A key in use is not the one that is forgotten."""
        small = Rates(self.clock, limit=3)
        for number in range(10):
            small.take(("alice", 60, 60))
            small.take((number, 60, 60))
        single = ("alice", 60, 1)
        self.assertEqual(small.take(single), (0, 10))

    def test_all_or_none(self) -> None:
        """Where one of several buckets is empty, nothing is taken from the others: a user over its limit takes nothing
        from its neighbours (docs/access.rst: Limits)."""
        user, place = ("alice", 60, 1), ("192.0.2.1", 60, 2)
        self.assertIsNone(self.rates.take(user, place))
        self.assertEqual(self.rates.take(user, place), (0, 1))
        self.assertIsNone(self.rates.take(place))
        other = ("bob", 60, 1)
        self.assertEqual(self.rates.take(other, place), (1, 1))
        self.assertIsNone(self.rates.take(other))


class CallsTests(SynchronousTestCase):
    """Calls at once, and their time."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.counts = CallCounts(self.clock)
        self.over: list[str] = []

    def call(self, name: str, *limits: CallLimit, answered: bool = True) -> CountedCall:
        call = self.counts.begin(limits)
        if answered:
            call.answered(lambda: self.end(name, call))
        return call

    def end(self, name: str, call: CountedCall) -> None:
        self.over.append(name)
        call.ended()

    def rest(self) -> None:
        """Nothing is left that runs or counts."""
        self.assertEqual((len(self.counts), self.clock.getDelayedCalls()), (0, []))

    def test_at_once(self) -> None:
        """A key is full with as many calls as it may have, until one of them is over, however often it ends."""
        limit = CallLimit(("user", "alice"), 2)
        first, second = self.call("1", limit), self.call("2", limit, answered=False)
        self.assertTrue(self.counts.is_full(limit))
        self.assertFalse(self.counts.is_full(CallLimit(("user", "bob"), 2)))
        self.assertFalse(self.counts.is_full(CallLimit(("user", "alice"), 0)))
        first.ended()
        first.ended()
        self.assertFalse(self.counts.is_full(limit))
        self.assertEqual(self.counts.alive(("user", "alice")), 1)
        second.ended()
        self.rest()

    def test_several_keys(self) -> None:
        """A call counts for each of its keys."""
        call = self.call("1", CallLimit(("user", "alice"), 1), CallLimit(("user", "192.0.2.1"), 1))
        self.assertTrue(self.counts.is_full(CallLimit(("user", "192.0.2.1"), 1)))
        call.ended()
        self.rest()

    def test_time_up(self) -> None:
        """The call that is up when the time of a day is used up ends; then there is none until the day is over."""
        limit = CallLimit(("user", "alice"), 0, 600)
        self.call("1", limit).ended()
        self.clock.advance(100)
        first = self.call("2", limit)
        self.clock.advance(400)
        first.ended()
        self.assertEqual(self.counts.used_up_for(limit), 0)
        self.clock.advance(1000)
        self.call("3", limit)
        self.clock.advance(199)
        self.assertEqual(self.over, [])
        self.clock.advance(1.01)
        self.assertEqual(self.over, ["3"])
        self.assertAlmostEqual(self.counts.used_up_for(limit), DAY - 1700.01)
        self.clock.advance(DAY - 1700)
        self.assertEqual(self.counts.used_up_for(limit), 0)
        self.rest()

    def test_several_at_once(self) -> None:
        """Calls at once use the time up together."""
        limit = CallLimit(("user", "alice"), 0, 600)
        self.call("1", limit)
        self.clock.advance(100)
        self.call("2", limit)
        self.clock.advance(249)
        self.assertEqual(self.over, [])
        self.clock.advance(1.01)
        self.assertEqual(sorted(self.over), ["1", "2"])
        self.rest()

    def test_one_of_several(self) -> None:
        """Where one of several calls ends, the others have what it leaves."""
        limit = CallLimit(("user", "alice"), 0, 600)
        first = self.call("1", limit)
        self.call("2", limit)
        self.clock.advance(200)
        first.ended()
        self.clock.advance(199)
        self.assertEqual(self.over, [])
        self.clock.advance(1.01)
        self.assertEqual(self.over, ["2"])

    def test_ringing_is_free(self) -> None:
        """Only answered calls take time."""
        limit = CallLimit(("user", "alice"), 0, 600)
        call = self.call("1", limit, answered=False)
        self.clock.advance(1000)
        self.assertEqual(self.counts.used_up_for(limit), 0)
        call.ended()
        self.rest()

    def test_over_the_end_of_a_day(self) -> None:
        """A call that is up at the end of a day counts for the next one from its beginning."""
        limit = CallLimit(("user", "alice"), 0, 600)
        self.call("1", limit).ended()
        self.clock.advance(DAY - 500)
        self.call("2", limit)
        self.clock.advance(500)
        self.clock.advance(599)
        self.assertEqual(self.over, [])
        self.clock.advance(1.01)
        self.assertEqual(self.over, ["2"])
        self.rest()

    def test_two_limits(self) -> None:
        """Of two keys the one ends the call whose time is used up first, and it ends once."""
        self.call("1", CallLimit(("user", "alice"), 0, 600), CallLimit(("user", "pbx"), 0, 300))
        self.clock.advance(301)
        self.clock.advance(600)
        self.assertEqual(self.over, ["1"])
        self.rest()

    def test_bounded(self) -> None:
        """Days are remembered for so many keys."""
        counts = CallCounts(self.clock, limit=3)
        for number in range(10):
            call = counts.begin([CallLimit(("user", str(number)), 0, 600)])
            call.answered(lambda: None)
            self.clock.advance(1)
            call.ended()
        self.assertEqual(
            [counts.used_up_for(CallLimit(("user", str(number)), 0, 0.5)) > 0 for number in range(10)].count(True), 3
        )
