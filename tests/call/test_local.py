"""Calls of users of a domain that is served here: to each other, to groups, to numbers, and from its trunks."""

from __future__ import annotations

from tests.support.calls.local import DOMAIN, OTHER_TRUNK, TRUNK, LocalCase, message_to
from tests.support.calls.world import OFFER, PLAIN, Browser
from webrtcproxy.config import Destinations, HostPort
from webrtcproxy.media.profile import BROWSER
from webrtcproxy.registration.binding import contact_user_of
from webrtcproxy.sip.message import Request, Response

BOB = f"sip:bob@{DOMAIN}"


class UserTests(LocalCase):
    """A user calls a user."""

    def test_call(self) -> None:
        """The callee's browser rings; both legs are browsers for rtpengine; nothing goes to any trunk."""
        alice, bob = self.registered(), self.registered("bob")
        invite = alice.invite(BOB, ("P-Asserted-Identity", "<sip:boss@example.com>"), ("X-Note", "1"))
        leg = bob.request("INVITE")
        self.assertEqual((leg.uri, leg.from_.uri), (bob.contact, "sip:alice@example.com"))
        self.assertEqual(leg.headers.get("X-Note"), "1")
        self.assertNotIn("P-Asserted-Identity", leg.headers)
        bob.answer(leg, 180)
        alice.heard(180)
        bob.answer(leg, 200, OFFER)
        bob.heard("ACK")
        ok = alice.response(200)
        alice.ack(invite, ok)
        offer, answered = self.world.nodes.sessions[0].operations
        self.assertEqual((offer.to, answered.to), (BROWSER, BROWSER))
        alice.say(alice.inside("BYE", invite, ok))
        alice.heard(200)
        bob.answer(bob.request("BYE"), 200)
        self.assert_over(alice, bob)
        self.assertEqual(self.world.trunks, {})

    def test_all_ring(self) -> None:
        """All browsers of the callee ring, and the first to answer wins."""
        alice, one, two = self.registered(), self.registered("bob"), self.registered("bob")
        invite = alice.invite(BOB)
        legs = [one.request("INVITE"), two.request("INVITE")]
        one.answer(legs[0], 180)
        alice.heard(180)
        two.answer(legs[1], 200, OFFER)
        two.heard("ACK")
        one.answer(one.request("CANCEL"), 200)
        one.answer(legs[0], 487)
        one.heard("ACK")
        alice.ack(invite, alice.response(200))
        self.assertEqual(one.pending(), [])

    def test_spellings(self) -> None:
        """The address-of-record counts, however it is written (RFC 3261 section 10.3 step 5)."""
        alice, bob = self.registered(), self.registered("bob")
        for uri in ("sip:bob@EXAMPLE.com", "sip:%62ob@example.com:5060", "sips:bob@example.com;transport=ws"):
            invite = alice.invite(uri)
            leg = bob.request("INVITE")
            bob.answer(leg, 486)
            bob.heard("ACK")
            alice.ack(invite, alice.response(486))

    def test_nobody(self) -> None:
        """480 for a user who is not there, 404 for one that there is not, and at a port that no address has."""
        alice = self.registered()
        for uri, status in (
            (BOB, 480), (f"sip:carol@{DOMAIN}", 404), (f"sip:bob@{DOMAIN}:5070", 404), (f"sip:{DOMAIN}", 404),
        ):  # fmt: skip
            invite = alice.invite(uri)
            alice.ack(invite, alice.response(status))
        self.assertEqual(self.world.trunks, {})

    def test_message(self) -> None:
        """MESSAGE, and other requests outside of dialogs, reach the user, too."""
        alice, bob = self.registered(), self.registered("bob")
        for method in ("MESSAGE", "OPTIONS", "INFO"):
            message_to(alice, BOB, method=method)
            bob.answer(bob.request(method), 200)
            alice.heard(200)

    def test_subscribe(self) -> None:
        """SUBSCRIBE, and REFER outside of dialogs, reach the user."""
        alice, bob = self.registered(), self.registered("bob")
        for method, header in (("SUBSCRIBE", ("Event", "presence")), ("REFER", ("Refer-To", "<sip:x@example.com>"))):
            message_to(alice, BOB, header, method=method)
            bob.answer(bob.request(method), 403)
            alice.heard(403)


