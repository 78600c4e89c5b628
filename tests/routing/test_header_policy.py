"""Headers that cross between the legs: on requests and responses, within a call and outside of one."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls.modifying import SessionChangeCase
from tests.support.calls.party import Pair, Party, outbound
from tests.support.calls.registering import JSSIP, RegistrarCase
from tests.support.calls.world import OFFER
from tests.support.configs import PBX
from tests.test_layers import ROOT
from webrtcproxy.routing.header_policy import (
    BETWEEN_BROWSERS,
    TO_BROWSER,
    TO_TRUNK,
    TO_TRUSTING_TRUNK,
    DeniedNames,
)
from webrtcproxy.routing.peer_profile import (
    BROWSER_PEER,
    UNKNOWN_PEER,
    PeerProfile,
    contacts_of,
    filter_address,
    filter_headers,
)
from webrtcproxy.sip.message import Headers, Message, Request, Response
from webrtcproxy.sip.names import COMPACT, SPELLINGS

ALL: tuple[Pair, ...] = (
    ("Privacy", "none"),
    ("Subject", "About the weather"),
    ("X-Tenant", "7"),
    ("x-odd-Spelling", "8"),
    ("Reason", 'Q.850;cause=16;text="Terminated"'),
    ("Alert-Info", "<http://x.example/ring>;info=alert"),
    ("Warning", '399 pbx "Take care"'),
    ("Retry-After", "9"),
    ("Session-ID", "f81d4fae7dec11d0a76500a0c91e6bf6;remote=00000000000000000000000000000000"),
    ("User-to-User", "56a390;encoding=hex"),
)
IDENTITY: tuple[Pair, ...] = (
    ("P-Asserted-Identity", '"Carol" <sip:carol@pbx.example.com>'),
    ("Diversion", "<sip:dora@pbx.example.com>;reason=busy"),
    ("P-Associated-URI", "<tel:+49301234>"),
    ("Resource-Priority", "dsn.flash"),
)


class Cross(SessionChangeCase):
    """What is not known to belong to a leg crosses (original.rst: headers to the trunk, headers back)."""

    def expect(self, message: Message, *headers: Pair) -> None:
        """All of `headers` and nothing else of them."""
        names = {name for name, _ in (*ALL, *IDENTITY)}
        self.assertEqual([pair for pair in message.headers if pair[0] in names], list(headers))

    def test_within_a_call(self) -> None:
        """INFO, MESSAGE and BYE, each way; identity from the trunk only."""
        for asker, other in self.all_ways():
            sent = (*ALL, *IDENTITY)
            cross, back = (ALL, sent) if asker.browser else (sent, ALL)
            for method in ("INFO", "MESSAGE"):
                asker.ask(method, b"", *sent)
                crossed = other.peer.request(method)
                self.expect(crossed, *cross)
                other.answer(crossed, 299, b"", *sent)
                self.expect(asker.peer.response(299), *back)
            asker.ask("BYE", b"", *sent)
            asker.peer.heard(200)
            self.world.turn()
            self.expect(other.peer.request("BYE"), *cross)

    def test_change_of_the_session(self) -> None:
        """A re-INVITE and what it gets: 180, 200 or a refusal."""
        for status in (200, 488):
            for asker, other in self.all_ways():
                sent = (*ALL, *IDENTITY)
                cross, back = (ALL, sent) if asker.browser else (sent, ALL)
                invite = asker.ask("INVITE", asker.sdp("sendonly"), *sent)
                crossed = other.peer.request("INVITE")
                self.expect(crossed, *cross)
                other.answer(crossed, 180, b"", *sent)
                self.expect(asker.peer.response(180), *back)
                other.answer(crossed, status, other.sdp("recvonly") if status == 200 else b"", *sent)
                other.peer.heard("ACK")
                heard = asker.peer.response(status)
                self.expect(heard, *back)
                if status == 200:
                    asker.ack(invite)
                else:
                    asker.ack_refusal(invite)

    def test_set_up(self) -> None:
        """The INVITE, each response, and the reason phrase of a refusal
        (original.rst: call out, headers to the trunk)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com", *ALL, *IDENTITY)
        leg = trunk.request("INVITE")
        self.expect(leg, *ALL)
        trunk.answer(leg, 180, headers=(*ALL, *IDENTITY))
        self.expect(alice.response(180), *ALL, *IDENTITY)
        trunk.answer(leg, 486, reason="In Bed", headers=(*ALL, *IDENTITY))
        heard = alice.response(486)
        self.assertEqual(heard.reason, "In Bed")
        self.expect(heard, *ALL, *IDENTITY)
        alice.ack(invite, heard)

    def test_called(self) -> None:
        """A trunk's INVITE to a browser, and the browser's refusal: its identity stays behind."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        invite = trunk.invite("sip:alice@192.0.2.1", *ALL, *IDENTITY)
        leg = alice.request("INVITE")
        self.expect(leg, *ALL, *IDENTITY)
        alice.answer(leg, 486, headers=(*ALL, *IDENTITY))
        heard = trunk.response(486)
        self.expect(heard, *ALL)
        trunk.ack(invite, heard)


class Overrides(SessionChangeCase):
    """A trunk's section has the last word."""

    trunks = (replace(PBX, pass_identity=True, strip=("x-*", "subject"), set=(("X-Account", "4711"),)),)

    def test_every_request(self) -> None:
        """`set`, `strip` and `pass-identity` in each request to the trunk; `strip` in each of the trunk's."""
        for asker, other in self.all_ways():
            for method in ("INFO", "INVITE", "BYE"):
                asker.ask(
                    method, asker.sdp("sendonly") if method == "INVITE" else b"", *ALL, *IDENTITY, ("X-Account", "1")
                )
                if method == "BYE":
                    asker.peer.heard(200)
                    self.world.turn()
                crossed = other.peer.request(method)
                self.check(crossed, [] if other.browser else ["4711"])
                if method != "BYE":
                    self.answered(asker, other, crossed)

    def answered(self, asker: Party, other: Party, crossed: Request) -> None:
        """The same of a refusal; nothing is set in it."""
        other.answer(crossed, 488, b"", *ALL, *IDENTITY, ("X-Account", "1"))
        if crossed.method == "INVITE":
            other.peer.heard("ACK")
        heard = asker.peer.response(488)
        self.check(heard, [])

    def check(self, message: Message, account: list[str]) -> None:
        names = [name for name, _ in message.headers]
        self.assertEqual(message.headers.lines("X-Account"), account)
        for name in ("P-Asserted-Identity", "Diversion", "Privacy", "Reason"):
            self.assertIn(name, names)
        for name in ("X-Tenant", "x-odd-Spelling", "Subject"):
            self.assertNotIn(name, names)

    def test_set_up(self) -> None:
        """The same of the INVITE that opens the call, and of what it gets."""
        outbound_invite: list[Request] = []
        caller, callee = outbound(self.world, *ALL, *IDENTITY)
        outbound_invite += [message for message in callee.peer.flow.messages if isinstance(message, Request)][:1]
        self.check(outbound_invite[0], ["4711"])
        (ok,) = (message for message in caller.peer.flow.responses if message.status == 200)
        self.check(ok, [])


