"""Digest challenges of a trunk that has called: to requests in its dialog (RFC 3261 section 22.2; field.rst A:
Challenge in a call that came in)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from twisted.logger import capturedLogs, formatEvent

from tests.routing.test_authentication import CredentialCase, challenge
from tests.support.calls.modifying import UPDATES
from tests.support.calls.party import party_of
from tests.support.calls.world import OFFER, TrunkPeer
from tests.support.configs import CARRIER
from webrtcproxy.sip.authentication import Credentials
from webrtcproxy.sip.message import Request

DAVE = ("P-Asserted-Identity", "<sip:dave@carrier.example.net>")
ERIN = ("P-Asserted-Identity", "<sip:erin@carrier.example.net>")


class CallersLeg(CredentialCase):
    """A call that has come in from the trunk: what the proxy sends in its dialog is challenged, too. The credentials
    are used where the browser across may use them, and go to the trunk alone."""

    def come_in(
        self, *, authenticated: bool = True, contact: str = "", headers: Sequence[tuple[str, str]] = ()
    ) -> None:
        """The trunk calls, and the browser answers: `far` and `near` are their dialogs."""
        self.alice, self.trunk = self.world.browser(), self.world.trunk("192.0.2.7")
        self.alice.aor = "alice@carrier.example.net:5080"
        self.alice.bind(authenticated=authenticated)
        self.trunk.contact = contact or self.trunk.contact
        invite = self.trunk.call(self.alice, *headers)
        leg = self.alice.request("INVITE")
        answer = self.alice.answer(leg, 200, OFFER.replace(b"actpass", b"active"))
        self.alice.heard("ACK")
        ok = self.trunk.response(200)
        self.trunk.ack(invite, ok)
        self.far, self.near = party_of(self.trunk, invite, ok), party_of(self.alice, leg, answer)

    def hang_up(self, peer: TrunkPeer | None = None) -> Request:
        """The browser hangs up; the BYE that comes of it."""
        self.near.ask("BYE")
        self.alice.heard(200)
        return (peer or self.trunk).request("BYE")

    def challenge_it(self, asked: Request, peer: TrunkPeer | None = None, **more: str) -> None:
        (peer or self.trunk).answer(asked, 407, headers=[("Proxy-Authenticate", challenge(**more))])

    def answered_again(self, asked: Request) -> Request:
        """The request that is sent again with credentials, once."""
        again = self.trunk.request(asked.method)
        self.assertEqual(Credentials.parse(again.headers.get("Proxy-Authorization") or "").params["username"], "us")
        self.assertEqual((again.call_id, again.cseq.number), (asked.call_id, asked.cseq.number + 1))
        self.trunk.silent()
        return again

    def test_bye(self) -> None:
        """The browser hangs up: the BYE goes out again with credentials."""
        self.come_in()
        bye = self.hang_up()
        self.assertNotIn("Proxy-Authorization", bye.headers)
        self.challenge_it(bye)
        self.trunk.answer(self.answered_again(bye), 200)

    def test_browser_is_lost(self) -> None:
        """So does the BYE of the proxy itself."""
        self.come_in()
        self.alice.flow.lose()
        self.world.turn(5)
        bye = self.trunk.request("BYE")
        self.challenge_it(bye)
        self.trunk.answer(self.answered_again(bye), 200)

    def test_reinvite(self) -> None:
        """The browser changes the session: so does the re-INVITE; its ACK and what follows have the credentials."""
        self.come_in()
        offer = self.near.ask("INVITE", self.near.sdp("sendonly"))
        leg = self.trunk.request("INVITE")
        self.challenge_it(leg)
        self.trunk.heard("ACK")
        self.far.answer(self.answered_again(leg), 200, self.far.sdp("recvonly"))
        self.assertIn("Proxy-Authorization", self.trunk.request("ACK").headers)
        self.alice.heard(200)
        self.near.ack(offer)
        bye = self.hang_up()
        self.assertIn("Proxy-Authorization", bye.headers)
        self.trunk.answer(bye, 200)

    def test_another_realm(self) -> None:
        """A challenge of another realm is not for the trunk's account: nothing is sent again; the browser gets it."""
        self.come_in()
        info = self.near.ask("INFO")
        self.challenge_it(self.trunk.request("INFO"), realm="elsewhere")
        self.trunk.silent()
        self.assertIn("elsewhere", self.alice.response(407).headers.get("Proxy-Authenticate") or "")
        self.assertEqual(info.method, "INFO")
        self.challenge_it(self.hang_up(), realm="elsewhere")
        self.trunk.silent()

    def test_another_host(self) -> None:
        """The Contact of the INVITE leads to another host: no credentials follow it there."""
        self.come_in(contact="sip:x@203.0.113.66:5060")
        evil = self.world.trunk("203.0.113.66")
        bye = self.hang_up(evil)
        self.challenge_it(bye, evil)
        evil.silent()
        self.trunk.silent()

    def test_not_registered(self) -> None:
        """A browser that may not use the credentials gets the challenge; the log says which option is in the way."""
        self.come_in(authenticated=False)
        self.near.ask("INFO")
        with capturedLogs() as logs:
            self.challenge_it(self.trunk.request("INFO"))
        self.trunk.silent()
        self.alice.heard(407)
        self.assertTrue([text for text in map(formatEvent, logs) if "trunk-credentials" in text])

    def test_ends_without_registration(self) -> None:
        """Whoever is across, the call ends at the trunk, too: the BYE goes out again with the trunk's credentials,
        whether a browser hangs up or is lost."""
        for lost in (False, True):
            self.world = self.make_world()
            self.come_in(authenticated=False)
            if lost:
                self.alice.flow.lose()
                self.world.turn(5)
            bye = self.trunk.request("BYE") if lost else self.hang_up()
            self.challenge_it(bye)
            self.trunk.answer(self.answered_again(bye), 200)

    def test_refreshed_without_registration(self) -> None:
        """So does the refresh of the session that the proxy has to send, by re-INVITE or UPDATE. What the browser asks
        for afterwards carries none of it."""
        for method in ("INVITE", "UPDATE"):
            self.world = self.make_world()
            fields = [("Supported", "timer"), ("Session-Expires", "90;refresher=uas")]
            self.come_in(authenticated=False, headers=[*fields, ("Allow", "INVITE, ACK, BYE, CANCEL, INFO, " + method)])
            for _ in range(46):  # all at once would be a suspension
                self.world.turn(0 if self.trunk.pending() else 1)
            asked = self.trunk.request(method)
            self.challenge_it(asked)
            if method == "INVITE":
                self.trunk.heard("ACK")
            again = self.answered_again(asked)
            self.far.answer(again, 200, self.far.sdp() if method == "INVITE" else b"")
            if method == "INVITE":
                self.assertIn("Proxy-Authorization", self.trunk.request("ACK").headers)
            self.near.ask("INFO")
            info = self.trunk.request("INFO")
            self.assertNotIn("Proxy-Authorization", info.headers)
            self.challenge_it(info)
            self.trunk.silent()
            self.alice.heard(407)

    def test_changes_without_registration(self) -> None:
        """A hold and a REFER are the browser's wish, and go by the rule of its calls: it gets the challenge."""
        self.come_in(authenticated=False)
        self.near.ask("INVITE", self.near.sdp("sendonly"))
        self.challenge_it(self.trunk.request("INVITE"))
        self.trunk.heard("ACK")
        self.trunk.silent()
        self.alice.heard(407)

    def test_anyone(self) -> None:
        """`trunk-credentials = anyone`: those of the trunk serve every browser that it calls."""
        self.world = self.make_world(anyone=True)
        self.come_in(authenticated=False)
        bye = self.hang_up()
        self.challenge_it(bye)
        self.trunk.answer(self.answered_again(bye), 200)

    def test_no_account(self) -> None:
        """A trunk without username and password: the browser gets the challenge."""
        self.trunks = (replace(CARRIER, username=None, password=None),)  # type: ignore[misc]
        self.world = self.make_world()
        self.come_in()
        self.near.ask("INFO")
        self.challenge_it(self.trunk.request("INFO"))
        self.trunk.silent()
        self.alice.heard(407)
        self.trunk.answer(self.hang_up(), 200)


