"""A trunk that wants a registration per user: the user logs in here, and the proxy has the user's account there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.support.calls.local import DOMAIN, TRUNK, LocalCase, message_to
from tests.support.calls.world import Browser
from tests.support.configs import CARRIER
from webrtcproxy.config import Config
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Headers, Request

HOST = "carrier.example.net:5080"
CHALLENGE = [("WWW-Authenticate", 'Digest realm="carrier", nonce="n1"')]
CHALLENGE_407 = [("Proxy-Authenticate", 'Digest realm="carrier", nonce="n2"')]


class AccountCase(LocalCase):
    """Alice has the account 1001 at the carrier, by her line in the users file; bob has none."""

    lines = ("carol@example.com account=1002",)

    def configured(self, config: Config) -> Config:
        self.accounts = Path(self.mktemp())
        self.accounts.write_text("1001 alice-auth first\n1002 carol-auth second\n")
        return replace(config, trunks=(replace(config.trunks[0], accounts=self.accounts), *config.trunks[1:]))

    def setUp(self) -> None:
        super().setUp()
        self.carrier = self.world.trunk(TRUNK, 5090)
        lines = self.path.read_text().splitlines()
        changed = [line + " account=1001" if line.startswith("alice@") else line for line in lines]
        self.path.write_text("\n".join(changed))
        self.world.context.domains.refresh()

    def register_there(self, browser: Browser, user: str = "1001", expires: int = 600) -> None:
        """Send a REGISTER for the trunk's registrar."""
        self.cseq += 1
        aor = f"sip:{user}@{HOST}"
        fields = Headers([
            ("Via", f"SIP/2.0/WSS x.invalid;branch=z9hG4bKthere{self.cseq}"), ("Max-Forwards", "69"),
            ("From", f"<{aor}>;tag=r"), ("To", f"<{aor}>"), ("Call-ID", "there"), ("CSeq", f"{self.cseq} REGISTER"),
            ("Contact", f"<{browser.contact}>;expires={expires}"),
        ])  # fmt: skip
        browser.say(Request("REGISTER", f"sip:{HOST}", fields, b""))

    def accept(self, username: str, *headers: tuple[str, str]) -> None:
        """The trunk challenges a REGISTER, and accepts the answer of this username with these headers."""
        register = self.carrier.request("REGISTER")
        self.assertNotIn("Authorization", register.headers)
        self.carrier.answer(register, 401, headers=CHALLENGE)
        again = self.carrier.request("REGISTER")
        self.assertIn(f'username="{username}"', again.headers.get("Authorization") or "")
        contact = again.headers.get("Contact") or ""
        self.carrier.answer(again, 200, headers=[("Contact", f"{contact};expires=600"), *headers])


class RegisterTests(AccountCase):
    """REGISTER for the trunk's registrar."""

    def test_own_account(self) -> None:
        """The challenge is answered with the user's own account; the browser gets 200, and the trunk may call it."""
        alice = self.registered()
        self.register_there(alice)
        self.accept("alice-auth")
        self.assertEqual(alice.response(200).headers.lines("Authorization"), [])
        (binding,) = self.world.location.live(f"1001@{HOST}")
        self.assertIs(binding.flow, alice.flow)

    def test_other_address(self) -> None:
        """It registers the address of its account and no other: not that of another account, not any."""
        alice = self.registered()
        for user in ("1002", "alice", "1003"):
            self.register_there(alice, user)
            self.assertEqual(alice.response(403).reason, "Address Of Another User")
        self.carrier.silent()

    def test_without_account(self) -> None:
        """Who has no account there answers challenges itself."""
        bob = self.registered("bob")
        self.register_there(bob)
        register = self.carrier.request("REGISTER")
        self.carrier.answer(register, 401, headers=CHALLENGE)
        bob.heard(401)

    def test_stranger(self) -> None:
        """Who has not logged in here has nobody's account."""
        alice = self.browser()
        self.register_there(alice)
        if self.carrier.pending():
            self.carrier.answer(self.carrier.request("REGISTER"), 401, headers=CHALLENGE)
        self.assertEqual(alice.pending(), ["401"])
        self.carrier.silent()

    def test_wrong_account(self) -> None:
        """Where the trunk refuses the account, the browser gets no challenge that it could not answer."""
        alice = self.registered()
        self.register_there(alice)
        self.carrier.answer(self.carrier.request("REGISTER"), 401, headers=CHALLENGE)
        self.carrier.answer(self.carrier.request("REGISTER"), 401, headers=CHALLENGE)
        alice.heard(403)
        self.assertEqual(len(self.flushLoggedErrors()), 0)


