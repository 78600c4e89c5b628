"""Transfers that the proxy carries out by itself to users of a domain that is served here (RFC 3515)."""

from __future__ import annotations

from dataclasses import replace

from tests.support.calls.local import DOMAIN, TRUNK, LocalCase
from tests.support.calls.party import Pair, Party, party_of
from tests.support.calls.transferring import name_of, refer_to
from tests.support.calls.world import OFFER, PLAIN, Browser
from tests.support.configs import CARRIER
from webrtcproxy.sip.message import Request

BOB = f"sip:bob@{DOMAIN}"
PAI = "P-Asserted-Identity"
AT_TRUNK = "carrier.example.net:5080"


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
        """The user's browser rings in the name of alice; then the two are connected, alice is out, and the browser is
        shown whom it is connected with (RFC 5876 section 3)."""
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
        theirs = party_of(bob, leg, answer)
        shown = bob.request("INVITE")
        self.assertEqual(shown.headers.lines(PAI), [f"<sip:+4930@{AT_TRUNK}>"])
        theirs.answer(shown, 200, theirs.sdp(version=1))
        bob.heard("ACK")
        self.bye(theirs, self.far)

    def attended(self, caller_id: str, *privacy: Pair) -> tuple[Party, list[Request]]:
        """Alice calls bob, and connects him with the far side: bob, and what the far side gets after that.

        :param privacy: of bob's 200.
        """
        updates = ("Allow", "INVITE, ACK, BYE, UPDATE")
        self.carrier = replace(CARRIER, refer="local", caller_id=caller_id)  # type: ignore[misc]
        self.world = self.make_world()
        text = self.path.read_text()
        self.path.write_text(text.replace("bob@example.com", 'bob@example.com name="Bob" numbers=+493012349'))
        self.world.context.domains.refresh()
        self.alice, self.trunk = self.registered(), self.world.trunk(TRUNK, 5090)
        bob = self.registered("bob")
        invite = self.alice.invite(f"sip:+4930@{DOMAIN}")
        leg = self.trunk.request("INVITE")
        answer = self.trunk.answer(leg, 200, PLAIN, tag="far", headers=[updates])
        self.trunk.heard("ACK")
        ok = self.alice.response(200)
        self.alice.ack(invite, ok)
        self.mine, self.far = party_of(self.alice, invite, ok), party_of(self.trunk, leg, answer)
        invite = self.alice.invite(BOB)
        leg = bob.request("INVITE")
        answer = bob.answer(leg, 200, OFFER.replace(b"actpass", b"active"), tag="bob", headers=[updates, *privacy])
        bob.heard("ACK")
        ok = self.alice.response(200)
        self.alice.ack(invite, ok)
        second, theirs = party_of(self.alice, invite, ok), party_of(bob, leg, answer)
        self.mine.ask("REFER", b"", refer_to(second.target, name_of(second)))
        self.alice.heard(202)
        self.told("100 Trying")
        for party in (theirs, self.far):
            party.answer(party.peer.request("INVITE"), 200, party.sdp())
            party.peer.heard("ACK")
        second.answer(self.alice.request("BYE"), 200)
        self.told("200 OK")
        self.mine.answer(self.alice.request("BYE"), 200)
        shown = bob.request("UPDATE")
        self.assertEqual(shown.headers.lines(PAI), [f"<sip:+4930@{AT_TRUNK}>"])
        theirs.answer(shown, 200)
        found = []
        while self.trunk.pending():
            update = self.trunk.request("UPDATE")
            self.far.answer(update, 200)
            found.append(update)
        return theirs, found

    def test_attended(self) -> None:
        """Of two calls of alice's, the far side is shown the number of the user that it is connected with now, where
        the trunk wants it in P-Asserted-Identity, and the user does not want it withheld; the user is shown the number
        that alice had called."""
        for caller_id in ("asserted", "both"):
            theirs, updates = self.attended(caller_id)
            (update,) = updates
            self.assertEqual(update.headers.lines(PAI), [f'"Bob" <sip:+493012349@{AT_TRUNK}>'])
            self.assertEqual(update.body, b"")
            self.bye(theirs, self.far)
        for caller_id, privacy in (("from", ()), ("both", (("Privacy", "id"),))):
            theirs, updates = self.attended(caller_id, *privacy)
            self.assertEqual(updates, [])
            self.bye(theirs, self.far)

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
