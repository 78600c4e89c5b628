"""Attended transfer: the dialog that Replaces names, from one leg to the other (RFC 3891, RFC 5589 section 7)."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from tests.support.calls.party import party_of
from tests.support.calls.transferring import ReplacingCase, name_of, refer_to, tag_of
from tests.support.calls.world import OFFER, PLAIN, TRUNK_ADDRESS, Browser, TrunkPeer
from tests.support.configs import CARRIER, PBX
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.replaces import Replaces, replaces_of
from webrtcproxy.sip.uri import Uri


class ByBrowser(ReplacingCase):
    """A browser has two calls, and refers one end to the other."""

    def test_translated(self) -> None:
        """The REFER names the dialog that the target has, whatever the order of the parts (original.rst: attended)
        (corners.rst 4: 3891)."""
        for order in (
            "{call};to-tag={to};from-tag={from_}", "{call};from-tag={from_};to-tag={to}",
            "{call};early-only;from-tag={from_};to-tag={to}",
        ):  # fmt: skip
            alice, trunk = self.world.browser(), self.world.trunk()
            first, bob = self.out(alice, trunk, "bob")
            second, carol = self.out(alice, trunk, "carol")
            first.ask("REFER", b"", refer_to(second.target, name_of(second), order))
            crossed = trunk.request("REFER")
            uri = NameAddr.parse(crossed.headers.get("Refer-To") or "").address
            named = replaces_of(uri)
            assert named is not None
            self.assertEqual(named.key, (carol.call_id, tag_of(carol.local), tag_of(carol.remote)))
            self.assertEqual(named.early_only, "early-only" in order)
            self.assertEqual(str(uri).partition("?")[0], "sip:callee@192.0.2.50:5060")
            self.assertTrue(uri.headers.endswith("&Subject=x"))
            bob.answer(crossed, 603)
            alice.heard(603)
            self.bye(first, bob)
            self.bye(second, carol)

    def test_transport_of_our_contact(self) -> None:
        """Our Contact is known again without the transport that it has for a browser, and with it in another
        spelling."""
        for transport in ("", ";Transport=WSS"):
            alice, trunk = self.world.browser(), self.world.trunk()
            first, bob = self.out(alice, trunk, "bob")
            second, carol = self.out(alice, trunk, "carol")
            first.ask("REFER", b"", refer_to(second.target.replace(";transport=ws", transport), name_of(second)))
            crossed = trunk.request("REFER")
            self.assertIn("<sip:callee@192.0.2.50:5060?Replaces=", crossed.headers.get("Refer-To") or "")
            bob.answer(crossed, 603)
            alice.heard(603)
            self.bye(first, bob)
            self.bye(second, carol)

    def test_address_of_record(self) -> None:
        """Where the target is named by another URI than our Contact, that stays."""
        alice, trunk = self.world.browser(), self.world.trunk()
        first, bob = self.out(alice, trunk, "bob")
        second, carol = self.out(alice, trunk, "carol")
        first.ask("REFER", b"", refer_to("sip:carol@pbx.example.com", name_of(second)))
        crossed = trunk.request("REFER")
        value = crossed.headers.get("Refer-To") or ""
        self.assertIn("<sip:carol@pbx.example.com?Replaces=", value)
        self.assertIn(quote(f"to-tag={tag_of(carol.local)}", safe=""), value)
        bob.answer(crossed, 603)
        alice.heard(603)
        self.bye(first, bob)
        self.bye(second, carol)

    def test_foreign(self) -> None:
        """A dialog that is not ours crosses as it is named, letter by letter."""
        alice, trunk = self.world.browser(), self.world.trunk()
        first, bob = self.out(alice, trunk)
        value = refer_to("sip:carol@pbx.example.com;x=y", Replaces("a@b", "1", "2"))
        first.ask("REFER", b"", value)
        crossed = trunk.request("REFER")
        self.assertEqual(crossed.headers.get("Refer-To"), value[1])
        bob.answer(crossed, 603)
        alice.heard(603)
        self.bye(first, bob)

    def test_of_somebody_else(self) -> None:
        """One that names another one's dialog does not learn what it is called on its other leg: its target is looked
        at like any other, and our Contact for somebody else is none that a browser may call."""
        alice, eve, trunk = self.world.browser(), self.world.browser("eve"), self.world.trunk()
        first, bob = self.out(alice, trunk, "bob")
        second, carol = self.out(eve, trunk, "carol")
        first.ask("REFER", b"", refer_to(second.target, name_of(second)))
        alice.heard(403)
        trunk.silent()
        value = refer_to("sip:carol@pbx.example.com", name_of(second))
        first.ask("REFER", b"", value)
        crossed = trunk.request("REFER")
        self.assertEqual(crossed.headers.get("Refer-To"), value[1])
        bob.answer(crossed, 603)
        alice.heard(603)
        self.bye(first, bob)
        self.bye(second, carol)

    def test_back_to_us(self) -> None:
        """The target is a browser here, by way of its registrar: the referred one's INVITE comes back and goes on to
        that browser, whoever's trunk it is of."""
        alice, trunk, carrier = self.world.browser(), self.world.trunk(), self.world.trunk("192.0.2.7", 5090)
        carol = self.world.browser("carol")
        carol.bind()
        invite = alice.invite("sip:bob@carrier.example.net:5080")
        leg = carrier.request("INVITE")
        answer = carrier.answer(leg, 200, PLAIN, tag="bob")
        carrier.heard("ACK")
        ok = alice.response(200)
        alice.ack(invite, ok)
        first, bob = party_of(alice, invite, ok), party_of(carrier, leg, answer)
        # alice calls carol: the registrar sends our INVITE back to us, with our own dialog's names
        invite = alice.invite("sip:carol@pbx.example.com")
        out = trunk.request("INVITE")
        back = Request("INVITE", "sip:carol@192.0.2.1", out.headers.copy(), out.body)
        back.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.50;branch=z9hG4bKspiral")
        back.headers.add("Record-Route", "<sip:192.0.2.50;lr>")
        trunk.say(back)
        there = carol.request("INVITE")
        there_ok = carol.answer(there, 200, OFFER.replace(b"actpass", b"active"), tag="carol")
        carol.heard("ACK")
        middle = trunk.response(200)
        contact, route = middle.headers.get("Contact") or "", ("Record-Route", "<sip:192.0.2.50;lr>")
        trunk.answer(out, 200, PLAIN, tag=middle.to.tag or "", contact=contact, headers=[route])
        ack = trunk.request("ACK")
        trunk.say(Request("ACK", ack.uri, ack.headers.copy()))
        ok = alice.response(200)
        alice.ack(invite, ok)
        second = party_of(alice, invite, ok)
        target = party_of(carol, there, there_ok)
        first.ask("REFER", b"", refer_to(second.target, name_of(second)))
        refer = carrier.request("REFER")
        bob.answer(refer, 202)
        alice.heard(202)
        uri = NameAddr.parse(refer.headers.get("Refer-To") or "").address
        named = replaces_of(uri)
        assert named is not None
        taken = carrier.invite(str(uri).partition("?")[0], ("Replaces", str(named)), ("Require", "replaces"))
        crossed = carol.request("INVITE")
        self.assertEqual(crossed.uri, NameAddr.parse(there_ok.headers.get("Contact") or "").uri)
        told = Replaces.parse(crossed.headers.get("Replaces") or "")
        self.assertEqual(told.key, (target.call_id, tag_of(target.local), tag_of(target.remote)))
        self.assertEqual(crossed.headers.get("Require"), "replaces")
        carol.answer(crossed, 486)
        carol.heard("ACK")
        refused = carrier.response(486)
        carrier.ack(taken, refused)
        self.bye(first, bob)
        self.bye(target, party_of(trunk, back, middle))
        second.ask("BYE")
        alice.heard(200)
        self.world.turn()
        trunk.answer(trunk.request("BYE"), 200)
        self.world.turn(200)


