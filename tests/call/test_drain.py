"""The end of the proxy: no new calls, time for those that are up, then BYE."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.calls.registering import JSSIP, SIPJS, register_request
from tests.support.configs import PBX
from tests.support.messages import request


class DrainTests(CallCase):
    """`Calls.drain`, and what the router says meanwhile."""

    trunks = (PBX,)

    def test_new_calls_are_refused(self) -> None:
        """INVITE and OPTIONS outside of a dialog get 503 with Retry-After, from browser and trunk (RFC 3261 21.5.4)."""
        self.assertTrue(self.world.calls.drain(60).called)
        alice, trunk = self.world.browser(), self.world.trunk()
        for peer in (alice, trunk):
            peer.say(request("INVITE", "sip:bob@pbx.example.com"))
            self.assertEqual(peer.response(503).headers.get("Retry-After"), "10")
            peer.say(request("OPTIONS", "sip:bob@pbx.example.com"))
            self.assertEqual(peer.response(503).headers.get("Retry-After"), "10")
        trunk.silent()

    def test_registrations(self) -> None:
        """A REGISTER gets 503 with Retry-After, so that the browser tries elsewhere, unless it only removes."""
        self.world.calls.drain(60)
        alice, trunk = self.world.browser(), self.world.trunk()
        soon = f"{SIPJS};expires=600"
        for cseq, contacts in enumerate(([JSSIP], [], [JSSIP.replace("reg-id=1", "expires=0"), soon]), 1):
            alice.say(register_request(*contacts, expires=600, cseq=cseq))
            self.assertEqual(alice.response(503).headers.get("Retry-After"), "10")
        trunk.silent()
        for cseq, contact in enumerate((JSSIP, "*"), 5):
            alice.say(register_request(contact, expires=0, cseq=cseq))
            trunk.answer(trunk.request("REGISTER"), 200)
            alice.response(200)

    def test_malformed_registration(self) -> None:
        """One that can't be read gets what it always gets."""
        self.world.calls.drain(60)
        alice = self.world.browser()
        alice.say(register_request("*", expires=60))
        alice.response(400)

    def test_calls_go_on(self) -> None:
        """What is up goes on; when it has ended by itself, the draining is over."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite, ok = self.up(alice, trunk)
        drained = self.world.calls.drain(60)
        self.assertFalse(drained.called)
        alice.say(alice.inside("INFO", invite, ok, cseq=2))
        trunk.answer(trunk.request("INFO"), 200)
        alice.response(200)
        alice.say(alice.inside("BYE", invite, ok, cseq=3))
        alice.response(200)
        trunk.answer(trunk.request("BYE"), 200)
        self.world.turn()
        self.successResultOf(drained)
        self.assert_over(alice, trunk)

    def test_time_is_up(self) -> None:
        """It is over after its time; what is left is the caller's to end."""
        alice, trunk = self.world.browser(), self.world.trunk()
        self.up(alice, trunk)
        drained = self.world.calls.drain(60)
        self.world.turn(59)
        self.assertFalse(drained.called)
        self.world.turn(1)
        self.successResultOf(drained)
        self.assertEqual(len(self.world.calls), 1)
        self.world.calls.stop()
        for peer in (alice, trunk):
            peer.answer(peer.request("BYE"), 200)
        self.assert_over(alice, trunk)

    def test_no_time(self) -> None:
        """With 0 seconds it is over at once."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite, ok = self.up(alice, trunk)
        self.assertTrue(self.world.calls.drain(0).called)
        alice.say(alice.inside("BYE", invite, ok, cseq=2))
        alice.response(200)
        trunk.answer(trunk.request("BYE"), 200)
        self.assert_over(alice, trunk)
