"""Bans: the addresses that are kept out, for how long, and how that ends."""

from __future__ import annotations

from ipaddress import ip_network

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.exposition import samples
from webrtcproxy.access import bans as module
from webrtcproxy.access.bans import Bans
from webrtcproxy.config import BansConfig
from webrtcproxy.runtime.metrics import Metrics


class Banned(SynchronousTestCase):
    """Bans of ten minutes, at most of an hour."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        config = BansConfig(seconds=600, longest=3600, trusted=(ip_network("192.0.2.0/24"),))
        self.bans = Bans(self.clock, config, lambda host: host == "198.51.100.1", self.metrics)

    def test_ends(self) -> None:
        """A ban lasts as long as the configuration says (docs/access.rst, Strangers)."""
        self.assertEqual(self.bans.remaining("203.0.113.1"), 0)
        self.bans.ban("203.0.113.1", "probes")
        self.assertEqual((self.bans.remaining("203.0.113.1"), self.bans.remaining("203.0.113.2")), (600, 0))
        self.clock.advance(599)
        self.assertEqual((self.bans.remaining("203.0.113.1"), len(self.bans)), (1, 1))
        self.clock.advance(1)
        self.assertEqual((self.bans.remaining("203.0.113.1"), len(self.bans), self.bans.listed()), (0, 0, []))

    def test_grows(self) -> None:
        """Each further ban within a day is twice as long, up to the longest (docs/access.rst, Strangers)."""
        lengths = []
        for _ in range(5):
            self.bans.ban("203.0.113.1", "logins")
            lengths.append(self.bans.remaining("203.0.113.1"))
            self.clock.advance(lengths[-1] + 60)
        self.assertEqual(lengths, [600, 1200, 2400, 3600, 3600])
        self.clock.advance(module.REPEATED)
        self.bans.ban("203.0.113.1", "logins")
        self.assertEqual(self.bans.remaining("203.0.113.1"), 600)

    def test_not_longer_while_banned(self) -> None:
        """What comes during a ban changes nothing, so that it always ends."""
        self.bans.ban("203.0.113.1", "logins")
        self.clock.advance(500)
        self.bans.ban("203.0.113.1", "probes")
        self.assertEqual(self.bans.remaining("203.0.113.1"), 100)

    def test_networks(self) -> None:
        """The addresses of an IPv6 /64 are banned as one; an IPv4-mapped address is not another one's neighbour."""
        self.bans.ban("2001:db8:1:2:3::4", "logins")
        self.assertTrue(self.bans.remaining("2001:db8:1:2:ffff::1"))
        self.assertFalse(self.bans.remaining("2001:db8:1:3::4"))
        listed = {"network": "2001:db8:1:2::/64", "reason": "logins", "seconds": 600, "times": 1}
        self.assertEqual(self.bans.listed(), [listed])

    def test_exempt(self) -> None:
        """Trusted networks, trunks and reverse proxies are never banned (docs/access.rst, Strangers)."""
        for host in ("192.0.2.77", "198.51.100.1"):
            self.bans.ban(host, "probes")
            self.assertEqual(self.bans.remaining(host), 0, host)
        self.assertFalse(self.bans.is_exempt("no address"))

    def test_counted_and_watched(self) -> None:
        """A ban is counted by its cause, and told to those who close connections and to the other processes."""
        closed: list[str] = []
        shared: list[tuple[str, str, float]] = []
        self.bans.watch(closed.append)
        self.bans.banned = lambda *ban: shared.append(ban)
        self.bans.ban("203.0.113.1", "user_agent")
        self.assertEqual((closed, shared), (["203.0.113.1"], [("203.0.113.1", "user_agent", 600)]))
        self.assertEqual(samples(self.metrics.text())['bans_total{reason="user_agent"}'], 1)

    def test_of_another_process(self) -> None:
        """The ban of another process holds here, too; it is neither counted nor passed on again."""
        self.bans.banned = lambda *ban: self.fail("passed on")
        self.bans.ban_of_another("203.0.113.1", "logins", 77.0)
        self.assertEqual(self.bans.remaining("203.0.113.1"), 77)
        self.assertEqual(samples(self.metrics.text())['bans_total{reason="logins"}'], 0)

    def test_lifted(self) -> None:
        """A ban is lifted by any address of its network, or by the network; then the next one is as short as the
        first."""
        for name in ("2001:db8::99", "2001:db8::/64"):
            self.bans.ban("2001:db8::1", "logins")
            self.assertTrue(self.bans.lift(name))
            self.assertEqual(self.bans.remaining("2001:db8::1"), 0)
        self.assertFalse(self.bans.lift("2001:db8::1"))
        self.bans.ban("2001:db8::1", "logins")
        self.assertEqual(self.bans.remaining("2001:db8::1"), 600)
        self.clock.advance(600)
        self.assertFalse(self.bans.lift("2001:db8::1"))

    def test_bounded(self) -> None:
        """The oldest ban makes room: nothing that strangers cause grows without a bound."""
        self.bans = Bans(self.clock, BansConfig())
        for number in range(module.REMEMBERED + 2):
            self.bans.ban_of_another(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", "logins", 600)
        self.assertEqual(len(self.bans), module.REMEMBERED)
        self.assertEqual((self.bans.remaining("10.0.0.1"), self.bans.remaining("10.0.0.2")), (0, 600))