class Registrations(RegistrarCase):
    """REGISTER follows the section, too."""

    trunks = (replace(PBX, strip=("x-*", "user-agent"), set=(("X-Account", "4711"),)),)

    def test_both_ways(self) -> None:
        """`strip` in the request and in the response, `set` in the request, again after a challenge."""
        self.register(f"{JSSIP};expires=600", more=("X-Tenant: 7", "Subject: hi"))
        for _ in range(2):
            self.assertNotIn("User-Agent", self.upstream().headers)
            self.assertNotIn("X-Tenant", self.upstream().headers)
            self.assertEqual(self.upstream().headers.lines("X-Account"), ["4711"])
            self.assertEqual(self.upstream().headers.get("Subject"), "hi")
            heard = self.answer(401, ("WWW-Authenticate", 'Digest realm="a", nonce="n"'), ("X-Secret", "y"))
            self.assertNotIn("X-Secret", heard.headers)
            self.register(f"{JSSIP};expires=600", more=("X-Tenant: 7", "Subject: hi"))
        heard = self.accept(600, ("X-Secret", "y"), ("P-Associated-URI", "<tel:+49>"))
        self.assertNotIn("X-Secret", heard.headers)
        self.assertEqual(heard.headers.get("P-Associated-URI"), "<tel:+49>")

    def test_too_brief(self) -> None:
        """Min-Expires and Retry-After cross (original.rst: register, 423 / 503)."""
        self.register(f"{JSSIP};expires=6")
        heard = self.answer(423, ("Min-Expires", "60"), ("Retry-After", "5"), reason="Too Brief")
        self.assertEqual((heard.status, heard.reason), (423, "Too Brief"))
        self.assertEqual((heard.headers.get("Min-Expires"), heard.headers.get("Retry-After")), ("60", "5"))


