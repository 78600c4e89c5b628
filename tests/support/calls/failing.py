"""A trunk that has several targets, some of which fail."""

from __future__ import annotations

from dataclasses import replace

from tests.support.calls.case import CallCase
from tests.support.calls.world import PLAIN, TrunkPeer
from tests.support.configs import PBX
from webrtcproxy.config import HostPort, Trunk
from webrtcproxy.sip.message import Request

FIRST, SECOND, THIRD = "192.0.2.50", "192.0.2.51", "192.0.2.52"


def pbx(*hosts: str, **more: object) -> Trunk:
    """The trunk, at several proxies."""
    return replace(PBX, proxy=tuple(HostPort(host, None) for host in hosts), **more)  # type: ignore[arg-type]


class Case(CallCase):
    """A browser calls a trunk that has several proxies."""

    trunks = (pbx(FIRST, SECOND),)

    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def begin(self, *trunks: Trunk) -> None:
        """Have a world with these trunks instead."""
        if trunks:
            self.trunks = trunks  # type: ignore[misc]
            self.world = self.make_world()
        self.alice = self.world.browser()
        self.first, self.second = self.world.trunk(FIRST), self.world.trunk(SECOND)

    def call(self, *, to: str = "sip:bob@pbx.example.com") -> Request:
        """Call; returns what the first target gets."""
        self.invite = self.alice.invite(to)
        return self.first.request("INVITE")

    def wait(self, seconds: float) -> None:
        """Let time pass; the caller learns that it is worked upon."""
        self.world.turn(seconds)
        if self.alice.pending()[:1] == ["100"]:
            self.alice.next()

    def answered_by(self, trunk: TrunkPeer, leg: Request) -> None:
        """The call is answered there, lives and is ended by its caller: all within the dialog goes there."""
        trunk.answer(leg, 200, PLAIN)
        trunk.heard("ACK")
        ok = self.alice.response(200)
        self.alice.ack(self.invite, ok)
        self.alice.say(self.alice.inside("BYE", self.invite, ok))
        trunk.answer(trunk.request("BYE"), 200)
        self.alice.heard(200)
