"""A trunk redirects a call: what crosses, and what is followed where its section says so (RFC 3261 sections 8.1.3.4 and
16.5; corners.rst 1: 3xx; original.rst: 486 / 302)."""

from __future__ import annotations

from dataclasses import replace

from tests.support.calls.case import CallCase
from tests.support.calls.world import PLAIN, TrunkPeer
from tests.support.configs import CARRIER, PBX
from webrtcproxy.config import Destinations, Trunk
from webrtcproxy.registration.binding import contact_user_of
from webrtcproxy.sip.message import Request, Response

FOLLOWING = replace(PBX, redirects="follow")
SALES = "sip:sales@pbx.example.com"


class Passing(CallCase):
    """`redirects = pass`, the default."""

    trunks = (PBX, CARRIER)

    def test_crosses(self) -> None:
        """Status, phrase, every Contact with its q, and what else the trunk says; nobody is called."""
        alice, trunk = self.world.browser(), self.world.trunk()
        for status in (300, 301, 302, 305, 380):
            alice.invite("sip:bob@pbx.example.com")
            contacts = [("Contact", "<sip:b1@pbx.example.com>;q=0.3"), ("Contact", f"<{SALES}>, <sip:x@y>")]
            trunk.answer(trunk.request("INVITE"), status, reason="Away", headers=[*contacts, ("X-Why", "lunch")])
            trunk.heard("ACK")
            heard = alice.response(status)
            self.assertEqual(heard.reason, "Away")
            self.assertEqual(
                heard.headers.all("Contact"), ["<sip:b1@pbx.example.com>;q=0.3", f"<{SALES}>", "<sip:x@y>"]
            )
            self.assertEqual(heard.headers.get("X-Why"), "lunch")
            self.assert_over(alice, trunk)

    def test_for_browsers(self) -> None:
        """A Contact that no browser can parse, for which JsSIP and SIP.js drop the whole response, is newly written;
        one that none can call is left out (field.rst H: Odd headers)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        for contacts, heard in (
            ("<sip:x@h>;;q=", ["<sip:x@h>"]),
            ("<sip:x@h>;q=0.1234;a=<b>;c", ["<sip:x@h>;c"]),
            ("<tel:+4930>", ["<sip:+4930@pbx.example.com;user=phone>"]),
            ("<mailto:x@h>, <sip:x@h;y=>, Bob <sip:b@h?Subject=x&z>", ["<sip:x@h>", '"Bob" <sip:b@h?Subject=x>']),
        ):
            alice.invite("sip:bob@pbx.example.com")
            trunk.answer(trunk.request("INVITE"), 302, headers=[("Contact", contacts)])
            trunk.heard("ACK")
            self.assertEqual(alice.response(302).headers.lines("Contact"), heard)

    def test_unreadable(self) -> None:
        """A Contact that can't be read is the redirecting side's mistake, and no 400 to the caller."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        for caller, callee, to in ((alice, trunk, "sip:bob@pbx.example.com"), (trunk, alice, "sip:alice@192.0.2.1")):
            caller.invite(to)
            callee.answer(callee.request("INVITE"), 302, headers=[("Contact", "<sip:x@")])
            callee.heard("ACK")
            self.assertEqual(caller.response(502).reason, "Upstream Sent Bad Contact")
            self.assert_over(alice, trunk)

    def test_of_a_browser(self) -> None:
        """A browser's redirect of an inbound call crosses to the trunk as it is."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        trunk.call(alice)
        alice.answer(alice.request("INVITE"), 302, headers=[("Contact", "<sip:bob@pbx.example.com>;q=0.7")])
        alice.heard("ACK")
        self.assertEqual(trunk.response(302).headers.lines("Contact"), ["<sip:bob@pbx.example.com>;q=0.7"])
        self.assert_over(alice, trunk)


class Following(CallCase):
    """`redirects = follow`."""

    trunks = (FOLLOWING, CARRIER)

    def setUp(self) -> None:
        super().setUp()
        self.call()

    def call(self, also: Trunk | None = None, **options: object) -> None:
        """A browser calls bob at the trunk that has its redirects followed.

        :param also: another trunk to which it has authenticated.
        """
        if options or also is not None:
            self.world = self.make_world(**options)  # type: ignore[arg-type]
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.trunk.forget()
        self.alice.bind()
        if also is not None:
            self.alice.authenticate(also)
        self.invite = self.alice.invite(
            "sip:bob@pbx.example.com", ("History-Info", "<sip:bob@pbx.example.com>;index=1")
        )
        self.leg = self.trunk.request("INVITE")

    def redirect(self, leg: Request, *contacts: str, status: int = 302, at: TrunkPeer | None = None) -> None:
        """The trunk redirects."""
        peer = at or self.trunk
        peer.answer(leg, status, headers=[("Contact", contact) for contact in contacts])
        peer.heard("ACK")

    def refused(self, leg: Request, status: int, at: TrunkPeer | None = None) -> None:
        peer = at or self.trunk
        peer.answer(leg, status)
        peer.heard("ACK")

    def not_followed(self, *contacts: str, status: int = 302) -> Response:
        """The redirect is the caller's."""
        self.redirect(self.leg, *contacts, status=status)
        self.trunk.silent()
        heard = self.alice.response(status)
        self.assertEqual(heard.headers.lines("Contact"), list(contacts))
        self.assert_over(self.alice, self.trunk)
        return heard

    def test_followed(self) -> None:
        """The same call to another Request-URI: From, tag, To, Call-ID, the offer, what crossed; CSeq + 1. The caller
        learns nothing of it but the answer."""
        self.redirect(self.leg, f"<{SALES};user=phone>")
        again = self.trunk.request("INVITE")
        self.assertEqual(again.uri, f"{SALES};user=phone")
        for name in ("From", "To", "Call-ID", "History-Info", "Max-Forwards"):
            self.assertEqual(again.headers.lines(name), self.leg.headers.lines(name))
        self.assertEqual(again.cseq.number, self.leg.cseq.number + 1)
        self.assertIn(b"RTP/AVP", again.body)
        self.alice.silent()
        self.trunk.answer(again, 200, PLAIN)
        self.trunk.heard("ACK")
        self.alice.ack(self.invite, self.alice.response(200))
        dropped = [op.branch for op in self.world.nodes.sessions[0].operations if op.command == "drop"]
        self.assertEqual(len(dropped), 1)

    def test_early_media(self) -> None:
        """One that redirects after a 183 with SDP is not listened to any more: the next one's counts."""
        self.trunk.answer(self.leg, 183, PLAIN)
        self.alice.heard(183)
        self.redirect(self.leg, f"<{SALES}>")
        again = self.trunk.request("INVITE")
        self.trunk.answer(again, 183, PLAIN.replace(b"50000", b"50002"), tag="sales")
        self.assertTrue(self.alice.response(183).body)
        self.trunk.answer(again, 200, PLAIN.replace(b"50000", b"50002"), tag="sales")
        self.alice.heard(200)

    def test_in_order(self) -> None:
        """One after the other by q, the highest first; those without one before all."""
        uris = [f"sip:{user}@pbx.example.com" for user in ("a", "b", "c", "d")]
        self.redirect(self.leg, f"<{uris[3]}>;q=0.1, <{uris[1]}>;q=0.9", f"<{uris[2]}>;q=0.5, <{uris[0]}>")
        for uri in uris:
            leg = self.trunk.request("INVITE")
            self.assertEqual(leg.uri, uri)
            self.trunk.silent()
            self.refused(leg, 480)
        self.alice.heard(480)
        self.assert_over(self.alice, self.trunk)

    def test_best_refusal(self) -> None:
        """When all refuse, the caller gets the best of what they said; a redirect that was followed says nothing."""
        self.redirect(self.leg, "<sip:a@pbx.example.com>;q=0.9", "<sip:b@pbx.example.com>;q=0.5")
        self.refused(self.trunk.request("INVITE"), 500)
        self.refused(self.trunk.request("INVITE"), 486)
        self.alice.heard(486)
        self.assert_over(self.alice, self.trunk)

    def test_declined(self) -> None:
        """6xx is for all: the rest is not tried."""
        self.redirect(self.leg, "<sip:a@pbx.example.com>", "<sip:b@pbx.example.com>")
        self.refused(self.trunk.request("INVITE"), 603)
        self.alice.heard(603)
        self.assert_over(self.alice, self.trunk)

    def test_recursion_ends(self) -> None:
        """Five targets in all, however long the chain is; the last redirect is the caller's."""
        leg = self.leg
        for number in range(1, 5):
            self.redirect(leg, f"<sip:n{number}@pbx.example.com>")
            leg = self.trunk.request("INVITE")
            self.assertEqual(leg.uri, f"sip:n{number}@pbx.example.com")
        self.redirect(leg, "<sip:n5@pbx.example.com>")
        self.trunk.silent()
        self.assertEqual(self.alice.response(302).headers.lines("Contact"), ["<sip:n5@pbx.example.com>"])
        self.assert_over(self.alice, self.trunk)

    def test_many_contacts(self) -> None:
        """Nor however many there are at once."""
        self.redirect(self.leg, *[f"<sip:n{number}@pbx.example.com>" for number in range(50)])
        for _ in range(4):
            self.refused(self.trunk.request("INVITE"), 404)
        self.alice.heard(404)
        self.assert_over(self.alice, self.trunk)

    def test_later_redirect_first(self) -> None:
        """What a target redirects to is tried before what is left."""
        self.redirect(self.leg, "<sip:a@pbx.example.com>;q=0.9", "<sip:b@pbx.example.com>;q=0.1")
        self.redirect(self.trunk.request("INVITE"), "<sip:c@pbx.example.com>;q=0.5")
        for user in "cb":
            leg = self.trunk.request("INVITE")
            self.assertEqual(leg.uri, f"sip:{user}@pbx.example.com")
            self.refused(leg, 486)
        self.alice.heard(486)

    def test_loop(self) -> None:
        """No target twice, in any spelling: the first one neither."""
        self.redirect(self.leg, f"<{SALES}>")
        self.redirect(self.trunk.request("INVITE"), "<sip:%62ob@PBX.example.com:5060>", "<sip:s%61les@pbx.example.com>")
        self.trunk.silent()
        self.alice.heard(302)
        self.assert_over(self.alice, self.trunk)

    def test_within_destinations(self) -> None:
        """Only to where a browser may call: no premium number elsewhere, no IP address, no other scheme."""
        self.not_followed(
            "<sip:0900@premium.example>",
            "<sip:bob@192.0.2.66>",
            "<sips:bob@pbx.example.com>",
            "<sip:bob@x7.invalid;transport=ws>",
        )

    def test_not_to_a_browser(self) -> None:
        """Our Contact leads to nobody's browser, not to where its user is registered either."""
        bert = self.world.browser("bert")
        bert.bind()
        ours = f"<sip:{contact_user_of(bert.aor)}@192.0.2.1>", f"<{bert.contact}>"
        self.not_followed(*ours)
        self.call(destinations=Destinations(anywhere=True))
        self.not_followed(*ours)
        bert.silent()

    def test_allowed_beside_forbidden(self) -> None:
        """What is not allowed is left out, the rest is followed."""
        self.redirect(self.leg, "<sip:0900@premium.example>", f"<{SALES}>;q=0.1")
        self.assertEqual(self.trunk.request("INVITE").uri, SALES)

    def test_no_way_there(self) -> None:
        """A host that can't be resolved, and a trunk that can't be reached, are passed over."""
        self.call(destinations=Destinations(anywhere=True))
        self.redirect(self.leg, "<sip:a@nowhere.example>", f"<{SALES}>;q=0.1")
        self.assertEqual(self.trunk.request("INVITE").uri, SALES)

    def test_maddr_and_headers(self) -> None:
        """maddr leads nowhere and does not cross; the headers and the method of a URI are not obeyed (section
        19.1.5)."""
        self.redirect(self.leg, f"<{SALES};maddr=203.0.113.66;method=BYE?Route=%3Csip:evil.example%3E&Subject=x>")
        again = self.trunk.request("INVITE")
        self.assertEqual(again.uri, SALES)
        self.assertNotIn("Route", again.headers)
        self.assertNotIn("Subject", again.headers)
        self.assertEqual([str(address.host) for address, _ in self.world.trunks], [self.trunk.flow.peer.host])

    def test_other_statuses(self) -> None:
        """305 and 380 are no list of targets: the caller's."""
        self.not_followed(f"<{SALES}>", status=305)
        self.call()
        self.not_followed(f"<{SALES}>", status=380)

    def test_no_contact(self) -> None:
        """Without one, with one that can't be read, and with ``*``: nothing to follow."""
        self.not_followed()
        for contact in ("<<nowhere", "*"):
            self.call()
            self.redirect(self.leg, contact)
            heard = self.alice.next()
            assert isinstance(heard, Response)
            self.assertGreaterEqual(heard.status, 300)
            self.assert_over(self.alice, self.trunk)

    def test_telephone_number(self) -> None:
        """A ``tel:`` URI goes to the caller's trunk."""
        self.redirect(self.leg, "<tel:+4930123>")
        self.assertEqual(self.trunk.request("INVITE").uri, "sip:+4930123@pbx.example.com;user=phone")

    def test_cancelled(self) -> None:
        """The caller gives up in the second call: CANCEL goes there, and nothing else is tried."""
        self.redirect(self.leg, "<sip:a@pbx.example.com>", "<sip:b@pbx.example.com>")
        leg = self.trunk.request("INVITE")
        self.trunk.answer(leg, 180)
        self.alice.heard(180)
        self.alice.cancel(self.invite)
        self.world.turn()
        self.trunk.answer(self.trunk.request("CANCEL"), 200)
        self.trunk.answer(leg, 487)
        self.trunk.heard("ACK")
        self.trunk.silent()

    def test_other_trunk(self) -> None:
        """At another trunk that trunk's section holds: where it is reached, its credentials, and whether its own
        redirects are followed."""
        self.call(CARRIER)
        self.redirect(self.leg, "<sip:0800@carrier.example.net:5080>")
        carrier = self.world.trunk("192.0.2.7", 5090)
        leg = carrier.request("INVITE")
        self.assertNotIn("Authorization", leg.headers)
        carrier.answer(leg, 401, headers=[("WWW-Authenticate", 'Digest realm="carrier", nonce="n"')])
        carrier.heard("ACK")
        again = carrier.request("INVITE")
        self.assertIn('username="us"', again.headers.get("Authorization") or "")
        self.redirect(again, f"<{SALES}>", at=carrier)
        self.trunk.silent()
        self.assertEqual(self.alice.response(302).headers.lines("Contact"), [f"<{SALES}>"])

    def test_credentials_stay(self) -> None:
        """A challenge of the new target is none for another trunk's password."""
        self.call(more=(), destinations=None)
        self.redirect(self.leg, f"<{SALES}>")
        leg = self.trunk.request("INVITE")
        self.trunk.answer(leg, 401, headers=[("WWW-Authenticate", 'Digest realm="carrier", nonce="n"')])
        self.trunk.heard("ACK")
        self.trunk.silent()
        self.alice.heard(401)

    def test_authenticated_elsewhere(self) -> None:
        """Nor does a browser that has authenticated to the redirecting trunk use those of the other one."""
        self.redirect(self.leg, "<sip:0800@carrier.example.net:5080>")
        carrier = self.world.trunk("192.0.2.7", 5090)
        challenge = ("WWW-Authenticate", 'Digest realm="carrier", nonce="n"')
        carrier.answer(carrier.request("INVITE"), 401, headers=[challenge])
        carrier.heard("ACK")
        carrier.silent()
        self.alice.heard(401)

    def test_unregistered(self) -> None:
        """A browser that may not use a trunk's credentials may not by way of a redirect."""
        self.alice = self.world.browser("mallory")
        self.alice.invite("sip:bob@pbx.example.com")
        self.redirect(self.trunk.request("INVITE"), "<sip:0800@carrier.example.net:5080>")
        carrier = self.world.trunk("192.0.2.7", 5090)
        carrier.answer(
            carrier.request("INVITE"), 401, headers=[("WWW-Authenticate", 'Digest realm="carrier", nonce="n"')]
        )
        carrier.heard("ACK")
        carrier.silent()
        self.alice.heard(401)

    def test_after_a_challenge(self) -> None:
        """What answers a challenge or a 422 has the next CSeq, and what follows a redirect after it the next but one:
        with one that was used, it would be a merged request (section 8.2.2.2)."""
        self.call(CARRIER)
        carrier = self.world.trunk("192.0.2.7", 5090)
        challenge = ("WWW-Authenticate", 'Digest realm="carrier", nonce="n"')
        contacts = "<sip:0800@carrier.example.net:5080>;q=0.9", f"<{SALES}>;q=0.1"
        self.trunk.answer(self.leg, 422, headers=[("Min-SE", "3600")])
        self.trunk.heard("ACK")
        self.redirect(self.trunk.request("INVITE"), *contacts)
        leg = carrier.request("INVITE")
        self.assertEqual(leg.cseq.number, self.leg.cseq.number + 2)
        carrier.answer(leg, 401, headers=[challenge])
        carrier.heard("ACK")
        self.refused(carrier.request("INVITE"), 480, at=carrier)
        last = self.trunk.request("INVITE")
        self.assertEqual((last.uri, last.cseq.number), (SALES, self.leg.cseq.number + 4))
        self.refused(last, 480)
        self.alice.heard(480)
        self.assert_over(self.alice, self.trunk, carrier)

    def test_challenges_of_several(self) -> None:
        """Every challenge of the targets reaches the caller in one response (section 16.7 step 7), and its next try
        goes on with the CSeq."""
        self.redirect(self.leg, "<sip:a@pbx.example.com>", "<sip:b@pbx.example.com>")
        first, basic = 'Digest realm="a", nonce="1"', 'Digest realm="b", nonce="2"'
        leg = self.trunk.request("INVITE")
        self.trunk.answer(leg, 407, headers=[("Proxy-Authenticate", first)])
        self.trunk.heard("ACK")
        leg = self.trunk.request("INVITE")
        self.trunk.answer(leg, 401, headers=[("WWW-Authenticate", basic), ("Proxy-Authenticate", basic)])
        self.trunk.heard("ACK")
        heard = self.alice.response(407)
        self.assertEqual(heard.headers.lines("Proxy-Authenticate"), [first, basic])
        self.assertEqual(heard.headers.lines("WWW-Authenticate"), [basic])
        self.alice.invite("sip:bob@pbx.example.com", cseq=2, like=self.invite)
        again = self.trunk.request("INVITE")
        self.assertEqual(again.call_id, leg.call_id)
        self.assertGreater(again.cseq.number, leg.cseq.number)
