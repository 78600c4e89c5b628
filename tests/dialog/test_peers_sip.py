"""Whose dialog it is on the SIP side: the tags alone show nothing (docs/access.rst: A request within a dialog)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

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
    party_of,
)
from tests.support.calls.subscribing import EVENT, WatchCase, early_notifier_of, notify
from tests.support.calls.world import OFFER, PLAIN
from tests.support.configs import CARRIER, PBX
from tests.support.exposition import Readings


class SipSide(CallCase):
    """Somebody on the SIP side who knows Call-ID, tags and CSeq."""

    trunks = (replace(PBX, sources=(ip_network("192.0.2.50/32"), ip_network("192.0.2.51/32"))), CARRIER)

    def setUp(self) -> None:
        super().setUp()
        self.stranger = self.world.trunk("203.0.113.66")
        self.carrier = self.world.trunk("192.0.2.7")

    def refused(self, party: Party, other: Party) -> None:
        readings = Readings(self.world.metrics)
        for method in METHODS:
            party.known_to(self.stranger).ask(method)
        self.stranger.silent()
        self.assertEqual(readings.moved(), {FOREIGN: len(METHODS)})
        for method in METHODS:
            party.known_to(self.carrier).ask(method)
        self.assertEqual(self.carrier.pending(), ["481"] * len(METHODS))
        self.carrier.forget()
        self.assertEqual(readings.moved(), {FOREIGN: len(METHODS), UNKNOWN_DIALOG: len(METHODS)})
        other.peer.silent()
        party.peer.silent()

    def test_callee(self) -> None:
        """Silence for a stranger, 481 for another trunk, whatever the method; the call goes on."""
        caller, callee = outbound(self.world)
        self.refused(callee, caller)
        hang_up(callee, caller)

    def test_caller(self) -> None:
        """The same for a trunk that has called."""
        caller, callee = inbound(self.world)
        self.refused(caller, callee)
        hang_up(caller, callee)

    def test_other_address_of_the_trunk(self) -> None:
        """Any address of the trunk and any port is good."""
        caller, callee = outbound(self.world)
        for peer in (self.world.trunk("192.0.2.51"), self.world.trunk("192.0.2.50", 40000)):
            callee.known_to(peer).ask("INFO", b"x", ("Content-Type", "text/plain"))
            caller.answer(caller.peer.request("INFO"), 200)
            peer.heard(200)
            callee.cseq += 10

    def test_address_that_the_dialog_names(self) -> None:
        """The end behind a trunk that does not record-route sends from the address in its Contact, or in the top
        Record-Route (RFC 3261 section 12.2)."""
        for headers in (
            [("Contact", "<sip:callee@203.0.113.66>")],
            [("Record-Route", "<sip:10.0.0.1;lr>, <sip:203.0.113.66;lr>")],
        ):
            alice, trunk = self.world.browser(), self.world.trunk()
            invite = alice.invite("sip:bob@pbx.example.com")
            leg = trunk.request("INVITE")
            contact = dict(headers).get("Contact", "")
            more = [] if contact else headers
            ok = trunk.answer(leg, 200, PLAIN, contact=contact, headers=more)
            alice.ack(invite, alice.response(200))
            self.stranger.heard("ACK")
            end = Party(
                self.stranger, leg.call_id, ok.headers.get("To") or "", leg.headers.get("From") or "",
                contact_uri(leg), 0,
            )  # fmt: skip
            end.ask("BYE")
            self.stranger.heard(200)
            alice.answer(alice.request("BYE"), 200)

    def test_name_that_was_resolved(self) -> None:
        """Where the next hop is a name, its address counts from when a request was sent there."""
        self.world.names.known["edge.example.com"] = "203.0.113.66"
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        ok = trunk.answer(leg, 200, PLAIN, contact="<sip:callee@edge.example.com>")
        alice.ack(invite, alice.response(200))
        self.stranger.heard("ACK")
        end = Party(
            self.stranger, leg.call_id, ok.headers.get("To") or "", leg.headers.get("From") or "",
            contact_uri(leg), 0,
        )  # fmt: skip
        end.ask("BYE")
        self.stranger.heard(200)
        alice.answer(alice.request("BYE"), 200)

    def test_name_that_is_not_resolved(self) -> None:
        """Where nothing was sent there before, the name is looked up once, and a repeat is taken; nobody else's is."""
        self.world.names.known["edge.example.com"] = "203.0.113.65 203.0.113.66"
        alice, trunk, other = self.world.browser(), self.world.trunk(), self.world.trunk("203.0.113.99")
        alice.bind()
        trunk.contact = "sip:carol@edge.example.com"
        invite = trunk.call(alice)
        alice.answer(alice.request("INVITE"), 200, OFFER.replace(b"actpass", b"active"))
        ok = trunk.response(200)
        alice.heard("ACK")
        self.stranger.ack(invite, ok)
        self.world.turn(0.5)
        trunk.heard(200)
        other.ack(invite, ok)
        self.stranger.ack(invite, ok)
        self.world.turn(2)
        trunk.silent()
        end = party_of(trunk, invite, ok)
        end.known_to(other).ask("BYE")
        other.silent()
        end.known_to(self.stranger).ask("BYE")
        self.stranger.heard(200)
        alice.answer(alice.request("BYE"), 200)

    def test_mapped_address(self) -> None:
        """An IPv4-mapped address in a Contact is the IPv4 address that its packets come from."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        trunk.contact = "sip:carol@[::ffff:203.0.113.66]"
        invite = trunk.call(alice)
        alice.answer(alice.request("INVITE"), 200, OFFER.replace(b"actpass", b"active"))
        ok = trunk.response(200)
        alice.heard("ACK")
        self.stranger.ack(invite, ok)
        party_of(trunk, invite, ok).known_to(self.stranger).ask("BYE")
        self.stranger.heard(200)
        alice.answer(alice.request("BYE"), 200)

    def test_response(self) -> None:
        """A 200 with the right branch and tags from an address that is no trunk's is ignored, and counted; one from
        another address of the trunk is taken."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        readings = Readings(self.world.metrics)
        for peer in (self.stranger, self.carrier):
            peer.answer(leg, 200, PLAIN)
            self.assertEqual(readings.moved(), {FOREIGN: 1})
        alice.silent()
        self.world.trunk("192.0.2.51").answer(leg, 486)
        alice.heard(486)

    def test_cancel(self) -> None:
        """A CANCEL with the right branch from elsewhere: silence, 481 for another trunk, and it goes on ringing."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        invite = trunk.call(alice)
        leg = alice.request("INVITE")
        alice.answer(leg, 180)
        trunk.heard(180)
        self.stranger.cancel(invite)
        self.stranger.silent()
        self.carrier.cancel(invite)
        self.carrier.heard(481)
        alice.silent()
        self.world.trunk("192.0.2.51").cancel(invite)
        self.world.turn()
        alice.answer(alice.request("CANCEL"), 200)
        alice.answer(leg, 487)

    def test_ack_of_a_refusal(self) -> None:
        """Nobody else ends the repeats of a final response (RFC 3261 section 17.2.1)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        invite = trunk.call(alice)
        alice.answer(alice.request("INVITE"), 486)
        busy = trunk.response(486)
        self.carrier.ack(invite, busy)
        self.world.turn(0.5)
        trunk.heard(486)
        trunk.ack(invite, busy)
        self.world.turn(2)
        trunk.silent()

    def test_ack_of_a_2xx(self) -> None:
        """Nor those of a 2xx."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        invite = trunk.call(alice)
        alice.answer(alice.request("INVITE"), 200, OFFER.replace(b"actpass", b"active"))
        ok = trunk.response(200)
        for peer in (self.stranger, self.carrier):
            peer.ack(invite, ok)
        self.world.turn(0.5)
        trunk.heard(200)
        trunk.ack(invite, ok)
        self.world.turn(2)
        trunk.silent()

    def test_repeats(self) -> None:
        """A copy of a request from elsewhere is no repeat of it: its sender gets nothing of the answer."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        invite = trunk.call(alice)
        alice.answer(alice.request("INVITE"), 486)
        trunk.heard(486)
        self.stranger.say(invite)
        self.stranger.silent()
        other = self.world.trunk("192.0.2.51")
        other.say(invite)
        other.silent()
        trunk.heard(486)