class StrangerTests(LocalCase):
    """Whoever has not logged in."""

    def challenge(self, browser: Browser) -> Response:
        return browser.response(407)

    def test_same_for_all(self) -> None:
        """Users that there are, that are not, groups, numbers, whoever the stranger says to be: each request gets the
        same 407, and nothing leaves the proxy."""
        self.registered("bob").forget()
        seen = set()
        for name, domain in (("alice", DOMAIN), ("carol", DOMAIN), ("x", "pbx.example.com"), ("x", "y.invalid")):
            stranger = self.browser(name, domain)
            for uri in (BOB, f"sip:carol@{DOMAIN}", f"sip:+4930@{DOMAIN}", f"sip:{DOMAIN}:99", f"sip:a@{DOMAIN}:99"):
                stranger.invite(uri)
                for method in ("MESSAGE", "SUBSCRIBE", "REFER", "PUBLISH", "INFO"):
                    message_to(stranger, uri, ("Event", "x"), method=method)
            answers = stranger.flow.responses
            self.assertEqual(len(answers), 30)
            for response in answers:
                names = tuple(name for name, _ in response.headers)
                seen.add((response.status, response.reason, names))
        self.assertEqual({status for status, _, _ in seen}, {407})
        self.assertEqual(len(seen), 1, seen)
        self.assertEqual(self.world.trunks, {})

    def test_user_elsewhere(self) -> None:
        """Who says to be a user of the domain has to prove it, wherever the request goes: also to a trunk, by a tel:
        number, too."""
        for uri in ("sip:+4930@carrier.example.net:5080", "sip:x@pbx.example.com", "tel:+4930"):
            stranger = self.browser()
            stranger.invite(uri)
            self.challenge(stranger)
        self.assertEqual(self.world.trunks, {})

    def test_answered(self) -> None:
        """A browser that has not registered may answer the 407, and call; its credentials go no further, those for
        others do."""
        alice, bob = self.browser(), self.registered("bob")
        first = alice.invite(BOB)
        challenge = self.challenge(alice)
        alice.ack(first, challenge)
        other = ("Proxy-Authorization", 'Digest realm="pbx", username="a", nonce="n"')
        again = alice.invite(BOB, self.authorized(alice, challenge, first), other, cseq=2, like=first)
        leg = bob.request("INVITE")
        self.assertNotIn("Proxy-Authorization", leg.headers)
        bob.answer(leg, 486)
        bob.heard("ACK")
        alice.ack(again, alice.response(486))
        message_to(alice, BOB, cseq=3)
        bob.answer(bob.request("MESSAGE"), 200)
        alice.heard(200)
        self.world.turn(301)
        message_to(alice, BOB, cseq=4)
        self.challenge(alice)

    def test_own_credentials_stay(self) -> None:
        """Towards a trunk, credentials of the domain are removed, and those for the trunk cross."""
        alice, trunk = self.registered(), self.world.trunk(OTHER_TRUNK)
        lines = self.ask(alice).headers.lines("WWW-Authenticate")
        ours = ("Proxy-Authorization", lines[0].replace("Digest ", 'Digest username="alice", '))
        theirs = ("Proxy-Authorization", 'Digest realm="pbx", username="a", nonce="n"')
        alice.invite("sip:x@pbx.example.com", ours, theirs)
        leg = trunk.request("INVITE")
        self.assertEqual(leg.headers.lines("Proxy-Authorization"), [theirs[1]])
        trunk.answer(leg, 404)

    def test_in_another_name(self) -> None:
        """The right password of alice does not let her call as bob: 403; nor does her registration."""
        alice, carol = self.browser(), self.registered("bob")
        alice.uri = f"sip:bob@{DOMAIN}"
        first = alice.invite(f"sip:alice@{DOMAIN}")
        challenge = self.challenge(alice)
        alice.ack(first, challenge)
        again = alice.invite(f"sip:alice@{DOMAIN}", self.authorized(alice, challenge, first), cseq=2, like=first)
        response = alice.response(403)
        self.assertEqual(response.reason, "From Is Another User's")
        alice.ack(again, response)
        self.assertFalse(self.world.context.proofs.has(alice.flow, carol.aor, ("domain", DOMAIN)))
        registered = self.registered()
        registered.uri = f"sip:bob@{DOMAIN}"
        registered.invite(BOB)
        self.challenge(registered)

    def test_cancel(self) -> None:
        """A CANCEL that crosses the 407 changes nothing."""
        alice = self.browser()
        invite = alice.invite(BOB)
        alice.ack(invite, self.challenge(alice))
        alice.cancel(invite)
        self.assertIn(alice.next().headers.get("CSeq"), (f"{invite.cseq.number} CANCEL",))

    def test_registered_elsewhere(self) -> None:
        """Who has proven something to a trunk is a stranger here."""
        browser = self.world.browser()
        browser.bind()
        browser.invite(BOB)
        self.challenge(browser)


