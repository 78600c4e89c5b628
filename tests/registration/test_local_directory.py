"""LocalDirectory: the directory of a process that is alone."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.directories import ALICE, DirectoryContract
from webrtcproxy.registration.local_directory import LocalDirectory
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
