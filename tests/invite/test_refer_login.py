"""A REFER to a domain that is served here needs the login that an INVITE to its target would need (docs/access.rst)."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tests.support.calls.local import DOMAIN, TRUNK, LocalCase, message_to
from tests.support.calls.party import Party, party_of
from tests.support.calls.transferring import name_of, refer_to
from tests.support.calls.world import OFFER, PLAIN, Browser
from tests.support.logins import answer
from webrtcproxy.access.caller import Caller
from webrtcproxy.config import Destinations
from webrtcproxy.invite.target_set import browser_targets
from webrtcproxy.registration.binding import contact_user_of
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Headers, Request, Response
from webrtcproxy.users.user import User

BOB = f"sip:bob@{DOMAIN}"
REFER_TO = ("Refer-To", f"<{BOB}>")


class ReferLogins(LocalCase):
    """Eve has registered at the pbx, which is no trunk of the domain; browsers may call anywhere."""

    lines = ("carol@example.com groups=sales",)

    def setUp(self) -> None:
        super().setUp()
        self.world = self.make_world(destinations=Destinations(anywhere=True))
        self.pbx, self.carrier = self.world.trunk(), self.world.trunk(TRUNK, 5090)
        self.carrier.contact = f"sip:carol@{TRUNK}:5090"
        self.eve = self.world.browser("eve")
        self.eve.bind(authenticated=False)
        self.eve.authenticate(self.world.config.trunks[1])

    def calling(self, browser: Browser, to: str) -> Party:
        """A browser's call that its trunk has answered: its end."""
        trunk = self.carrier if to.endswith(f"@{DOMAIN}") else self.pbx
        invite = browser.invite(to)
        trunk.answer(trunk.request("INVITE"), 200, PLAIN)
        trunk.heard("ACK")
        ok = browser.response(200)
        browser.ack(invite, ok)
        return party_of(browser, invite, ok)

    def credentials(self, challenge: Response, uri: str) -> tuple[str, str]:
        """Alice's answer to a challenge."""
        lines = challenge.headers.lines("Proxy-Authenticate")
        return "Proxy-Authorization", answer(lines, "alice", "wonderland", "REFER", uri)

    def test_within_a_call(self) -> None:
        """Who has logged in at a trunk only is challenged; nothing reaches the trunk before, and no credentials do."""
        party = self.calling(self.eve, "sip:x@pbx.example.com")
        party.ask("REFER", b"", REFER_TO)
        challenge = self.eve.response(407)
        self.pbx.silent()
        party.ask("REFER", b"", REFER_TO, self.credentials(challenge, party.target))
        crossed = self.pbx.request("REFER")
        self.assertNotIn("Proxy-Authorization", crossed.headers)
        self.pbx.answer(crossed, 404)
        self.eve.heard(404)
        party.ask("REFER", b"", REFER_TO)
        self.pbx.request("REFER")

    def test_outside(self) -> None:
        """So is a REFER outside of dialogs, though it goes to the trunk."""
        uri = "sip:x@pbx.example.com"
        message_to(self.eve, uri, REFER_TO, method="REFER")
        challenge = self.eve.response(407)
        self.pbx.silent()
        message_to(self.eve, uri, REFER_TO, self.credentials(challenge, uri), method="REFER", cseq=2)
        self.assertNotIn("Proxy-Authorization", self.pbx.request("REFER").headers)

    def test_elsewhere(self) -> None:
        """Another target needs no login here; one that can't be read gets 400."""
        party = self.calling(self.eve, "sip:x@pbx.example.com")
        for target, status in (("<sip:y@pbx.example.com>", 404), ("<", 400), ("", 400)):
            party.ask("REFER", b"", *([("Refer-To", target)] if target else []))
            if status == 404:
                self.pbx.answer(self.pbx.request("REFER"), 404)
            self.eve.heard(status)
        self.pbx.silent()

    def test_user(self) -> None:
        """A user of the domain refers without another login, while it lasts; in the name in which it was called, too,
        whatever the From of the call is."""
        alice = self.registered()
        party = self.calling(alice, f"sip:+4930@{DOMAIN}")
        party.ask("REFER", b"", REFER_TO)
        self.carrier.answer(self.carrier.request("REFER"), 404)
        alice.heard(404)
        self.carrier.invite(f"sip:{contact_user_of(alice.aor)}@192.0.2.1")
        call = alice.request("INVITE")
        called = party_of(alice, call, alice.answer(call, 200, OFFER.replace(b"actpass", b"active")))
        alice.heard("ACK")
        called.local = called.local.replace(contact_user_of(alice.aor), "sales").replace("192.0.2.1", DOMAIN)
        self.carrier.forget()
        called.ask("REFER", b"", REFER_TO)
        self.carrier.request("REFER")

    def test_login_has_ended(self) -> None:
        """Where its login has ended since, it is asked for it again, as with an INVITE, whatever the target; the login
        of another user does not do."""
        alice = self.registered()
        party = self.calling(alice, f"sip:+4930@{DOMAIN}")
        for target in (BOB, "sip:y@pbx.example.com"):
            self.world.context.proofs.replace_user(alice.aor, None)
            party.ask("REFER", b"", ("Refer-To", f"<{target}>"))
            challenge = alice.response(407)
            lines = challenge.headers.lines("Proxy-Authenticate")
            others = "Proxy-Authorization", answer(lines, "bob", "builder", "REFER", party.target)
            party.ask("REFER", b"", ("Refer-To", f"<{target}>"), others)
            self.assertEqual(alice.response(403).reason, "From Is Another User's")
            party.ask("REFER", b"", ("Refer-To", f"<{target}>"))
            challenge = alice.response(407)
            self.carrier.silent()
            party.ask("REFER", b"", ("Refer-To", f"<{BOB}>"), self.credentials(challenge, party.target))
            self.carrier.answer(self.carrier.request("REFER"), 404)
            alice.heard(404)

    def test_own_call(self) -> None:
        """Who hands over a call of its own calls nobody, and needs no login."""
        alice = self.registered()
        first, second = (self.calling(alice, f"sip:+4930@{DOMAIN}") for _ in range(2))
        self.world.context.proofs.replace_user(alice.aor, None)
        first.ask("REFER", b"", refer_to(second.target, name_of(second)))
        self.assertIn("Replaces=", self.carrier.request("REFER").headers.get("Refer-To") or "")

    def test_ended_meanwhile(self) -> None:
        """Where the call ends before the login is known, the REFER gets 481."""
        party = self.calling(self.eve, "sip:x@pbx.example.com")
        party.ask("REFER", b"", REFER_TO)
        challenge = self.eve.response(407)
        served = self.world.context.domains.named(DOMAIN)
        assert served is not None
        user: Deferred[User] = Deferred()
        self.patch(served, "login", lambda *credentials: user)
        party.ask("REFER", b"", REFER_TO, self.credentials(challenge, party.target))
        party.ask("BYE")
        self.eve.heard(200)
        user.callback(User("alice", DOMAIN))
        self.eve.heard(481)

    def test_no_other_way(self) -> None:
        """Nothing else leads to a domain without its login."""
        caller = Caller("eve@pbx.example.com", frozenset({("trunk", "pbx")}))
        invite = Request("INVITE", BOB, Headers([("From", "<sip:eve@pbx.example.com>;tag=1"), ("To", f"<{BOB}>")]))
        refusal = self.assertRaises(Refusal, browser_targets, self.world.context, invite, caller, "198.51.100.9")
        self.assertEqual((refusal.status, refusal.reason), (403, "Register First"))