class ByTrunk(ReplacingCase):
    """A trunk refers a browser to another end of its own calls: the browser's INVITE comes to us."""

    def transfer(self, *, told: bool = True) -> None:
        self.trunk, self.bob, self.carol = self.world.trunk(), self.world.browser("bob"), self.world.browser("carol")
        self.bob.bind()
        self.carol.bind()
        self.first, self.bobs = self.into(self.trunk, self.bob)
        self.second, self.carols = self.into(self.trunk, self.carol)
        self.named = name_of(self.second)
        if told:
            value = refer_to(self.second.target, self.named)
            self.first.ask("REFER", b"", value, ("Referred-By", "<sip:pbx@pbx.example.com>"))
            refer = self.bob.request("REFER")
            self.assertEqual(refer.headers.get("Refer-To"), value[1])
            self.bobs.answer(refer, 202, b"", ("Refer-Sub", "false"))
            self.trunk.heard(202)

    def end(self) -> None:
        self.bye(self.first, self.bobs)
        self.bye(self.second, self.carols)

    def test_carried_out(self) -> None:
        """It goes on to the target's browser, in the name that its dialog has there; that browser ends the old call
        (original.rst: attended) (corners.rst 4: 3891, 3892)."""
        self.transfer()
        invite = self.bob.invite(
            self.second.target, ("Replaces", str(self.named)), ("Referred-By", "<sip:pbx@pbx.example.com>")
        )
        crossed = self.carol.request("INVITE")
        told = Replaces.parse(crossed.headers.get("Replaces") or "")
        self.assertEqual(told.key, (self.carols.call_id, tag_of(self.carols.local), tag_of(self.carols.remote)))
        self.assertEqual(crossed.headers.get("Referred-By"), "<sip:pbx@pbx.example.com>")
        self.assertNotIn("Require", crossed.headers)
        answer = self.carol.answer(crossed, 200, OFFER.replace(b"actpass", b"active"), tag="new")
        self.carol.heard("ACK")
        ok = self.bob.response(200)
        self.assertIn("replaces", ok.headers.get("Supported") or "")
        self.bob.ack(invite, ok)
        self.bye(self.carols, self.second)
        self.bye(self.first, self.bobs)
        self.bye(party_of(self.bob, invite, ok), party_of(self.carol, crossed, answer))

    def refused(self, status: int, value: str, by: Browser | TrunkPeer | None = None, *more: tuple[str, str]) -> None:
        peer = by or self.bob
        invite = peer.invite(self.second.target, ("Replaces", value), *more)
        peer.ack(invite, peer.response(status))
        self.carol.silent()

    def test_not_told(self) -> None:
        """One that was not told may not, though it knows the name: 403; nor is the dialog found by a name that is
        wrong."""
        self.transfer(told=False)
        self.refused(403, str(self.named))
        self.refused(403, f"{self.named.call_id};to-tag={self.named.from_tag};from-tag={self.named.to_tag}")
        self.end()

    def test_told_by_another(self) -> None:
        """One that was told by somebody whose call it is not may not, though that one knew its name."""
        self.transfer(told=False)
        carrier = self.world.trunk("192.0.2.7", 5090)
        dave = self.world.browser("dave")
        dave.bind()
        invite = self.bob.invite("sip:x@carrier.example.net:5080")
        leg = carrier.request("INVITE")
        answer = carrier.answer(leg, 200, PLAIN)
        carrier.heard("ACK")
        ok = self.bob.response(200)
        self.bob.ack(invite, ok)
        theirs, bobs = party_of(carrier, leg, answer), party_of(self.bob, invite, ok)
        theirs.ask("REFER", b"", refer_to(self.second.target, self.named))
        bobs.answer(self.bob.request("REFER"), 202, b"", ("Refer-Sub", "false"))
        carrier.heard(202)
        self.refused(403, str(self.named))
        self.bye(theirs, bobs)
        self.end()

    def test_another_trunk(self) -> None:
        """A trunk replaces only calls of its own."""
        self.transfer(told=False)
        carrier = self.world.trunk("192.0.2.7", 5090)
        self.refused(403, str(self.named), carrier)
        self.end()

    def test_own_trunk(self) -> None:
        """The same trunk may, from any of its ports."""
        self.transfer(told=False)
        other = self.world.trunk("192.0.2.50", 5070)
        invite = other.invite(self.second.target, ("Replaces", str(self.named)))
        crossed = self.carol.request("INVITE")
        self.carol.answer(crossed, 603)
        self.carol.heard("ACK")
        other.ack(invite, other.response(603))
        self.end()

    def test_early_only(self) -> None:
        """A confirmed dialog that must not be one: 486 (RFC 3891 section 3)."""
        self.transfer()
        self.refused(486, f"{self.named};early-only")
        self.end()

    def test_ended(self) -> None:
        """A dialog that has ended, and is still known: 603 (RFC 3891 section 3)."""
        self.transfer()
        self.second.ask("BYE")
        self.trunk.heard(200)
        self.world.turn()
        bye = self.carol.request("BYE")
        self.refused(603, str(self.named))
        self.carols.answer(bye, 200)
        self.bye(self.first, self.bobs)

    def test_unknown(self) -> None:
        """A trunk gets 481 where there is no such dialog (RFC 3891 section 3)."""
        self.transfer(told=False)
        self.refused(481, "nobody@nowhere;to-tag=1;from-tag=2", self.trunk)
        self.end()

    def test_not_answered(self) -> None:
        """An early dialog that its receiver has not begun is not replaced: 481 (RFC 3891 section 3)."""
        self.transfer(told=False)
        invite = self.trunk.invite("sip:carol@192.0.2.1")
        ringing = self.carol.request("INVITE")
        self.carol.answer(ringing, 180, tag="early")
        heard = self.trunk.response(180)
        named = f"{invite.call_id};to-tag={heard.to.tag};from-tag={invite.from_.tag}"
        self.refused(481, named, self.trunk)
        self.trunk.cancel(invite)
        self.trunk.heard(200)
        self.trunk.ack(invite, self.trunk.response(487))
        self.world.turn()
        self.carol.answer(self.carol.request("CANCEL"), 200)
        self.carol.answer(ringing, 487, tag="early")
        self.carol.heard("ACK")
        self.end()

    def test_limit(self) -> None:
        """It counts as any other call of the browser's."""
        self.transfer()
        self.world.location.proofs.remove(self.bob.flow, self.bob.aor)
        more = [self.out(self.bob, self.trunk, f"tag{number}") for number in range(2)]
        self.refused(503, str(self.named))
        for one, other in more:
            self.bye(one, other)
        self.end()

    def test_bad(self) -> None:
        """One Replaces, without Join, that can be read: else 400 (RFC 3891 section 3)."""
        self.transfer()
        self.refused(400, "x")
        self.refused(400, str(self.named), None, ("Replaces", str(self.named)))
        self.refused(400, str(self.named), None, ("Join", str(self.named)))
        self.end()

    def test_foreign(self) -> None:
        """What a browser is told to replace somewhere else crosses as it is, with its Require (corners.rst 4: 3891)."""
        self.transfer(told=False)
        value = "foreign@192.0.2.77;from-tag=1;to-tag=2"
        invite = self.bob.invite("sip:dave@pbx.example.com", ("Replaces", value), ("Require", "replaces"))
        crossed = self.trunk.request("INVITE")
        self.assertEqual(crossed.headers.get("Replaces"), value)
        self.assertEqual(crossed.headers.get("Require"), "replaces")
        self.trunk.answer(crossed, 481)
        self.trunk.heard("ACK")
        self.bob.ack(invite, self.bob.response(481))
        self.end()


