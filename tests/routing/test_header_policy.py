"""Headers that cross between the legs: on requests and responses, within a call and outside of one."""

from __future__ import annotations

from dataclasses import replace

from tests.support.calls.modifying import SessionChangeCase
from tests.support.calls.party import Pair, Party, outbound
from tests.support.calls.registering import JSSIP, RegistrarCase
from tests.support.configs import PBX
from webrtcproxy.sip.message import Message, Request

ALL: tuple[Pair, ...] = (
    ("Privacy", "none"),
    ("Subject", "About the weather"),
    ("X-Tenant", "7"),
    ("x-odd-Spelling", "8"),
    ("Reason", 'Q.850;cause=16;text="Terminated"'),
    ("Alert-Info", "<http://x.example/ring>;info=alert"),
    ("Warning", '399 pbx "Take care"'),
    ("Retry-After", "9"),
    ("P-Associated-URI", "<tel:+49301234>"),
    ("User-to-User", "56a390;encoding=hex"),
)
IDENTITY: tuple[Pair, ...] = (
    ("P-Asserted-Identity", '"Carol" <sip:carol@pbx.example.com>'),
    ("Diversion", "<sip:dora@pbx.example.com>;reason=busy"),
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
