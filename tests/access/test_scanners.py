"""Scanners: told from browsers by their User-Agent and by what they try."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.exposition import Readings
from tests.support.fakes import FakeFlow
from tests.support.messages import request
from webrtcproxy.access import scanners as module
from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.access.proofs import Proofs
from webrtcproxy.access.scanners import Scanners
from webrtcproxy.config import BansConfig
from webrtcproxy.runtime.metrics import Metrics

STRANGER = "203.0.113.66"


class ScannerCase(SynchronousTestCase):
    """One stranger (docs/access.rst, Strangers)."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        self.proofs = Proofs(self.clock)
        self.guard = LoginGuard(self.clock, BansConfig(), metrics=self.metrics)
        self.scanners = Scanners(self.guard, self.proofs, BansConfig().user_agents, self.metrics)
        self.readings = Readings(self.metrics)
        self.flow = FakeFlow.wss(STRANGER)

    def log_in(self) -> None:
        self.proofs.add(self.flow, "alice@example.com", ("trunk", "pbx"), 600)


class UserAgents(ScannerCase):
    """What the User-Agent says."""

    def is_scanner(self, agent: str | None, flow: FakeFlow | None = None) -> bool:
        headers = [] if agent is None else [("User-Agent", agent)]
        return self.scanners.is_scanner(request("OPTIONS", headers=headers), flow or self.flow)

    def test_scanners(self) -> None:
        """The usual ones are known by the beginning of their names, in any case."""
        for agent in (
            "friendly-scanner", "Friendly-Scanner v0.3", "sipcli/v1.8", "sundayddr", "VaxSIPUserAgent/3.1", "sip-scan",
            "pplsip", "sipvicious", "SIPVicious/0.3.4",
        ):  # fmt: skip
            self.assertTrue(self.is_scanner(agent), agent)
        for agent in ("JsSIP 3.10.1", "SIP.js/0.21.2", "Asterisk PBX 20", "", None, "My friendly-scanner"):
            self.assertFalse(self.is_scanner(agent), agent)

    def test_banned(self) -> None:
        """Its address is banned where it is certain: over WebSocket and TCP. A datagram may have a forged one, by which
        others would be kept out."""
        for flow, banned in (
            (FakeFlow.wss("203.0.113.1"), True),
            (FakeFlow.tcp("203.0.113.2"), True),
            (FakeFlow.udp("203.0.113.3"), False),
        ):
            self.assertTrue(self.is_scanner("friendly-scanner", flow))
            self.assertEqual(self.guard.is_banned(flow.peer.host), banned, flow.via_transport)
        self.assertEqual(
            self.readings.moved(), {'refused_total{reason="scanner"}': 3, 'bans_total{reason="user_agent"}': 2}
        )

    def test_user(self) -> None:
        """Whoever is logged in may use what he likes."""
        self.log_in()
        self.assertFalse(self.is_scanner("sipcli/v1.8"))
        self.assertFalse(self.guard.is_banned(STRANGER))

    def test_bounded(self) -> None:
        """So many names are remembered, and so much of each."""
        for number in range(2 * module.REMEMBERED):
            self.is_scanner(f"{number}" + "x" * 5_000)
        self.assertEqual(len(self.scanners._known), module.REMEMBERED)
        self.assertLessEqual(max(map(len, self.scanners._known)), module.LONGEST_AGENT)


class Probes(ScannerCase):
    """What a stranger tries."""

    def try_all(self, count: int, status: int = 403) -> None:
        for number in range(count):
            self.scanners.refused(request("INVITE", f"sip:{number}@example.com"), self.flow, status)

    def test_targets(self) -> None:
        """Who is refused for ten users, numbers or hosts without being logged in is banned, on one connection or on
        many."""
        self.try_all(9)
        self.flow = FakeFlow.wss(STRANGER, 40001)
        self.try_all(9)
        self.assertFalse(self.guard.is_banned(STRANGER))
        self.try_all(10)
        self.assertTrue(self.guard.is_banned(STRANGER))

    def test_same_target(self) -> None:
        """A page that is not logged in yet and tries the same number again is no scanner."""
        for _ in range(50):
            self.try_all(1)
        self.assertEqual(self.guard.delay(STRANGER, "alice@example.com"), 0)

    def test_no_probe(self) -> None:
        """A challenge, an error of the proxy and a limit tell nothing of what there is; whoever is logged in is no
        scanner."""
        for status in (401, 407, 481, 500, 503):
            self.try_all(20, status)
        self.log_in()
        self.try_all(20)
        self.assertEqual(self.guard.delay(STRANGER, "alice@example.com"), 0)

    def test_ignored(self) -> None:
        """Who gets no response over TCP is banned as well; over UDP nobody is, nor who names dialogs that are over."""
        for number in range(20):
            for flow, to_tag in (
                (FakeFlow.tcp("203.0.113.1"), ""),
                (FakeFlow.udp("203.0.113.2"), ""),
                (FakeFlow.tcp("203.0.113.3"), "a"),
            ):
                self.scanners.ignored(request("BYE", f"sip:{number}@example.com", to_tag=to_tag), flow)
        found = [self.guard.is_banned(f"203.0.113.{number}") for number in (1, 2, 3)]
        self.assertEqual(found, [True, False, False])

    def test_foreign(self) -> None:
        """A browser that names dialogs of others is banned; on the SIP side it may be a peer that is not known yet."""
        for number in range(20):
            for flow in (FakeFlow.wss("203.0.113.1"), FakeFlow.tcp("203.0.113.2"), FakeFlow.udp("203.0.113.3")):
                self.scanners.foreign(request("BYE", call_id=f"c{number}"), flow)
        found = [self.guard.is_banned(f"203.0.113.{number}") for number in (1, 2, 3)]
        self.assertEqual(found, [True, False, False])