ADDRESSES = ("Refer-To", "P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID")
"""Those that a browser gets as far as it can read them."""


class Registry(SynchronousTestCase):
    """Every registered header has a verdict in each direction (docs/access.rst: Headers)."""

    @staticmethod
    def rows() -> list[list[str]]:
        lines = (ROOT / "tests/data/headers.txt").read_text().splitlines()
        return [line.split() for line in lines if not line.startswith("#")]

    def crosses(self, name: str, target: PeerProfile, source: PeerProfile) -> bool:
        """Whether a header crosses, however it is spelled."""
        ways = [name, name.lower(), name.upper(), name.swapcase(), *(key for key in COMPACT if COMPACT[key] == name)]
        value = "x y=z" if name.endswith("-Authenticate") else "<sip:x@y>" if name in ADDRESSES else "x"
        crossed = [len(filter_headers(Response(200, "OK", Headers([(way, value)])), source, target)) for way in ways]
        self.assertEqual(len(set(crossed)), 1, (name, crossed))
        return bool(crossed[0])

    def test_verdicts(self) -> None:
        """The policy does what the table says; each name is known, so that its case does not matter."""
        trunk, trusting = PeerProfile.of(PBX), PeerProfile.of(replace(PBX, pass_identity=True))
        rows = self.rows()
        self.assertGreater(len(rows), 130)
        for name, up, down in rows:
            for source in (trunk, UNKNOWN_PEER):
                self.assertEqual(self.crosses(name, source, BROWSER_PEER), up == "cross", name)
                self.assertEqual(self.crosses(name, BROWSER_PEER, source), down == "cross", name)
            self.assertEqual(self.crosses(name, trusting, BROWSER_PEER), up != "leg", name)

    def test_unknown_private_headers(self) -> None:
        """A private header that nobody has registered is for servers of the operator, too (RFC 3427 section 4.1); one
        of an application is not."""
        trunk, trusting = PeerProfile.of(PBX), PeerProfile.of(replace(PBX, pass_identity=True))
        for name in ("P-Vendor-Billing", "P-Com.Example-Account"):
            self.assertFalse(self.crosses(name, trunk, BROWSER_PEER))
            self.assertFalse(self.crosses(name, BROWSER_PEER, trunk))
            self.assertTrue(self.crosses(name, trusting, BROWSER_PEER))
        for name in ("X-Tenant", "Pager"):
            self.assertTrue(self.crosses(name, trunk, BROWSER_PEER))
            self.assertTrue(self.crosses(name, BROWSER_PEER, trunk))

    def test_privacy(self) -> None:
        """A signed identity says who calls as well, and so is withheld; the history has a wish of its own (RFC 7044
        section 10.1)."""
        trunk = PeerProfile.of(PBX)
        sent = ("P-Asserted-Identity", "Additional-Identity", "Identity", "History-Info")
        for wish, left in (
            ("none", list(sent)),
            ("id", ["History-Info"]),
            ("history", list(sent[:3])),
            ("id;header", []),
        ):
            headers = Headers([("Privacy", wish), *((name, "<sip:x@y>") for name in sent)])
            crossed = filter_headers(Response(200, "OK", headers), trunk, BROWSER_PEER)
            self.assertEqual([name for name, _ in crossed if name != "Privacy"], left, wish)


