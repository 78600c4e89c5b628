"""Over which transport a request goes: what is too large for UDP (RFC 3261 section 18.1.1), what has to be secure."""

from __future__ import annotations

from dataclasses import replace

from tests.support.calls.case import CallCase
from tests.support.calls.failing import FIRST, Case, pbx
from tests.support.calls.world import OFFER, PLAIN
from tests.support.configs import PBX
from tests.support.messages import request
from webrtcproxy.transport.flow import Address, Flow


class Large(Case):
    """What is too large for a datagram goes by TCP where the trunk has it (RFC 3261 section 18.1.1)."""

    trunks = (pbx(FIRST, transport="udp", tcp_over_mtu=True),)
    LONG = ("X-Long", "x" * 1000)

    def setUp(self) -> None:
        super().setUp()
        self.tcp = self.world.trunk(FIRST, transport="tcp")

    def test_small(self) -> None:
        """What fits goes by UDP."""
        self.answered_by(self.first, self.call())
        self.tcp.silent()

    def test_large(self) -> None:
        """Via and Contact tell the transport that is used; the dialog stays on it."""
        self.invite = self.alice.invite("sip:bob@pbx.example.com", self.LONG)
        leg = self.tcp.request("INVITE")
        self.assertGreater(len(self.tcp.flow.sent[0]), 1300)
        self.assertEqual((leg.via.transport, leg.via.sent_by), ("TCP", "192.0.2.1:5062"))
        self.assertRegex(leg.headers.get("Contact") or "", r"^<sip:[0-9a-f]+@192\.0\.2\.1:5062;transport=tcp>$")
        self.answered_by(self.tcp, leg)
        self.assert_over(self.alice, self.first, self.tcp)

    def test_edge(self) -> None:
        """1300 octets are the most that goes by UDP, our Via counted; a few octets of reserve are ours."""
        for length in range(200, 1000, 25):
            self.world.browser().invite("sip:bob@pbx.example.com", ("X-Long", "x" * length))
        by_udp, by_tcp = map(len, self.first.flow.sent), map(len, self.tcp.flow.sent)
        self.assertLessEqual(max(by_udp), 1300)
        self.assertGreater(min(by_tcp), 1250)

    def test_refused(self) -> None:
        """TCP is refused: UDP after all, and Via and Contact say so."""
        self.invite = self.alice.invite("sip:bob@pbx.example.com", self.LONG)
        self.tcp.heard("INVITE")
        self.tcp.flow.lose()
        leg = self.first.request("INVITE")
        self.assertEqual((leg.via.transport, leg.via.sent_by), ("UDP", "192.0.2.1:5060"))
        self.assertRegex(leg.headers.get("Contact") or "", r"^<sip:[0-9a-f]+@192\.0\.2\.1:5060>$")
        self.answered_by(self.first, leg)

    def test_refused_a_moment_ago(self) -> None:
        """For half a minute it is UDP at once: nobody waits for TCP again."""
        self.alice.invite("sip:bob@pbx.example.com", self.LONG)
        self.tcp.flow.lose()
        self.first.answer(self.first.request("INVITE"), 486)
        self.first.heard("ACK")
        self.world.browser().invite("sip:bob@pbx.example.com", self.LONG)
        self.first.answer(self.first.request("INVITE"), 486)
        self.world.turn(31)
        self.world.browser().invite("sip:bob@pbx.example.com", self.LONG)
        tcp = self.world.trunk(FIRST, transport="tcp")
        tcp.answer(tcp.request("INVITE"), 486)

    def test_out_of_service(self) -> None:
        """What TCP answers is the answer: the same server is not asked once more."""
        self.invite = self.alice.invite("sip:bob@pbx.example.com", self.LONG)
        self.tcp.answer(self.tcp.request("INVITE"), 503)
        self.alice.heard(500)
        self.first.silent()

    def test_message(self) -> None:
        """A long MESSAGE, which UDP may not carry (RFC 3428 section 8), goes by TCP."""
        long = request("MESSAGE", "sip:bob@pbx.example.com", to="<sip:bob@pbx.example.com>", body=b"x" * 1300)
        self.alice.say(long)
        self.tcp.answer(self.tcp.request("MESSAGE"), 202)
        self.alice.heard(202)

    def test_within_a_dialog(self) -> None:
        """A large request within a dialog that began on UDP: the same, whether TCP is there or not."""
        leg = self.call()
        self.first.answer(leg, 200, PLAIN)
        self.first.heard("ACK")
        ok = self.alice.response(200)
        self.alice.ack(self.invite, ok)
        for cseq, refused in ((2, False), (3, True)):
            self.alice.say(self.alice.inside("INFO", self.invite, ok, cseq=cseq, body=b"x" * 1300))
            peer = self.tcp
            info = peer.request("INFO")
            self.assertRegex(info.headers.get("Contact") or "", r"^<sip:[0-9a-f]+@192\.0\.2\.1:5062;transport=tcp>$")
            if refused:
                peer.flow.lose()
                peer = self.first
                info = peer.request("INFO")
                self.assertRegex(info.headers.get("Contact") or "", r"^<sip:[0-9a-f]+@192\.0\.2\.1:5060>$")
            peer.answer(info, 200)
            self.alice.heard(200)
        self.alice.say(self.alice.inside("BYE", self.invite, ok, cseq=4))
        self.first.answer(self.first.request("BYE"), 200)
        self.alice.heard(200)

    def test_no_consent(self) -> None:
        """Without the trunk's consent it is UDP, whatever the length."""
        self.begin(pbx(FIRST, transport="udp"))
        self.invite = self.alice.invite("sip:bob@pbx.example.com", self.LONG)
        self.answered_by(self.first, self.first.request("INVITE"))


