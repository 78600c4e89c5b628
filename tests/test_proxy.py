"""What `build_proxy` joins that nothing else does."""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls.world import World
from tests.support.configs import PBX, config
from tests.support.fakes import FakeFlow
from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.proxy import Standalone, build_proxy, media_interface
from webrtcproxy.runtime.own_address import own_address
from webrtcproxy.transport.sip.sockets import SipSockets
from webrtcproxy.transport.wss.server import WebSocketServer

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