class Watching(WatchCase):
    """Subscriptions."""

    def test_subscriber(self) -> None:
        """A refresh of another browser: 481, and the subscription stays (RFC 6665 section 4.2.1)."""
        subscriber, notifier = self.watching()
        mallory = self.world.browser("mallory")
        mallory.bind()
        subscriber.known_to(mallory).ask("SUBSCRIBE", b"", EVENT, ("Expires", "0"))
        mallory.heard(481)
        self.trunk.silent()
        self.tell(notifier, subscriber)

    def test_notifier(self) -> None:
        """A NOTIFY of a stranger: silence; of another trunk: 481."""
        subscriber, notifier = self.watching()
        stranger, carrier = self.world.trunk("203.0.113.66"), self.world.trunk("192.0.2.7")
        notify(notifier.known_to(stranger), "terminated")
        stranger.silent()
        notify(notifier.known_to(carrier), "terminated")
        carrier.heard(481)
        subscriber.peer.silent()
        self.tell(notifier, subscriber)

    def test_first_notify(self) -> None:
        """One that creates the dialog is from where the SUBSCRIBE was sent (RFC 6665 section 4.4.1)."""
        self.subscribe()
        leg = self.trunk.request("SUBSCRIBE")
        carrier = self.world.trunk("192.0.2.7")
        notify(early_notifier_of(carrier, leg))
        carrier.heard(481)
        self.alice.silent()
        notify(early_notifier_of(self.trunk, leg))
        self.alice.answer(self.alice.request("NOTIFY"), 200)
        self.trunk.heard(200)

    def test_fork_behind_the_trunk(self) -> None:
        """A notifier whose Contact the 2xx has named sends from there."""
        self.subscribe()
        leg = self.trunk.request("SUBSCRIBE")
        notifier = self.world.trunk("203.0.113.66")
        self.trunk.answer(leg, 200, tag="box", headers=[("Contact", "<sip:box@203.0.113.66>"), ("Expires", "600")])
        self.alice.heard(200)
        notify(early_notifier_of(notifier, leg))
        self.alice.answer(self.alice.request("NOTIFY"), 200)
        notifier.heard(200)
