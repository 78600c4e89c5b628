"""Transfers that the proxy carries out by itself to users of a domain that is served here (RFC 3515)."""

from __future__ import annotations

from dataclasses import replace

from tests.support.calls.local import DOMAIN, TRUNK, LocalCase
from tests.support.calls.party import Party, party_of
from tests.support.calls.world import OFFER, PLAIN, Browser
from tests.support.configs import CARRIER

BOB = f"sip:bob@{DOMAIN}"


class UserTransferTests(LocalCase):
    """Alice, who has called a number, transfers the call; the trunk does not do REFER."""

    carrier = replace(CARRIER, refer="local")

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.trunk = self.registered(), self.world.trunk(TRUNK, 5090)
        invite = self.alice.invite(f"sip:+4930@{DOMAIN}")
        leg = self.trunk.request("INVITE")
        answer = self.trunk.answer(leg, 200, PLAIN, tag="far")
        self.trunk.heard("ACK")
        ok = self.alice.response(200)
        self.alice.ack(invite, ok)
        self.mine, self.far = party_of(self.alice, invite, ok), party_of(self.trunk, leg, answer)

    def refer(self, to: str) -> None:
        self.mine.ask("REFER", b"", ("Refer-To", f"<{to}>"))
        self.far.answer(self.trunk.request("REFER"), 405)
        self.alice.heard(202)
        self.told("100 Trying")

    def told(self, fragment: str) -> None:
        notify = self.alice.request("NOTIFY")
        self.assertEqual(notify.body, f"SIP/2.0 {fragment}\r\n".encode())
        self.mine.answer(notify, 200)

    def bye(self, by: Party, other: Party) -> None:
        by.ask("BYE")
        by.peer.heard(200)
        self.world.turn()
        other.answer(other.peer.request("BYE"), 200)

    def test_user(self) -> None:
        """The user's browser rings in the name of the far side; then the two are connected, and alice is out."""
        bob: Browser = self.registered("bob")
        self.refer(BOB)
        leg = bob.request("INVITE")
        self.assertEqual(leg.uri, bob.contact)
        answer = bob.answer(leg, 200, OFFER.replace(b"actpass", b"active"), tag="bob")
        bob.heard("ACK")
        self.far.answer(self.trunk.request("INVITE"), 200, self.far.sdp())
        self.trunk.heard("ACK")
        self.told("200 OK")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.bye(party_of(bob, leg, answer), self.far)

    def test_number(self) -> None:
        """A number goes to the domain's trunk, and is shown the account of who pays, not the far side's number."""
        self.refer(f"sip:+4940@{DOMAIN}")
        leg = self.trunk.request("INVITE")
        self.assertEqual(leg.from_.uri, "sip:us@carrier.example.net:5080")
        self.assertEqual(leg.uri, "sip:+4940@carrier.example.net:5080")
        self.trunk.answer(leg, 486)
        self.trunk.heard("ACK")
        self.told("486 Busy Here")
        self.bye(self.mine, self.far)

    def test_nobody(self) -> None:
        """Where nobody is there, alice is told, and her call goes on."""
        for uri, fragment in ((BOB, "480 Temporarily Unavailable"), (f"sip:nobody@{DOMAIN}", "404 Not Found")):
            self.refer(uri)
            self.told(fragment)
        self.bye(self.mine, self.far)
