"""What a node tells of its version, and which warnings follow (docs/access.rst: media)."""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.support.ngwire import FIRST, PORT, FakeDaemon, FakeReactor
from webrtcproxy.media.nodes import FIRST_PING, Nodes
from webrtcproxy.media.version import Quirks, Version, quirks_of, version_in, vulnerabilities_of

NAT, DTLS = "CVE-2025-53399", "CVE-2023-51275"


class VersionTests(SynchronousTestCase):
    """The session name of a description of rtpengine's own."""

    def test_named(self) -> None:
        """Dots are dashes there; what a package adds follows."""
        for name, numbers, package in (
            (b"10-5-3-5-1-deb12u1", (10, 5, 3, 5), "-1-deb12u1"),
            (b"13-4-1-1-0-mr13-4-1-1", (13, 4, 1, 1), "-0-mr13-4-1-1"),
            (b"26-0-1-13", (26, 0, 1, 13), ""),
        ):
            self.assertEqual(version_in(b"v=0\r\ns=rtpengine-" + name + b"\r\nt=0 0\r\n"), Version(numbers, package))

    def test_unknown(self) -> None:
        """A name of the administrator's own, half a version, what would not be fit for a log, no description."""
        for sdp in (b"v=0\r\ns=media\r\n", b"s=rtpengine-10-5\r\n", b"s=rtpengine-1-2-3-4\x1b[0m\r\n", b"", None, 7):
            self.assertIsNone(version_in(sdp))

    def test_vulnerable(self) -> None:
        """The first version without it, by line of versions, and what Debian has corrected in an older one."""
        for numbers, package, names in (
            ((10, 5, 3, 5), "-1", [DTLS, NAT]),
            ((10, 5, 3, 5), "-1-deb12u1", [DTLS]),
            ((10, 5, 6, 2), "", [NAT]),
            ((10, 5, 8, 5), "", []),
            ((11, 5, 1, 15), "", [DTLS, NAT]),
            ((12, 0, 1, 3), "", [NAT]),
            ((12, 1, 1, 1), "", [DTLS, NAT]),
            ((12, 5, 1, 31), "-1", [NAT]),
            ((12, 5, 1, 48), "", []),
            ((13, 3, 1, 9), "", [NAT]),
            ((13, 4, 1, 1), "", []),
            ((26, 0, 1, 13), "", []),
        ):
            found = [each.name for each in vulnerabilities_of(Version(numbers, package))]
            self.assertEqual(found, names, numbers)

    def test_quirks(self) -> None:
        """Which versions know the key ``bundle``, and which lose digits (field.rst X8: Keys of a node)."""
        for numbers, bundle, digits in (
            ((10, 5, 3, 5), False, False),
            ((12, 3, 1, 6), False, False),
            ((12, 4, 1, 1), False, True),
            ((12, 5, 1, 31), False, True),
            ((13, 3, 1, 9), False, True),
            ((13, 4, 1, 1), False, False),
            ((13, 5, 1, 1), False, False),
            ((14, 0, 1, 1), True, False),
            ((26, 0, 1, 13), True, False),
        ):
            self.assertEqual(quirks_of(Version(numbers)), Quirks(bundle, digits), numbers)


class WarningTests(SynchronousTestCase):
    """Each node is asked once, when it has replied for the first time, and nothing is left there."""

    def logged(self, software: bytes, digits: bool = False) -> list[tuple[LogLevel, str]]:
        reactor = FakeReactor()
        daemon = FakeDaemon(reactor)
        daemon.software = software
        nodes = Nodes(reactor, [(FIRST, PORT)], ping=5, digits=digits)
        with capturedLogs() as events:
            nodes.startService()
            reactor.advance(FIRST_PING)
            reactor.pump([0.5] * 60)
        self.assertEqual(sum(b"7:publish" in data for data in daemon.datagrams), 1)
        self.assertEqual(daemon.sessions, set())
        self.assertEqual(len(nodes.names), 0)
        nodes.stopService()
        reactor.settle()
        self.assertEqual(reactor.getDelayedCalls(), [])
        self.flushLoggedErrors()
        return [(event["log_level"], event["log_format"].format(**event)) for event in events]

    def test_vulnerable(self) -> None:
        """A warning for each vulnerability, with node, version, and what it allows."""
        _, *told = self.logged(b"rtpengine-12-5-1-31-1")
        self.assertEqual([level for level, _ in told], [LogLevel.warn])
        for word in (FIRST, "12.5.1.31-1", NAT, "media-nat", "update"):
            self.assertIn(word, told[0][1])

    def test_sound(self) -> None:
        """The version and no warning."""
        ((level, text),) = self.logged(b"rtpengine-26-0-1-13")
        self.assertEqual(level, LogLevel.info)
        self.assertIn("26.0.1.13", text)

    def test_loses_digits(self) -> None:
        """A warning where digits are to be played (field.rst X14: Lost digits)."""
        *_, (level, text) = self.logged(b"rtpengine-13-2-1-16", digits=True)
        self.assertEqual(level, LogLevel.warn)
        for word in (FIRST, "13.2.1.16", "dtmf = rfc4733", "INFO"):
            self.assertIn(word, text)
        for software, digits in ((b"rtpengine-13-2-1-16", False), (b"rtpengine-13-4-1-1", True)):
            self.assertNotIn("rfc4733", str(self.logged(software, digits)))

    def test_stopped_meanwhile(self) -> None:
        """Nothing is left there where the service is stopped before the reply."""
        reactor = FakeReactor()
        daemon = FakeDaemon(reactor)
        daemon.software, daemon.delay = b"rtpengine-26-0-1-13", 0.5
        nodes = Nodes(reactor, [(FIRST, PORT)], ping=5)
        nodes.startService()
        reactor.pump([FIRST_PING, 0.5])
        self.assertEqual(len(daemon.sessions), 1)
        stopped = nodes.stopService()
        reactor.pump([0.5] * 60)
        self.successResultOf(stopped)
        self.assertEqual((daemon.sessions, len(nodes.names), reactor.getDelayedCalls()), (set(), 0, []))

    def test_another_program(self) -> None:
        """A node that was dead is asked again: it may have been updated, or replaced by one that does not tell."""
        reactor = FakeReactor()
        daemon = FakeDaemon(reactor)
        nodes = Nodes(reactor, [(FIRST, PORT)], ping=5)
        (node,) = nodes.nodes
        nodes.startService()
        for software, expected in (
            (b"rtpengine-12-5-1-31", Quirks(False, True)),
            (b"rtpengine-26-0-1-13", Quirks(True, False)),
            (b"", Quirks()),
        ):
            daemon.software = software
            reactor.pump([0.5] * 60)
            self.assertEqual((node.alive, node.quirks), (True, expected))
            daemon.silent = True
            reactor.pump([0.5] * 60)
            self.assertFalse(node.alive)
            daemon.silent = False
        nodes.stopService()
        reactor.settle()

    def test_not_told(self) -> None:
        """A node that knows no such command, or calls itself something else."""
        for software in (b"", b"media"):
            self.assertEqual(self.logged(software), [])