class OwnUser(ReplacingCase):
    """Another page of the same user takes a call over."""

    def test_taken(self) -> None:
        """It has proven the same address-of-record; the trunk gets an INVITE in the name of its own dialog."""
        alice, again, trunk = self.world.browser(), self.world.browser(), self.world.trunk()
        alice.bind()
        again.bind()
        mine, bob = self.out(alice, trunk)
        named = f"{mine.call_id};to-tag={tag_of(mine.remote)};from-tag={tag_of(mine.local)}"
        invite = again.invite("sip:bob@pbx.example.com", ("Replaces", named))
        crossed = trunk.request("INVITE")
        self.assertEqual(
            Replaces.parse(crossed.headers.get("Replaces") or "").key,
            (bob.call_id, tag_of(bob.local), tag_of(bob.remote)),
        )
        self.assertEqual(Uri.parse(crossed.uri).user, "callee")
        trunk.answer(crossed, 486, tag="x")
        trunk.heard("ACK")
        again.ack(invite, again.response(486))
        self.bye(mine, bob)


class Redirected(ReplacingCase):
    """The trunk's redirects are followed."""

    trunks = (replace(PBX, redirects="follow"), CARRIER)

    def test_redirected(self) -> None:
        """Where the other end redirects it, it goes there with the name that it had: the peer's, not the caller's (RFC
        3261 section 8.1.3.4)."""
        trunk, alice = self.world.trunk(), self.world.browser()
        alice.bind()
        mine, bob = self.out(alice, trunk, routes=[("Record-Route", f"<sip:{TRUNK_ADDRESS};lr>")])
        invite = alice.invite("sip:bob@pbx.example.com", ("Replaces", str(name_of(mine))))
        crossed = trunk.request("INVITE")
        self.assertIn("Route", crossed.headers)
        trunk.answer(crossed, 302, headers=[("Contact", "<sip:bob@carrier.example.net:5080>")])
        trunk.heard("ACK")
        carrier = self.world.trunk("192.0.2.7", 5090)
        again = carrier.request("INVITE")
        self.assertEqual(again.headers.lines("Replaces"), crossed.headers.lines("Replaces"))
        self.assertNotIn("Route", again.headers)
        carrier.answer(again, 603)
        carrier.heard("ACK")
        alice.ack(invite, alice.response(603))
        self.bye(mine, bob)


class Large(ReplacingCase):
    """The trunk takes by TCP what is too large for a datagram."""

    trunks = (replace(PBX, transport="udp", tcp_over_mtu=True), CARRIER)

    def test_by_tcp(self) -> None:
        """So it does with an INVITE that is to take the place of a dialog on UDP (RFC 3261 section 18.1.1)."""
        trunk, tcp, alice = self.world.trunk(), self.world.trunk(transport="tcp"), self.world.browser()
        alice.bind()
        mine, bob = self.out(alice, trunk)
        invite = alice.invite("sip:bob@pbx.example.com", ("Replaces", str(name_of(mine))), ("X-Long", "x" * 900))
        crossed = tcp.request("INVITE")
        self.assertIn(bob.call_id, crossed.headers.get("Replaces") or "")
        tcp.answer(crossed, 486)
        tcp.heard("ACK")
        alice.ack(invite, alice.response(486))
        trunk.silent()
        self.bye(mine, bob)