class Names(SynchronousTestCase):
    """The names that are known are looked at once for all messages, and all others one by one: with one result."""

    def test_every_name(self) -> None:
        """Each known name, and names that nobody knows, cross or not as `strip` and the lists of the policy say."""
        patterns = DeniedNames(TO_BROWSER.names, TO_BROWSER.private, ("x-*", "subject", "p-odd"))
        rare = ("X-Tenant", "x-tenant", "P-Unknown", "p-unknown", "P-Odd", "Tenant", "T-Odd")
        for denied in (TO_TRUNK, TO_TRUSTING_TRUNK, TO_BROWSER, BETWEEN_BROWSERS, patterns):
            for name in (*sorted(set(SPELLINGS.values())), *rare):
                headers = Headers([(name, "x")])
                self.assertEqual(len(headers.without(denied.among(headers))), int(name not in denied), name)


class InUris(SynchronousTestCase):
    """The headers in a URI, of which its recipient makes a request (RFC 3261 sections 19.1.1 and 19.1.5)."""

    def test_refer_to(self) -> None:
        """What would not cross by itself does not cross there, however it is escaped; what names a dialog does."""
        trunk, trusting = PeerProfile.of(PBX), PeerProfile.of(replace(PBX, pass_identity=True))
        replaces = "Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2"
        for headers, left, trusted in (
            ("P-Asserted-Identity=%3Csip:x@y%3E", "", "?P-Asserted-Identity=%3Csip:x@y%3E"),
            ("%50-charge-info=x&Subject=hi", "?Subject=hi", "?%50-charge-info=x&Subject=hi"),
            (f"{replaces}&y=x&Require=replaces", f"?{replaces}&Require=replaces", f"?{replaces}&y=x&Require=replaces"),
            ("From=%3Csip:x@y%3E&Route=%3Csip:z%3E&f=x&Via=x", "", ""),
            ("Authorization=Digest&body=v%3D0&%0d%0aP-Asserted-Identity=x&=x", "", ""),
            ("X-Tenant=7", "?X-Tenant=7", "?X-Tenant=7"),
            ("referred-By=%3Csip:x@y%3E&Subject=hi&%62=x", "?Subject=hi", "?Subject=hi"),
        ):
            value = f"<sip:bob@pbx.example.com?{headers}>;x=y"
            self.assertEqual(filter_address(value, BROWSER_PEER, trunk), f"<sip:bob@pbx.example.com{left}>;x=y")
            self.assertEqual(filter_address(value, BROWSER_PEER, trusting), f"<sip:bob@pbx.example.com{trusted}>;x=y")
        for value in ("<sip:bob@pbx.example.com>", '"Why?" <sip:bob@pbx.example.com>;x=y', "tel:+49301"):
            self.assertEqual(filter_address(value, BROWSER_PEER, trunk), value)

    def test_places(self) -> None:
        """A browser chooses no place to which the recipient would send its request, in no spelling (RFC 3261 section
        25.1)."""
        trunk = PeerProfile.of(PBX)
        for params in (";maddr=192.0.2.66;x=1", ";MADDR=192.0.2.66;x=1;TTL=3", ";m%61dd%72=192.0.2.66;x=1"):
            value = f"Bob <sip:bob@pbx.example.com{params}>;q=1"
            self.assertEqual(filter_address(value, BROWSER_PEER, trunk), '"Bob" <sip:bob@pbx.example.com;x=1>;q=1')
            self.assertEqual(filter_address(value, trunk, BROWSER_PEER), value)
            response = Response(302, "Moved", Headers([("Contact", value)]))
            crossed = contacts_of(response, BROWSER_PEER, trunk).lines("Contact")
            self.assertEqual(crossed, ['"Bob" <sip:bob@pbx.example.com;x=1>;q=1'])
        headers = "<sip:bob@pbx.example.com;maddr=192.0.2.66?P-Asserted-Identity=x&Subject=hi>"
        self.assertEqual(filter_address(headers, BROWSER_PEER, trunk), "<sip:bob@pbx.example.com?Subject=hi>")

    def test_transport_of_browsers(self) -> None:
        """``transport=ws`` in a Refer-To or a Contact of a browser says nothing to a trunk; another browser gets it,
        as does a browser that a trunk refers (field.rst X3: Transport of browsers)."""
        trunk = PeerProfile.of(PBX)
        for transport in ("transport=ws", "TRANSPORT=wss", "tr%61nsport=%57S"):
            value = f"<sip:bob@pbx.example.com;{transport};x=1>"
            self.assertEqual(filter_address(value, BROWSER_PEER, trunk), "<sip:bob@pbx.example.com;x=1>")
            self.assertEqual(filter_address(value, BROWSER_PEER, BROWSER_PEER), value)
            self.assertEqual(filter_address(value, trunk, BROWSER_PEER), value)
        value = "<sip:bob@pbx.example.com;transport=tcp>"
        self.assertEqual(filter_address(value, BROWSER_PEER, trunk), value)

    def test_visual_separators(self) -> None:
        """A number in a Refer-To or a Contact of a browser goes to a trunk without visual separators (RFC 3966 section
        5.1.1); what a trunk writes stays as it is, and so does a name (field.rst W12: Visual separators)."""
        trunk = PeerProfile.of(PBX)
        value, plain = "<sip:+49%2030-12@pbx.example.com>;q=1", "<sip:+493012@pbx.example.com>;q=1"
        self.assertEqual(filter_address(value, BROWSER_PEER, trunk), plain)
        response = Response(302, "Moved", Headers([("Contact", value)]))
        self.assertEqual(contacts_of(response, BROWSER_PEER, trunk).lines("Contact"), [plain])
        self.assertEqual(filter_address(value, trunk, BROWSER_PEER), value)
        name = "<sip:j.r-smith@pbx.example.com>"
        self.assertEqual(filter_address(name, BROWSER_PEER, trunk), name)

    def test_redirection(self) -> None:
        """The Contacts of a browser's 302 are no way around either."""
        trunk = PeerProfile.of(PBX)
        response = Response(302, "Moved", Headers([("Contact", "<sip:x@y?P-Asserted-Identity=a>;q=1, <sip:z@y>")]))
        self.assertEqual(contacts_of(response, BROWSER_PEER, trunk).lines("Contact"), ["<sip:x@y>;q=1", "<sip:z@y>"])
        response.headers.set("Contact", "<sip:x@y?P-Asserted-Identity=a")
        self.assertEqual(contacts_of(response, BROWSER_PEER, trunk).lines("Contact"), [])


