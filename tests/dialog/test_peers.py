"""Whose dialog it is: the tags alone show nothing (docs/access.rst: A request within a dialog)."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.calls.party import (
    FOREIGN,
    METHODS,
    UNKNOWN_DIALOG,
    Party,
    contact_uri,
    hang_up,
    inbound,
    outbound,
)
from tests.support.calls.world import OFFER, PLAIN, Browser
from tests.support.configs import PBX
from tests.support.exposition import Readings
from tests.support.messages import request
from webrtcproxy.registration.binding import Binding
from webrtcproxy.sip.headers import NameAddr


class BrowserSide(CallCase):
    """A second browser knows Call-ID, tags and CSeq of a call between a browser and a trunk."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.mallory = self.world.browser("mallory")
        self.mallory.bind()

    def refused(self, party: Party, other: Party) -> None:
        """None of the methods has an effect on the dialog of `party`, and the answer is that to an unknown dialog."""
        readings = Readings(self.world.metrics)
        thief = party.known_to(self.mallory)
        for method in METHODS:
            body = thief.sdp() if method == "INVITE" else b""
            thief.ask(method, body, ("Refer-To", "<sip:x@pbx.example.com>"), ("Subscription-State", "active"))
        self.assertEqual(self.mallory.pending(), ["481"] * len(METHODS))
        self.mallory.forget()
        self.assertEqual(readings.moved(), {FOREIGN: len(METHODS), UNKNOWN_DIALOG: len(METHODS)})
        other.peer.silent()
        party.peer.silent()

    def test_caller(self) -> None:
        """No method of another browser is taken for one of the caller; the call goes on where it is."""
        for registered in (True, False):
            self.world = self.make_world()
            self.mallory = self.world.browser("mallory")
            self.mallory.bind()
            caller, callee = outbound(self.world) if not registered else self._registered()
            self.refused(caller, callee)
            hang_up(callee, caller)

    def _registered(self) -> tuple[Party, Party]:
        caller, callee = outbound(self.world)
        assert isinstance(caller.peer, Browser)
        caller.peer.bind()
        return caller, callee

    def test_callee(self) -> None:
        """The same for a browser that was called."""
        caller, callee = inbound(self.world)
        self.refused(callee, caller)
        hang_up(callee, caller)

    def test_ack(self) -> None:
        """An ACK of somebody else does not end the wait for that of the caller (RFC 3261 section 13.3.1.4)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com")
        trunk.answer(trunk.request("INVITE"), 200, PLAIN)
        ok = alice.response(200)
        readings = Readings(self.world.metrics)
        self.mallory.ack(invite, ok)
        self.assertEqual(readings.moved(), {FOREIGN: 1})
        self.world.turn(0.5)
        alice.heard(200)
        alice.ack(invite, ok)
        self.world.turn(2)
        alice.silent()

    def test_cancel(self) -> None:
        """A CANCEL of somebody else, with the branch or without: 481, and it goes on ringing (RFC 3261 section 9.2)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        invite = alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        trunk.answer(leg, 180)
        readings = Readings(self.world.metrics)
        self.mallory.cancel(invite)
        self.mallory.heard(481)
        self.assertEqual(readings.moved(), {FOREIGN: 1})
        trunk.silent()
        again = self.world.browser()
        again.bind()
        again.cancel(invite)
        again.heard(200)
        again.heard(487)
        self.world.turn()
        trunk.answer(trunk.request("CANCEL"), 200)
        trunk.answer(leg, 487)
        trunk.heard("ACK")

    def test_cancel_within_the_dialog(self) -> None:
        """The same for a re-INVITE."""
        caller, callee = outbound(self.world)
        invite = caller.ask("INVITE", caller.sdp())
        crossed = callee.peer.request("INVITE")
        caller.known_to(self.mallory).cancel(invite)
        self.mallory.heard(481)
        callee.answer(crossed, 200, callee.sdp())
        callee.peer.heard("ACK")
        caller.peer.heard(200)
        caller.ack(invite)

    def test_response(self) -> None:
        """A response on another connection than its request is ignored, and counted (RFC 3261 section 18.1.2)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        trunk.call(alice)
        leg = alice.request("INVITE")
        readings = Readings(self.world.metrics)
        self.mallory.answer(leg, 200, OFFER)
        self.assertEqual(readings.moved(), {FOREIGN: 1})
        trunk.silent()
        alice.answer(leg, 486)
        trunk.heard(486)

    def test_replaces(self) -> None:
        """Another user may not replace the dialog (RFC 3891 section 3); the same user may."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        invite, ok = self.up(alice, trunk)
        named = f"{invite.call_id};to-tag={ok.to.tag};from-tag={invite.from_.tag}"
        self.mallory.invite("sip:bob@pbx.example.com", ("Replaces", named))
        self.mallory.heard(403)
        again = self.world.browser()
        again.bind()
        again.invite("sip:bob@pbx.example.com", ("Replaces", named))
        self.assertTrue(trunk.request("INVITE").headers.get("Replaces"))

    def test_update_in_an_early_dialog(self) -> None:
        """Only the callee that rings is told that its early dialog exists (RFC 3311 section 5.2)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        trunk.call(alice)
        leg = alice.request("INVITE")
        early = Party(alice, leg.call_id, f"{leg.to};tag=x", str(leg.from_), contact_uri(leg), 1)
        early.known_to(self.mallory).ask("UPDATE", early.sdp())
        self.mallory.heard(481)
        early.ask("UPDATE", early.sdp())
        alice.heard(491)

    def test_early_dialog(self) -> None:
        """Nor does anybody else speak in the early dialog of a callee that rings."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        invite = trunk.call(alice)
        leg = alice.request("INVITE")
        ringing = alice.answer(leg, 180)
        trunk.heard(180)
        early = Party(alice, leg.call_id, ringing.headers.get("To") or "", str(leg.from_), contact_uri(leg), 1)
        early.known_to(self.mallory).ask("INFO", b"x", ("Content-Type", "text/plain"))
        self.mallory.heard(481)
        early.ask("INFO", b"x", ("Content-Type", "text/plain"))
        self.assertEqual(trunk.request("INFO").call_id, invite.call_id)