class NumberTests(LocalCase):
    """A user dials a number."""

    lines = ("101@example.com",)

    def dialled(self, uri: str) -> Request:
        alice, trunk = self.registered(), self.world.trunk(TRUNK, 5090)
        trunk.forget()
        invite = alice.invite(uri)
        leg = trunk.request("INVITE")
        trunk.answer(leg, 486)
        trunk.heard("ACK")
        alice.ack(invite, alice.response(486))
        return leg

    def test_numbers(self) -> None:
        """Any way to write a number leads to the domain's trunk, which gets it as one of its own (RFC 3261 section
        19.1.6)."""
        for uri, number in (
            (f"sip:+49301234@{DOMAIN}", "+49301234"),
            (f"sip:+49%20(30)%2012-34;user=phone@{DOMAIN}", "+49301234"),
            (f"sip:+49.30.1234@{DOMAIN};user=phone", "+49301234"),
            (f"sip:*21%23@{DOMAIN}", "*21%23"),
            ("tel:+49-30-1234", "+49301234"),
        ):
            self.assertEqual(self.dialled(uri).uri, f"sip:{number}@carrier.example.net:5080", uri)

    def test_expense(self) -> None:
        """The trunk's challenge is answered with its account, which the user's domain has."""
        alice, trunk = self.registered(), self.world.trunk(TRUNK, 5090)
        alice.invite(f"sip:+4930@{DOMAIN}")
        leg = trunk.request("INVITE")
        trunk.answer(leg, 407, headers=[("Proxy-Authenticate", 'Digest realm="carrier", nonce="n"')])
        trunk.heard("ACK")
        again = trunk.request("INVITE")
        self.assertIn('username="us"', again.headers.get("Proxy-Authorization") or "")
        trunk.answer(again, 200, PLAIN)

    def test_other_trunk(self) -> None:
        """A trunk that the domain does not have is not paid with its account; the user may still call there."""
        alice, trunk = self.registered(), self.world.trunk(OTHER_TRUNK)
        alice.invite("sip:x@pbx.example.com")
        leg = trunk.request("INVITE")
        trunk.answer(leg, 407, headers=[("Proxy-Authenticate", 'Digest realm="pbx", nonce="n"')])
        trunk.heard("ACK")
        alice.heard(407)

    def test_users_first(self) -> None:
        """A user whose name is a number is called, not the trunk."""
        alice = self.registered()
        alice.invite(f"sip:101@{DOMAIN}")
        alice.heard(480)
        self.assertEqual(self.world.trunks, {})

    def test_no_trunk(self) -> None:
        """A domain without a trunk has no numbers."""
        self.options = {}
        self.world = self.make_world()
        alice = self.registered()
        for uri in (f"sip:+4930@{DOMAIN}", "tel:+4930"):
            alice.invite(uri)
            alice.heard(404)
        self.assertEqual(self.world.trunks, {})


