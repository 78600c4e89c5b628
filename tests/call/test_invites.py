"""What INVITEs and what is said to them may bring, and the call takes it in its stride."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from tests.support.calls.case import CallCase
from tests.support.calls.world import OFFER, PLAIN, World
from tests.support.configs import CARRIER, PBX
from webrtcproxy.registration.binding import contact_user_of
from webrtcproxy.sip.headers import NameAddr


class Out(CallCase):
    """A browser calls."""

    trunks = (PBX,)

    def test_repeated(self) -> None:
        """An INVITE that comes three times is one: rtpengine is asked once, the trunk is called once
        (corners.rst 1: Retransmitted INVITE; RFC 3261 section 17.2.1)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        alice.say(invite)
        trunk.answer(leg, 180)
        alice.say(invite)
        self.assertEqual(["100", "180", "180"], alice.pending())
        trunk.silent()
        self.assertEqual(["offer"], [command for command, _ in self.world.nodes.log])

    def test_body_of_several_parts(self) -> None:
        """The SDP within multipart/mixed is the offer, and goes on alone; parts that only the browser's side
        understands stay there (corners.rst 1: Body types; RFC 5621)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        place = b"--x\r\nContent-Type: application/pidf+xml\r\n\r\n<presence/>\r\n"
        body = place + b"--x\r\nContent-Type: application/sdp\r\n\r\n" + OFFER + b"\r\n--x--\r\n"
        self.patch(alice, "content_type", "multipart/mixed;boundary=x")
        self.patch(alice, "sdp", body)
        alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        self.assertEqual("application/sdp", leg.headers.get("Content-Type"))
        self.assertEqual(OFFER, self.world.nodes.sessions[0].operations[0].sdp)
        self.assertNotIn(b"presence", leg.body)

    def test_strict_router(self) -> None:
        """Two hops in the route set, the nearer one without `lr`: it is the Request-URI of the ACK, the target the last
        Route (corners.rst 1: Loose routing; RFC 3261 section 12.2.1.1)."""
        alice, trunk, hop = self.world.browser(), self.world.trunk(), self.world.trunk("192.0.2.60")
        invite = alice.invite("sip:bob@pbx.example.com")
        routes = [("Record-Route", "<sip:192.0.2.61;lr>"), ("Record-Route", "<sip:192.0.2.60>")]
        trunk.answer(trunk.request("INVITE"), 200, PLAIN, headers=routes)
        ack = hop.request("ACK")
        self.assertEqual("sip:192.0.2.60", ack.uri)
        self.assertEqual(["<sip:192.0.2.61;lr>", "<sip:callee@192.0.2.50:5060>"], ack.headers.all("Route"))
        alice.ack(invite, alice.response(200))

    def test_200_with_another_answer(self) -> None:
        """SDP in an unreliable 18x is a preview: other SDP in the 200 of the same dialog is the answer
        (corners.rst 3: Answer in 18x and 200; RFC 3261 section 13.2.1)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        trunk.answer(leg, 183, PLAIN)
        alice.heard(183)
        other = PLAIN.replace(b"50000", b"50002")
        trunk.answer(leg, 200, other)
        trunk.heard("ACK")
        last = self.world.nodes.sessions[0].operations[-1]
        self.assertEqual(("answer", other), (last.command, last.sdp))
        self.assertIn(b"m=audio 30006 ", alice.response(200).body)

    def test_cancel_may_require(self) -> None:
        """Require of a CANCEL or an ACK is not looked at: there is nothing that could be refused by it
        (corners.rst 1: Extensions; RFC 3261 section 8.2.2.3)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        trunk.answer(leg, 180)
        alice.heard(180)
        alice.cancel(invite, ("Require", "nothing-we-know"))
        self.assertEqual(["200", "487"], sorted(alice.pending()))
        self.world.turn()
        cancel = trunk.request("CANCEL")
        self.assertNotIn("Require", cancel.headers)
        trunk.answer(cancel, 200)
        trunk.answer(leg, 487)
        trunk.heard("ACK")

    def test_ack_may_require(self) -> None:
        """The same of an ACK: the call is up, and the 200 is not repeated."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com")
        trunk.answer(trunk.request("INVITE"), 200, PLAIN)
        trunk.heard("ACK")
        ack = alice.inside("ACK", invite, alice.response(200), cseq=1)
        ack.headers.add("Require", "nothing-we-know")
        alice.say(ack)
        self.world.turn(10)
        alice.silent()


class In(CallCase):
    """A trunk calls."""

    trunks = (PBX,)

    def test_tel(self) -> None:
        """An INVITE to a telephone number is for the browser of that number at the trunk, however it is grouped, and
        harms nobody where there is none (original.rst: INVITE to `tel:` URI; RFC 3966)."""
        alice, trunk = self.world.browser("+493012345"), self.world.trunk()
        alice.bind()
        trunk.invite("tel:+49-30-12345")
        leg = alice.request("INVITE")
        self.assertEqual(alice.contact, leg.uri)
        alice.answer(leg, 486)
        trunk.heard(486)
        trunk.invite("tel:+49-30-99999")
        trunk.heard(404)

    def test_user_of_another_trunk(self) -> None:
        """A trunk calls the users that have registered at it, and no others, by name or by our Contact (which is no
        secret); with an address that two of them have, those of both (docs/access.rst: Which users may a trunk
        call)."""
        overlapping = replace(PBX, sources=(ip_network("192.0.2.7/32"), ip_network("192.0.2.50/32")))
        for trunks, called in (((PBX, CARRIER), False), ((overlapping, CARRIER), True)):
            self.world = World(*trunks)
            self.worlds.append(self.world)
            alice, carrier = self.world.browser(), self.world.trunk("192.0.2.7")
            alice.bind()
            for uri in ("sip:alice@pbx.example.com", f"sip:{contact_user_of(alice.aor)}@192.0.2.1"):
                carrier.invite(uri)
                if called:
                    alice.answer(alice.request("INVITE"), 486)
                    alice.heard("ACK")
                carrier.heard(486 if called else 404)
                alice.silent()

    def test_transport_of_our_contact(self) -> None:
        """Towards a browser our Contact says `ws`, whatever the browser's own says; never `wss`, which is no transport
        (corners.rst 2: URI param; RFC 7118 section 5.2.3)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        self.patch(alice, "contact", "sip:alice@browser.invalid;transport=wss")
        alice.bind()
        trunk.call(alice)
        leg = alice.request("INVITE")
        contact = NameAddr.parse(leg.headers.get("Contact") or "").address
        self.assertEqual("ws", contact.param("transport"))
        self.assertEqual("sip:alice@browser.invalid;transport=wss", leg.uri)
        alice.answer(leg, 486)


class Written(CallCase):
    """What we write ourselves, where browsers read it."""

    trunks = (PBX,)

    def test_no_odd_parameters(self) -> None:
        """No quotes, and no `=` within a value, in the parameters of our URI: SIP.js drops such a response
        (corners.rst 1: Output grammar; SIP.js#419, SIP.js#593)."""
        bob, alice, trunk = self.world.browser("bob"), self.world.browser(), self.world.trunk()
        bob.bind()
        trunk.call(bob)
        called = bob.request("INVITE")
        bob.answer(called, 486)
        trunk.heard(486)
        alice.invite("sip:carol@pbx.example.com")
        trunk.answer(trunk.request("INVITE"), 200, PLAIN)
        for message in (called, alice.response(200)):
            for name, value in NameAddr.parse(message.headers.get("Contact") or "").address.params:
                self.assertNotRegex(f"{name} {value}", '["=]')