class Secure(CallCase):
    """``sips:`` (RFC 3261 section 26.2.2; corners.rst 1: URI schemes)."""

    trunks = (replace(PBX, transport="tls"),)

    def test_over_tls(self) -> None:
        """It crosses to a trunk with TLS as it is, and our Contact is one (section 8.1.1.8)."""
        alice, trunk = self.world.browser(), self.world.trunk("192.0.2.50", 5061, "tls")
        invite = alice.invite("sips:bob@pbx.example.com")
        self.world.names.known["pbx.example.com"] = "192.0.2.50"
        trunk = next(
            peer for (_, transport), peer in self.world.trunks.items() if transport == "tls" and peer.pending()
        )
        leg = trunk.request("INVITE")
        self.assertEqual((leg.uri, leg.via.transport), ("sips:bob@pbx.example.com", "TLS"))
        self.assertRegex(leg.headers.get("Contact") or "", r"^<sips:[0-9a-f]+@192\.0\.2\.1:5061;transport=tls>$")
        trunk.answer(leg, 200, PLAIN)
        trunk.heard("ACK")
        alice.ack(invite, alice.response(200))

    def test_connection_is_lost(self) -> None:
        """The trunk closes its connection within a call: the BYE goes by a new one to its Contact, and it is the trunk
        that has to be there, though the Contact has an address only."""
        alice = self.world.browser()
        invite = alice.invite("sip:bob@pbx.example.com")
        trunk = next(peer for (_, transport), peer in self.world.trunks.items() if transport == "tls")
        trunk.answer(trunk.request("INVITE"), 200, PLAIN, contact="<sip:bob@192.0.2.50:5061>")
        trunk.heard("ACK")
        ok = alice.response(200)
        alice.ack(invite, ok)
        trunk.flow.lose()
        asked: list[tuple[str, Address, str]] = []
        flow_to = self.world.flow_to

        def noted(transport: str, address: Address, domain: str = "") -> Flow:
            asked.append((transport, address, domain))
            return flow_to(transport, address, domain)

        self.patch(self.world, "flow_to", noted)
        alice.say(alice.inside("BYE", invite, ok))
        self.assertEqual(asked, [("tls", Address("192.0.2.50", 5061), "pbx.example.com")])

    def test_plain_uri(self) -> None:
        """``sip:`` over TLS is fine, too."""
        self.world.browser().invite("sip:bob@pbx.example.com")
        trunk = next(peer for (_, transport), peer in self.world.trunks.items() if transport == "tls")
        leg = trunk.request("INVITE")
        self.assertRegex(leg.headers.get("Contact") or "", r"^<sip:[0-9a-f]+@192\.0\.2\.1:5061;transport=tls>$")
        trunk.answer(leg, 486)

    def test_from_the_trunk(self) -> None:
        """A ``sips:`` INVITE of the trunk's reaches the browser as a plain one, since its library refuses the other;
        the trunk gets a ``sips:`` Contact (section 12.1.1)."""
        alice, trunk = self.world.browser(), self.world.trunk("192.0.2.50", 5061, "tls")
        alice.bind()
        invite = trunk.invite("sips:alice@pbx.example.com")
        leg = alice.request("INVITE")
        self.assertEqual((leg.uri, leg.to.uri), (alice.contact, "sip:alice@pbx.example.com"))
        alice.answer(leg, 200, OFFER)
        alice.heard("ACK")
        ok = trunk.response(200)
        self.assertRegex(ok.headers.get("Contact") or "", r"^<sips:[0-9a-f]+@192\.0\.2\.1:5061;transport=tls>$")
        trunk.ack(invite, ok)

    def test_without_tls(self) -> None:
        """Where the next hop has no TLS, 416; so it is with a scheme that nobody knows (corners.rst 1: URI schemes)."""
        self.trunks = (PBX,)  # type: ignore[misc]
        self.world = self.make_world()
        for uri in ("sips:bob@pbx.example.com", "urn:service:sos"):
            alice = self.world.browser()
            alice.invite(uri)
            alice.heard(416)
