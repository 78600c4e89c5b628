"""LocalDirectory: the directory of a process that is alone."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.directories import ALICE, DirectoryContract
from webrtcproxy.registration.directory import Intents, LocalDirectory
from webrtcproxy.registration.location import Location


class LocalTests(DirectoryContract, SynchronousTestCase):
    """It keeps what every directory has to."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.location = Location(self.clock, self.multiple)
        self.addCleanup(self.location.stop)
        self.directory = self.other = LocalDirectory(self.clock, self.location)


class LocalNewestWinsTests(SynchronousTestCase):
    """`multiple = no`."""

    def test_intent(self) -> None:
        """A REGISTER that adds replaces the others, so that it learns of none; one that leaves learns of it."""
        clock = Clock()
        location = Location(clock, multiple=False)
        self.addCleanup(location.stop)
        directory = LocalDirectory(clock, location)
        self.assertEqual(self.successResultOf(directory.intend(ALICE, 1, (), 6000)), [])
        self.assertEqual(self.successResultOf(directory.intend(ALICE, 2, (), 60)), [])
        self.assertEqual(self.successResultOf(directory.intend(ALICE, 3, (), 0)), [6000, 60])


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