class CallTests(AccountCase):
    """Calls through that trunk."""

    def called(self, browser: Browser, username: str) -> None:
        """A call whose challenge is answered as this username."""
        browser.invite(f"sip:+4930@{DOMAIN}")
        leg = self.carrier.request("INVITE")
        self.carrier.answer(leg, 407, headers=CHALLENGE_407)
        self.carrier.heard("ACK")
        again = self.carrier.request("INVITE")
        self.assertIn(f'username="{username}"', again.headers.get("Proxy-Authorization") or "")
        self.carrier.answer(again, 486)
        self.carrier.heard("ACK")

    def test_outbound(self) -> None:
        """An INVITE is paid with the user's own account, not with the trunk's, which others of the domain use."""
        self.assertEqual(CARRIER.username, "us")
        self.called(self.registered(), "alice-auth")
        self.called(self.registered("bob"), "us")

    def test_own_address(self) -> None:
        """It may call as the address of its account, and as no other's there."""
        alice = self.registered()
        there = Browser(self.world, alice.flow, "1001", HOST)
        there.invite(f"sip:x@{HOST}")
        leg = self.carrier.request("INVITE")
        self.assertEqual(leg.from_.address.aor, f"1001@{HOST}")
        self.carrier.answer(leg, 407, headers=CHALLENGE_407)
        self.carrier.heard("ACK")
        self.assertIn("alice-auth", self.carrier.request("INVITE").headers.get("Proxy-Authorization") or "")
        alice.forget()
        Browser(self.world, alice.flow, "1002", HOST).invite(f"sip:x@{HOST}")
        self.assertEqual(alice.response(403).reason, "From Is Not Yours")
        self.carrier.silent()

    def test_message(self) -> None:
        """So is a MESSAGE."""
        alice = self.registered()
        message_to(alice, f"sip:x@{HOST}")
        self.carrier.answer(self.carrier.request("MESSAGE"), 407, headers=CHALLENGE_407)
        self.assertIn("alice-auth", self.carrier.request("MESSAGE").headers.get("Proxy-Authorization") or "")

    def test_service_route(self) -> None:
        """The Service-Route of the account's registration is the Route of what is paid with it, in whoever's name of
        the user's it is (RFC 3608 section 6.1); other users' requests have none."""
        alice, bob = self.registered(), self.registered("bob")
        self.register_there(alice)
        self.accept("alice-auth", ("Service-Route", "<sip:orig@core.example;lr>"))
        alice.response(200)
        for uri in (alice.uri, f"sip:1001@{HOST}", "sip:anonymous@anonymous.invalid"):
            alice.uri = uri
            alice.invite(f"sip:+4930@{DOMAIN}" if DOMAIN in uri else f"sip:+4930@{HOST}")
            leg = self.carrier.request("INVITE")
            self.assertEqual(leg.headers.all("Route"), ["<sip:orig@core.example;lr>"], uri)
            self.carrier.answer(leg, 486)
            self.carrier.heard("ACK")
        message_to(alice, f"sip:+4930@{DOMAIN}")
        self.assertEqual(self.carrier.request("MESSAGE").headers.all("Route"), ["<sip:orig@core.example;lr>"])
        message_to(bob, f"sip:+4930@{DOMAIN}")
        self.assertNotIn("Route", self.carrier.request("MESSAGE").headers)

    def test_inbound(self) -> None:
        """In a call of the trunk, its challenges to requests of the browser are answered in the same way."""
        alice = self.registered()
        self.register_there(alice)
        self.accept("alice-auth")
        alice.response(200)
        self.carrier.contact = f"sip:carol@{TRUNK}:5090"
        there = Browser(self.world, alice.flow, "1001", HOST)
        call = self.carrier.call(there)
        invite = alice.request("INVITE")
        alice.answer(invite, 200, alice.sdp, contact=f"<{alice.contact}>")
        ok = self.carrier.response(200)
        self.carrier.ack(call, ok)
        alice.heard("ACK")
        info = Headers([
            ("Via", "SIP/2.0/WSS x.invalid;branch=z9hG4bKinfo"), ("Max-Forwards", "69"),
            ("From", invite.headers.get("To") + ";tag=callee"), ("To", invite.headers.get("From") or ""),
            ("Call-ID", invite.call_id), ("CSeq", "1 INFO"),
        ])  # fmt: skip
        target = NameAddr.parse(invite.headers.get("Contact") or "").uri
        alice.say(Request("INFO", target, info, b""))
        self.carrier.answer(self.carrier.request("INFO"), 407, headers=CHALLENGE_407)
        self.assertIn("alice-auth", self.carrier.request("INFO").headers.get("Proxy-Authorization") or "")
