"""Directory: what every store of bindings can use."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.directories import ALICE
from webrtcproxy.registration.directory import Intents


class IntentsTests(SynchronousTestCase):
    """REGISTERs under way."""

    def test_bounded_by_what_is_under_way(self) -> None:
        """Each end removes its entry, that of a worker all of its entries; nothing else is touched or left."""
        intents = Intents()
        intents.add(ALICE, 1, 1, 600)
        intents.add(ALICE, 2, 1, 700)
        intents.add("bob@pbx.example.com", 2, 2, 800)
        self.assertEqual((intents.of(ALICE), len(intents)), ([600, 700], 3))
        self.assertEqual([intents.remove(ALICE, 3, 1), intents.remove(ALICE, 1, 1)], [False, True])
        self.assertEqual(list(intents), [(ALICE, 2, 1, 700), ("bob@pbx.example.com", 2, 2, 800)])
        intents.remove_worker(2)
        self.assertEqual((len(intents), intents.of(ALICE)), (0, []))
