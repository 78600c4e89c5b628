"""What a call leaves behind is freed at once: the garbage collector looks seldom (webrtcproxy/memory.py)."""

from __future__ import annotations

import gc
from collections.abc import Callable

from tests.call.case import CallCase
from tests.call.world import PLAIN
from tests.support.configs import PBX
from webrtcproxy.call.branch import Branch
from webrtcproxy.call.call import Call
from webrtcproxy.call.fork import Fork
from webrtcproxy.call.leg import Leg
from webrtcproxy.call.setup import SetUp


class Cycles(CallCase):
    """No object of a call needs the collector, however the call ends."""

    trunks = (PBX,)

    def left(self, live: Callable[[], None]) -> list[str]:
        """The kinds of objects of a call that only the collector can free when `live` is over."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        live()
        self.world.rest()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            gc.collect()
            return sorted(
                {type(found).__name__ for found in gc.garbage if isinstance(found, (Call, Leg, Fork, Branch, SetUp))}
            )
        finally:
            gc.set_debug(0)
            gc.garbage.clear()

    def test_hung_up(self) -> None:
        """The caller hangs up."""

        def live() -> None:
            alice, trunk = self.world.browser(), self.world.trunk()
            invite, ok = self.up(alice, trunk)
            alice.say(alice.inside("BYE", invite, ok))
            trunk.answer(trunk.request("BYE"), 200)

        self.assertEqual(self.left(live), [])

    def test_refused(self) -> None:
        """The trunk refuses."""

        def live() -> None:
            alice, trunk = self.world.browser(), self.world.trunk()
            alice.invite("sip:bob@pbx.example.com")
            trunk.answer(trunk.request("INVITE"), 486)

        self.assertEqual(self.left(live), [])

    def test_cancelled(self) -> None:
        """The caller gives up while it rings."""

        def live() -> None:
            alice, trunk = self.world.browser(), self.world.trunk()
            invite = alice.invite("sip:bob@pbx.example.com")
            leg = trunk.request("INVITE")
            trunk.answer(leg, 183, PLAIN)
            alice.cancel(invite)
            self.world.turn()
            trunk.answer(trunk.request("CANCEL"), 200)
            trunk.answer(leg, 487)

        self.assertEqual(self.left(live), [])