class SameUser(CallCase):
    """A browser that comes back on another connection."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.trunk, self.new = self.world.browser(), self.world.trunk(), self.world.browser()

    def info(self, status: int) -> None:
        """The new connection speaks in the dialog of the old one."""
        self.new.say(self.new.inside("INFO", self.invite, self.ok, body=b"x"))
        if status == 200:
            self.trunk.answer(self.trunk.request("INFO"), 200)
        self.new.heard(status)

    def test_authenticated(self) -> None:
        """It has authenticated for the address-of-record of the dialog: it goes on, whatever its Contact."""
        self.alice.bind()
        self.invite, self.ok = self.up(self.alice, self.trunk)
        self.info(481)
        self.new.bind()
        self.info(200)

    def test_same_instance(self) -> None:
        """A registrar that challenges nobody: the same instance of the same user goes on, another one does not (RFC
        5626 section 4.1)."""
        self._bind(self.alice, "urn:uuid:8f4b")
        self.invite, self.ok = self.up(self.alice, self.trunk)
        self._bind(self.new, "urn:uuid:other")
        self.info(481)
        self._bind(self.new, "urn:uuid:8f4b")
        self.info(200)

    def _bind(self, browser: Browser, instance: str) -> None:
        """Have it registered without a challenge, as an instance."""
        value = NameAddr("", browser.contact)
        until = self.world.clock.seconds() + 600
        self.world.location.bind([Binding(browser.aor, instance, 1, browser.contact, value, browser.flow, until)])

    def test_never_registered(self) -> None:
        """The dialog of a browser that has not registered stays with its connection: From says only who it wants to
        be, and its Contact is known to others."""
        self.invite, self.ok = self.up(self.alice, self.trunk)
        self.new.contact = self.alice.contact
        self.new.bind()
        self.info(481)
        self.trunk.say(self.callee_request("INFO"))
        self.alice.answer(self.alice.request("INFO"), 200)
        self.new.silent()

    def test_registered_during_the_call(self) -> None:
        """One that has called before its REGISTER was answered is that user's from then on."""
        self.invite, self.ok = self.up(self.alice, self.trunk)
        self.alice.bind()
        self.alice.flow.lose()
        self.new.contact = self.alice.contact
        self.new.bind()
        self.trunk.say(self.callee_request("INFO"))
        self.new.answer(self.new.request("INFO"), 200)
        self.trunk.heard(200)

    def test_anonymous_call(self) -> None:
        """From need not name the user (RFC 3323 section 4.1.1.3): who has registered on the connection has called."""
        self.alice.bind()
        self.alice.uri = "sip:anonymous@anonymous.invalid"
        self.invite, self.ok = self.up(self.alice, self.trunk)
        self.new.bind()
        self.info(200)


class Registered(CallCase):
    """Requests of a browser at which somebody has registered in between."""

    trunks = (PBX,)

    def test_stranger_with_the_contact(self) -> None:
        """Registering as somebody else with the Contact of a call gets nothing of it."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        self.up(alice, trunk)
        mallory = self.world.browser("mallory")
        mallory.contact = alice.contact
        mallory.bind()
        trunk.say(self.callee_request("INFO"))
        mallory.silent()
        alice.answer(alice.request("INFO"), 200)
        trunk.heard(200)

    def test_out_of_dialog(self) -> None:
        """A request outside of dialogs needs none."""
        mallory = self.world.browser("mallory")
        mallory.say(request("OPTIONS", "sip:192.0.2.1"))
        mallory.heard(200)