class BeforeTheAnswer(CredentialCase):
    """A call that has come in from the trunk, and rings: what the proxy sends in the early dialog."""

    trunks = (replace(CARRIER, pass_identity=True),)

    def ring(self, authenticated: bool, reliable: bool) -> None:
        """The trunk calls, and the browser rings, with an answer where that is reliable."""
        self.world = self.make_world()
        self.alice, self.trunk = self.world.browser(), self.world.trunk("192.0.2.7")
        self.alice.aor = "alice@carrier.example.net:5080"
        self.alice.bind(authenticated=authenticated)
        self.invite = self.trunk.call(self.alice, UPDATES, *([("Supported", "100rel")] if reliable else []))
        self.leg = self.alice.request("INVITE")
        body = OFFER.replace(b"actpass", b"active") if reliable else b""
        more = [("Require", "100rel"), ("RSeq", "1")] if reliable else []
        response = self.alice.answer(self.leg, 183 if reliable else 180, body, headers=[UPDATES, *more])
        self.near = party_of(self.alice, self.leg, response)
        ringing = self.trunk.response(response.status)
        self.far = party_of(self.trunk, self.invite, ringing)
        if reliable:
            self.alice.answer(self.alice.request("PRACK"), 200)
            self.far.ask("PRACK", b"", ("RAck", f"{ringing.headers.get('RSeq')} {ringing.cseq}"))
            self.trunk.heard(200)

    def refuse(self) -> None:
        self.alice.answer(self.leg, 486)
        self.alice.heard("ACK")
        self.trunk.heard(486)
        self.assert_over(self.alice, self.trunk)

    def again(self, asked: Request) -> Request:
        """The request, after a challenge."""
        self.trunk.answer(asked, 407, headers=[("Proxy-Authenticate", challenge())])
        again = self.trunk.request(asked.method)
        self.assertIn("Proxy-Authorization", again.headers)
        self.assertEqual(asked.body, again.body)
        return again

    def test_change(self) -> None:
        """The browser changes the session: by the rule of its calls."""
        for authenticated in (True, False):
            self.ring(authenticated, reliable=True)
            self.near.ask("UPDATE", self.near.sdp("sendonly"))
            update = self.trunk.request("UPDATE")
            if authenticated:
                self.far.answer(self.again(update), 200, self.far.sdp("recvonly"))
                self.alice.heard(200)
            else:
                self.trunk.answer(update, 407, headers=[("Proxy-Authenticate", challenge())])
                self.alice.heard(407)
            self.refuse()

    def test_identity(self) -> None:
        """The proxy shows who the browser is: in any case, also where the browser says so in a response."""
        for authenticated in (True, False):
            for reliable in (True, False):
                self.ring(authenticated, reliable)
                self.near.ask("UPDATE", b"", DAVE)
                self.alice.heard(200)
                self.far.answer(self.again(self.trunk.request("UPDATE")), 200)
                self.refuse()
            self.ring(authenticated, reliable=True)
            self.far.ask("UPDATE", b"", DAVE)
            self.trunk.heard(200)
            self.near.answer(self.alice.request("UPDATE"), 200, b"", ERIN)
            self.far.answer(self.again(self.trunk.request("UPDATE")), 200)
            self.refuse()


class OfUnregistered(CredentialCase):
    """A call of a browser that may not use the credentials; the trunk lets its INVITE pass."""

    def test_prack(self) -> None:
        """The PRACK is the proxy's own: it goes out again with credentials."""
        _, trunk, leg = self.begin(authenticated=False)
        trunk.answer(leg, 180, headers=[("Require", "100rel"), ("RSeq", "7")])
        prack = trunk.request("PRACK")
        trunk.answer(prack, 401, headers=[("WWW-Authenticate", challenge())])
        self.assertIn("Authorization", trunk.request("PRACK").headers)
        trunk.silent()
