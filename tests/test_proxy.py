"""What `build_proxy` joins that nothing else does."""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls.world import PLAIN, World
from tests.support.configs import PBX, config
from tests.support.fakes import FakeFlow
from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.proxy import Proxy, build_proxy, media_interface
from webrtcproxy.runtime.own_address import own_address
from webrtcproxy.standalone import Standalone
from webrtcproxy.transport.sip.sockets import SipSockets
from webrtcproxy.transport.wss.server import WebSocketServer
from webrtcproxy.users.called_numbers import CalledNumbers
from webrtcproxy.users.domains import Domains

STRANGER = "203.0.113.66"


class OneOfSeveral(Standalone):
    """A process that shares its bans with others.

    :ivar shared: the guard that it shares.
    :ivar sockets: its SIP sockets.
    """

    shared: LoginGuard
    sockets: SipSockets

    def share_bans(self, guard: LoginGuard) -> None:
        self.shared = guard

    def sip_sockets(self, *what: Any, **more: Any) -> SipSockets:
        self.sockets = super().sip_sockets(*what, **more)
        return self.sockets


class MediaInterfaceTests(SynchronousTestCase):
    """`media_interface`."""

    def test_auto(self) -> None:
        """``auto`` is the address by which this machine reaches others, also where another one is advertised for it."""
        self.assertEqual(media_interface("auto"), own_address())
        self.assertEqual(media_interface("auto!203.0.113.7"), f"{own_address()}!203.0.113.7")

    def test_written(self) -> None:
        """Anything else is rtpengine's."""
        for written in ("127.0.0.1", "eth0", "pub/192.0.2.1!203.0.113.7", "automatic"):
            self.assertEqual(media_interface(written), written)


class BansTests(SynchronousTestCase):
    """A ban is one everywhere (docs/access.rst: Strangers)."""

    def setUp(self) -> None:
        self.cut: list[tuple[str, str]] = []
        self.patch(WebSocketServer, "cut", lambda _, network, spared: self.cut.append(("browsers", network)))
        self.patch(SipSockets, "cut", lambda _, network: self.cut.append(("trunks", network)))
        reactor = MemoryReactorClock()
        self.runtime = OneOfSeveral(reactor)
        self.proxy, self.queries = build_proxy(config(PBX), reactor, self.runtime)

    def test_shared(self) -> None:
        """The guard whose bans are shared is the one that counts failed logins, and is listed and asked."""
        guard = self.runtime.shared
        guard.bans.ban_of_another(STRANGER, "logins", 60)
        self.assertEqual([ban["network"] for ban in self.queries["bans"]()], [STRANGER])
        self.assertTrue(self.runtime.sockets.is_banned(STRANGER))
        self.assertIn("banned_addresses 1.0", self.queries["metrics"]())
        self.assertTrue(self.queries["lift"](STRANGER))
        self.assertFalse(self.runtime.sockets.is_banned(STRANGER))

    def test_cut(self) -> None:
        """Its connections are cut on both sides, wherever it was banned."""
        self.runtime.shared.bans.ban(STRANGER, "probes")
        self.assertEqual(self.cut, [("browsers", STRANGER), ("trunks", STRANGER)])
        self.cut.clear()
        self.runtime.shared.bans.ban_of_another("203.0.113.67", "probes", 60)
        self.assertEqual(self.cut, [("browsers", "203.0.113.67"), ("trunks", "203.0.113.67")])


class EndTests(SynchronousTestCase):
    """The end of a proxy whose calls do not end by themselves (docs/operations.rst: Stop)."""

    def setUp(self) -> None:
        self.world = World(PBX)
        self.proxy = Proxy(self.world.clock, self.world.core, 60.0)
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.invite = self.alice.invite("sip:bob@pbx.example.com")
        self.trunk.answer(self.trunk.request("INVITE"), 200, PLAIN)
        self.trunk.heard("ACK")
        self.ok = self.alice.response(200)
        self.alice.ack(self.invite, self.ok)
        self.stopped = self.proxy.wind_up()

    def byes(self) -> None:
        """Each side is told the end of the call, and has not answered."""
        self.world.turn()
        self.bye_of_alice, self.bye_of_trunk = self.alice.request("BYE"), self.trunk.request("BYE")

    def test_hurry(self) -> None:
        """A further signal ends the time that calls have; their BYEs are answered still."""
        self.world.turn(10)
        self.alice.silent()
        self.proxy.hurry()
        self.byes()
        self.world.turn(1)
        self.assertNoResult(self.stopped)
        self.alice.answer(self.bye_of_alice, 200)
        self.trunk.answer(self.bye_of_trunk, 200)
        self.world.turn(0.1)
        self.successResultOf(self.stopped)
        self.assertEqual(self.world.rest(), [])

    def test_hurry_more(self) -> None:
        """One more ends the time that their BYEs have to be answered."""
        self.proxy.hurry()
        self.byes()
        self.assertNoResult(self.stopped)
        self.proxy.hurry()
        self.world.turn(0.1)
        self.successResultOf(self.stopped)

    def test_hurry_before(self) -> None:
        """Two signals in one moment: the second one comes before the end has begun."""
        other = Proxy(self.world.clock, self.world.core, 60.0)
        other.hurry()
        stopped = other.wind_up()
        self.byes()
        self.world.turn(Proxy.BYE_TIMEOUT + 0.1)
        self.successResultOf(stopped)


class ReloadTests(SynchronousTestCase):
    """SIGHUP (docs/operations.rst: Files)."""

    def test_files(self) -> None:
        """Everything with files reads them again: users, numbers, the sockets of both sides, other services."""
        read: list[str] = []
        reactor = MemoryReactorClock()
        proxy, _ = build_proxy(config(PBX), reactor, Standalone(reactor))
        for kind in (Domains, CalledNumbers):
            self.patch(kind, "refresh", lambda self: read.append(type(self).__name__))
        for kind in (WebSocketServer, SipSockets):
            self.patch(kind, "reload", lambda self: read.append(type(self).__name__))
        proxy.reload()
        self.assertEqual(read, ["Domains", "CalledNumbers", "SipSockets", "WebSocketServer"])


class RoomTests(SynchronousTestCase):
    """Whose WebSocket makes room where there are too many (docs/access.rst: To connect)."""

    def test_asked(self) -> None:
        """The sockets of browsers ask what is known of their flows."""
        reactor = MemoryReactorClock()
        proxy, _ = build_proxy(config(PBX), reactor, Standalone(reactor))
        browsers = proxy.getServiceNamed("wss")
        assert isinstance(browsers, WebSocketServer)
        self.assertFalse(browsers.is_needed(FakeFlow.wss()))

    def test_needed(self) -> None:
        """Not that of who has neither logged in nor registered, though without a password, and has no dialog."""
        world = World(PBX)
        alice, bob, carol, stranger = (world.browser(name) for name in ("alice", "bob", "carol", "mallory"))
        everybody = alice, bob, carol, stranger
        self.assertFalse([each for each in everybody if world.core.needs(each.flow)])
        world.location.proofs.add(alice.flow, alice.aor, ("trunk", "pbx"), 60)
        bob.bind(authenticated=False)
        invite = carol.invite("sip:dora@pbx.example.com")
        self.assertEqual([world.core.needs(each.flow) for each in everybody], [True, True, True, False])
        carol.cancel(invite)
        self.assertEqual(world.rest(), [])
        self.assertFalse(world.core.needs(carol.flow))