class GroupTests(LocalCase):
    """A user calls a group."""

    lines = ("carol@example.com groups=sales", "dave@example.com groups=sales,night", "erin@example.com groups=night")

    def member(self, user: str) -> Browser:
        """A browser of a member, which is registered as if by a password."""
        browser = self.browser(user)
        browser.bind(authenticated=False)
        return browser

    def test_rings_all(self) -> None:
        """All members ring, on all their browsers; the name of a group is written in any case."""
        alice, carol, dave = self.registered(), self.member("carol"), self.member("dave")
        self.member("erin")
        invite = alice.invite(f"sip:Sales@{DOMAIN}")
        legs = [(browser, browser.request("INVITE")) for browser in (carol, dave)]
        for browser, leg in legs:
            browser.answer(leg, 486)
            browser.heard("ACK")
        alice.ack(invite, alice.response(486))

    def test_not_the_caller(self) -> None:
        """The caller's own browsers do not ring."""
        self.path.write_text(self.path.read_text().replace("alice@example.com", "alice@example.com groups=sales"))
        alice = self.registered()
        alice.invite(f"sip:sales@{DOMAIN}")
        alice.heard(480)

    def test_nobody(self) -> None:
        """Where no member is there, 480."""
        alice = self.registered()
        alice.invite(f"sip:night@{DOMAIN}")
        alice.heard(480)

    def test_by_trunk(self) -> None:
        """The domain's trunk calls a group."""
        carol, trunk = self.member("carol"), self.world.trunk(TRUNK, 5090)
        trunk.invite(f"sip:sales@{DOMAIN}")
        leg = carol.request("INVITE")
        carol.answer(leg, 486)


class TrunkTests(LocalCase):
    """Calls in."""

    def test_trunk_of_domain(self) -> None:
        """A trunk that the domain names may call its users by their addresses."""
        bob, trunk = self.registered("bob"), self.world.trunk(TRUNK, 5090)
        invite = trunk.invite(BOB)
        leg = bob.request("INVITE")
        bob.answer(leg, 486)
        bob.heard("ACK")
        trunk.ack(invite, trunk.response(486))

    def test_others(self) -> None:
        """Other trunks may not: not by the address, nor by the Contact that a registrar would have; the same 404 as for
        nobody."""
        self.registered("bob")
        trunk = self.world.trunk(OTHER_TRUNK)
        for uri in (BOB, f"sip:carol@{DOMAIN}", f"sip:{contact_user_of('bob@example.com')}@192.0.2.1"):
            invite = trunk.invite(uri)
            trunk.ack(invite, trunk.response(404))

    def test_not_there(self) -> None:
        """480 for a user that there is, without a browser."""
        trunk = self.world.trunk(TRUNK, 5090)
        trunk.ack(trunk.invite(BOB), trunk.response(480))

    def test_stranger(self) -> None:
        """Any other address gets no answer."""
        self.registered("bob")
        stranger = self.world.trunk("203.0.113.99")
        stranger.invite(BOB)
        stranger.silent()


class SecondDomainTests(LocalCase):
    """Another domain that is served here, too."""

    others = ("second.example",)

    def test_not_named(self) -> None:
        """Users of one domain are strangers in another: 403, whoever is called there."""
        alice = self.registered()
        for user in ("dave", "nobody", "+4930"):
            alice.invite(f"sip:{user}@second.example")
            alice.heard(403)

    def test_named(self) -> None:
        """Where `[access] destinations` names it, they may call its users."""
        self.world = self.make_world(destinations=Destinations(hosts=frozenset([HostPort("second.example", None)])))
        alice, dave = self.registered(), self.browser("dave", "second.example")
        dave.bind(authenticated=False)
        invite = alice.invite("sip:dave@second.example")
        leg = dave.request("INVITE")
        dave.answer(leg, 486)
        dave.heard("ACK")
        alice.ack(invite, alice.response(486))
        alice.invite("sip:nobody@second.example")
        alice.heard(404)


class OtherDomainTests(LocalCase):
    """The domain as a host."""

    def test_redirection(self) -> None:
        """A trunk's redirect to the domain is not followed to any server."""
        alice, trunk = self.registered(), self.world.trunk(TRUNK, 5090)
        alice.invite(f"sip:+4930@{DOMAIN}")
        leg = trunk.request("INVITE")
        trunk.answer(leg, 302, headers=[("Contact", f"<{BOB}>")])
        trunk.heard("ACK")
        alice.heard(302)
