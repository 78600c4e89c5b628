"""A dict with a bound."""

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime.bounded import BoundedDict


class BoundedDictTests(SynchronousTestCase):
    """`BoundedDict`."""

    def setUp(self) -> None:
        self.table: BoundedDict[str, int] = BoundedDict(2)
        self.table["a"] = 1
        self.table["b"] = 2

    def test_oldest_goes(self) -> None:
        """Where it is full, a new key takes the place of the oldest."""
        self.table["c"] = 3
        self.assertEqual(dict(self.table), {"b": 2, "c": 3})

    def test_known_key(self) -> None:
        """Another value for a key that is there drops nothing, and makes it no newer."""
        self.table["a"] = 4
        self.assertEqual(dict(self.table), {"a": 4, "b": 2})
        self.table["c"] = 3
        self.assertEqual(dict(self.table), {"b": 2, "c": 3})

    def test_renew(self) -> None:
        """A renewed key is the newest, be it known or not."""
        self.table.renew("a", 4)
        self.table.renew("c", 3)
        self.assertEqual(dict(self.table), {"a": 4, "c": 3})
