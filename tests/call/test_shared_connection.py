"""Two users on one connection: whatever is done in a dialog is done in the name of the one who is in it."""

from __future__ import annotations

from dataclasses import replace

from tests.call.test_trunk_account import CHALLENGE_407, HOST, AccountCase
from tests.support.calls.local import DOMAIN, TRUNK
from tests.support.calls.party import Party, party_of
from tests.support.calls.subscribing import EVENT, notifier_of, notify, subscriber_of
from tests.support.calls.world import OFFER, Browser
from tests.support.configs import CARRIER
from tests.support.messages import request
from webrtcproxy.registration.binding import contact_user_of

ALICE, BOB, CAROL = (f"{name}@{DOMAIN}" for name in ("alice", "bob", "carol"))


class SharedCase(AccountCase):
    """Alice has an account of her own at the carrier, bob has none and uses the trunk's."""

    carrier = replace(CARRIER, refer="local")

    def setUp(self) -> None:
        super().setUp()
        self.carrier.contact = f"sip:carol@{TRUNK}:5090"

    def both(self, *names: str) -> Browser:
        """A connection on which these users have registered, in this order."""
        browser = self.browser(names[0])
        for name in names:
            each = Browser(self.world, browser.flow, name, DOMAIN)
            each.contact = browser.contact
            browser.forget()
            self.assertEqual(self.register(each).status, 200)
        browser.forget()
        return browser

    def used(self, method: str, username: str) -> None:
        """The carrier challenges a request; the answer is of this username."""
        self.carrier.answer(self.carrier.request(method), 407, headers=CHALLENGE_407)
        if method == "INVITE":
            self.carrier.heard("ACK")
        again = self.carrier.request(method)
        self.assertIn(f'username="{username}"', again.headers.get("Proxy-Authorization") or "", again.uri)
        self.carrier.answer(again, 486 if method == "INVITE" else 200)
        if method == "INVITE":
            self.carrier.heard("ACK")

    def called(self, browser: Browser, aor: str) -> tuple[Party, Party]:
        """A call of the carrier to one of the users: both ends."""
        invite = self.carrier.invite(f"sip:{contact_user_of(aor)}@192.0.2.1")
        leg = browser.request("INVITE")
        answer = browser.answer(leg, 200, OFFER.replace(b"actpass", b"active"))
        browser.heard("ACK")
        ok = self.carrier.response(200)
        self.carrier.ack(invite, ok)
        return party_of(self.carrier, invite, ok), party_of(browser, leg, answer)


class ChallengeTests(SharedCase):
    """The carrier challenges what a browser sends in a dialog that the carrier has begun."""

    def test_call(self) -> None:
        """The account is that of the user who was called, whoever has logged in first."""
        for names in (("alice", "bob"), ("bob", "alice")):
            browser = self.both(*names)
            for aor, username in ((ALICE, "alice-auth"), (BOB, "us")):
                _, callee = self.called(browser, aor)
                callee.ask("INFO")
                self.used("INFO", username)
                browser.forget()

    def test_account(self) -> None:
        """So it is where the user was called at the address of its account."""
        browser = self.both("bob", "alice")
        there = Browser(self.world, browser.flow, "1001", HOST)
        self.register_there(there)
        self.accept("alice-auth")
        browser.forget()
        _, callee = self.called(browser, f"1001@{HOST}")
        callee.ask("INFO")
        self.used("INFO", "alice-auth")

    def test_subscription(self) -> None:
        """And in a subscription of the carrier's."""
        for names in (("alice", "bob"), ("bob", "alice")):
            browser = self.both(*names)
            for aor, username in ((ALICE, "alice-auth"), (BOB, "us")):
                uri = f"sip:{contact_user_of(aor)}@192.0.2.1"
                fields = [EVENT, ("Expires", "600")]
                sent = request(
                    "SUBSCRIBE", uri, to=f"<{uri}>", contact=f"<{self.carrier.contact}>", headers=fields, call_id=aor
                )
                self.carrier.say(sent)
                leg = browser.request("SUBSCRIBE")
                ok = browser.answer(leg, 200, headers=[("Contact", f"<{browser.contact}>"), ("Expires", "600")])
                subscriber_of(self.carrier, sent, self.carrier.response(200))
                notify(notifier_of(browser, leg, ok), "terminated")
                self.used("NOTIFY", username)
                browser.forget()
            browser.flow.lose()
            self.world.turn(60)
            self.carrier.forget()

    def test_logged_out(self) -> None:
        """Who has logged out since is in no dialog's name: the challenge is the browser's, not another user's."""
        browser = self.both("alice", "bob")
        self.world.context.proofs.remove(browser.flow, BOB)
        _, callee = self.called(browser, BOB)
        callee.ask("INFO")
        self.carrier.answer(self.carrier.request("INFO"), 407, headers=CHALLENGE_407)
        browser.heard(407)
        self.carrier.silent()


class ReferTests(SharedCase):
    """A REFER in a call, which the carrier does not carry out."""

    def refer(self, party: Party) -> None:
        party.ask("REFER", b"", ("Refer-To", f"<sip:+4940@{DOMAIN}>"))
        self.carrier.answer(self.carrier.request("REFER"), 405)
        party.peer.heard(202)

    def test_called(self) -> None:
        """The user who was called pays, and is shown, whatever the From of the call is."""
        for names in (("alice", "bob"), ("bob", "alice")):
            browser = self.both(*names)
            for aor, username in ((ALICE, "alice-auth"), (BOB, "us")):
                _, callee = self.called(browser, aor)
                self.refer(callee)
                self.used("INVITE", username)
                browser.forget()

    def test_calling(self) -> None:
        """The user who has called pays, also where the From of the REFER is another's on this connection."""
        browser = self.both("bob", "alice")
        browser.uri = f"sip:{ALICE}"
        invite = browser.invite(f"sip:+4930@{DOMAIN}")
        leg = self.carrier.request("INVITE")
        self.carrier.answer(leg, 200, self.carrier.sdp)
        self.carrier.heard("ACK")
        ok = browser.response(200)
        browser.ack(invite, ok)
        caller = party_of(browser, invite, ok)
        caller.local = caller.local.replace(ALICE, BOB)
        self.refer(caller)
        self.used("INVITE", "alice-auth")
