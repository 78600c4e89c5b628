"""Requests from the SIP side while the directory of bindings is being asked, as a store on another machine is."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.calls.world import OFFER
from tests.support.configs import PBX
from tests.support.messages import request
from webrtcproxy.registration.binding import contact_user_of


class SlowDirectoryTests(CallCase):
    """One browser is registered; the directory answers when the test says so."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.world = self.make_world(slow=True)
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.alice.bind()

    def test_invite(self) -> None:
        """The browser rings once the directory has answered, and the call goes on as any other."""
        invite = self.trunk.call(self.alice)
        self.alice.silent()
        self.world.slow.answer()
        leg = self.alice.request("INVITE")
        self.alice.answer(leg, 200, OFFER)
        self.alice.heard("ACK")
        ok = self.trunk.response(200)
        self.trunk.ack(invite, ok)
        self.trunk.say(self.trunk.inside("BYE", invite, ok))
        self.trunk.heard(200)
        self.alice.answer(self.alice.request("BYE"), 200)
        self.assert_over(self.alice, self.trunk)

    def test_cancelled(self) -> None:
        """A CANCEL meanwhile is answered, and so is the INVITE; the browser learns nothing of either."""
        invite = self.trunk.call(self.alice)
        self.trunk.cancel(invite)
        self.assertEqual(sorted(self.trunk.pending()), ["200", "487"])
        self.trunk.forget()
        self.world.slow.answer()
        self.assert_over(self.alice, self.trunk)

    def test_draining(self) -> None:
        """Where the proxy has begun to stop meanwhile, there is no new call."""
        self.trunk.call(self.alice)
        self.assertTrue(self.world.calls.drain(60).called)
        self.world.slow.answer()
        self.assertEqual(self.trunk.response(503).headers.get("Retry-After"), "10")
        self.assert_over(self.alice, self.trunk)

    def test_refused(self) -> None:
        """A refusal that follows from the answer is the final response, and counted."""
        self.trunk.say(request("OPTIONS", "sip:other.example.com"))
        self.trunk.heard(200)
        self.world.location.registered(self.alice.aor, "192.0.2.99", 600)
        stranger = self.world.trunk("192.0.2.99")
        self.world.location.registered("bob@pbx.example.com", "192.0.2.98", 600)
        other = self.world.trunk("192.0.2.98")
        for peer in (stranger, other):
            peer.say(request("MESSAGE", f"sip:{contact_user_of(self.alice.aor)}@192.0.2.1"))
        self.world.slow.answer()
        self.alice.answer(self.alice.request("MESSAGE"), 200)
        stranger.heard(200)
        other.heard(403)

    def test_directory_fails(self) -> None:
        """The request is answered 500, with a line in the log."""
        self.trunk.call(self.alice)
        self.world.slow.fail()
        self.assertEqual(len(self.flushLoggedErrors(ConnectionError)), 1)
        self.trunk.heard(500)
        self.assert_over(self.alice, self.trunk)

    def test_options(self) -> None:
        """OPTIONS at our own address is answered once the directory does not know the user."""
        self.trunk.say(request("OPTIONS", "sip:ping@192.0.2.1:5060"))
        self.trunk.silent()
        self.world.slow.answer()
        self.trunk.heard(200)
