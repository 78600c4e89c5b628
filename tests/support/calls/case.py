"""The case class of tests that tell calls: a world before, nothing left behind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls.world import PLAIN, Browser, Peer, TrunkPeer, World
from tests.support.configs import config
from webrtcproxy.config import Trunk
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Headers, Request, Response


class CallCase(SynchronousTestCase):
    """Each test has a `world` of its own. After it, when all timers have run out, no call, leg, transaction or media
    session is left."""

    trunks: ClassVar[tuple[Trunk, ...]] = ()
    leg: Request
    trunk_ok: Response

    def setUp(self) -> None:
        self.worlds: list[World] = []
        self.world = self.make_world()

    def make_world(self, more: tuple[Trunk, ...] = (), slow: bool = False, **options: Any) -> World:
        """A world with the trunks of the case and `more`, besides the first one; `slow` as `World` has it."""
        world = World(config=config(*self.trunks, *more, **options), slow=slow)
        self.worlds.append(world)
        return world

    def tearDown(self) -> None:
        for world in self.worlds:
            for peer in world.peers:
                peer.flow.lose()
            self.assertEqual(world.rest(), [])
            self.assertEqual(len(world.transactions), 0)
            world.transactions.stop()
            world.location.stop()
            self.assertEqual(world.clock.getDelayedCalls(), [])

    def up(self, alice: Browser, trunk: TrunkPeer) -> tuple[Request, Response]:
        """Bring a call up; returns the browser's INVITE and its 200."""
        invite = alice.invite("sip:bob@pbx.example.com")
        self.leg = trunk.request("INVITE")
        self.trunk_ok = trunk.answer(self.leg, 200, PLAIN)
        trunk.heard("ACK")
        ok = alice.response(200)
        alice.ack(invite, ok)
        return invite, ok

    def callee_request(
        self, method: str, *, cseq: int = 1, headers: Iterable[tuple[str, str]] = (), body: bytes = b""
    ) -> Request:
        """A request of the trunk's within the dialog that it answered."""
        contact = NameAddr.parse(self.leg.headers.get("Contact") or "").uri
        fields = Headers(
            [
                ("Via", f"SIP/2.0/UDP 192.0.2.50;branch=z9hG4bKcallee{method}{cseq}"),
                ("Max-Forwards", "70"),
                ("From", self.trunk_ok.headers.get("To") or ""),
                ("To", self.leg.headers.get("From") or ""),
                ("Call-ID", self.leg.call_id),
                ("CSeq", f"{cseq} {method}"),
                *headers,
            ]
        )
        return Request(method, contact, fields, body)

    def assert_over(self, *peers: Peer) -> None:
        """Nothing more is said, and the media is freed."""
        self.world.turn()
        for peer in peers:
            peer.silent()
        self.assertEqual(len(self.world.calls), 0)
        self.assertEqual(self.world.nodes.leaks(), [])