class Around(SessionChangeCase):
    """The ways of a browser to a request that is made of what it writes."""

    CLAIM = "sip:dora@pbx.example.com?P-Asserted-Identity=%3Csip:boss@pbx.example.com%3E&Subject=hi"

    def test_refer(self) -> None:
        """Within a call, and outside of one."""
        alice, trunk = outbound(self.world)
        alice.ask("REFER", b"", ("Refer-To", f"<{self.CLAIM}>"), ("Contact", f"<{alice.contact}>"))
        self.assertEqual(trunk.peer.request("REFER").headers.get("Refer-To"), "<sip:dora@pbx.example.com?Subject=hi>")

    def test_request_uri(self) -> None:
        """A Request-URI has no headers (RFC 3261 section 19.1.1, table 1)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.invite(self.CLAIM)
        alice.heard(400)
        trunk.silent()

    def test_bodies(self) -> None:
        """Of the body of an INVITE only the description crosses: no part of it states an identity (RFC 3893)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        parts = ("message/sipfrag", "From: <sip:boss@pbx.example.com>"), ("application/sdp", OFFER.decode())
        body = "".join(f"--x\r\nContent-Type: {kind}\r\n\r\n{text}\r\n" for kind, text in parts) + "--x--\r\n"
        alice.sdp, alice.content_type = body.encode(), "multipart/mixed;boundary=x"
        alice.invite("sip:bob@pbx.example.com")
        self.assertEqual(trunk.request("INVITE").content_type, "application/sdp")
