"""Requests outside of dialogs, and their true answers, both ways."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.calls.world import OFFER, PLAIN, Browser, Peer
from tests.support.configs import CARRIER, PBX
from tests.support.messages import request
from webrtcproxy.config import Trunk
from webrtcproxy.routing.admission import MAX_REQUESTS_PER_CONNECTION
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.sip.message import Request, respond

METHODS = ("MESSAGE", "PUBLISH", "OPTIONS", "INFO", "NOTIFY", "FROBNICATE")
BOB = "sip:bob@pbx.example.com"
CHALLENGE = ("WWW-Authenticate", 'Digest realm="carrier", nonce="n1", qop="auth"')


class Out(CallCase):
    """From a browser to a trunk. (original.rst: OPTIONS, MESSAGE, PUBLISH, NOTIFY, INFO)"""

    trunks = (PBX, CARRIER)

    def send(self, method: str, uri: str = BOB, alice: Browser | None = None, **more: object) -> Request:
        """A request of a browser's."""
        self.alice = alice or self.world.browser()
        more.setdefault("from_", f"<{self.alice.uri}>")
        sent = request(method, uri, to=f"<{uri}>", **more)  # type: ignore[arg-type]
        self.alice.say(sent)
        return sent

    def test_crosses(self) -> None:
        """Request-URI, users of From and To, body and foreign headers cross; what is of a leg is the proxy's own."""
        trunk = self.world.trunk()
        for method in METHODS:
            headers = [
                ("X-Room", "5"),
                ("Event", "presence"),
                ("Supported", "timer, nice"),
                ("Content-Encoding", "gzip"),
            ]
            sent = self.send(method, headers=headers, body=b"hello", content_type="text/plain", max_forwards=20)
            leg = trunk.request(method)
            self.assertEqual((leg.uri, leg.body, leg.content_type), (BOB, b"hello", "text/plain"))
            self.assertEqual((leg.from_.uri, leg.to.uri, leg.to.tag), (sent.from_.uri, BOB, None))
            self.assertEqual(
                (leg.max_forwards, leg.headers.get("X-Room"), leg.headers.get("Supported")), (19, "5", "nice")
            )
            self.assertEqual(leg.headers.get("Content-Encoding"), "gzip")
            self.assertNotIn("Contact", leg.headers)  # RFC 3428 section 4
            self.assertNotEqual((leg.call_id, leg.from_.tag), (sent.call_id, sent.from_.tag))
            self.assertEqual(len(leg.headers.lines("Via")), 1)
            trunk.answer(leg, 202, headers=[("X-Id", "7"), ("Allow", "MESSAGE, FOO")])
            heard = self.alice.response(202)
            self.assertEqual((heard.headers.get("X-Id"), heard.headers.get("Allow")), ("7", "MESSAGE, FOO"))
            self.assertEqual((heard.call_id, heard.cseq), (sent.call_id, sent.cseq))
            self.alice.silent()

    def test_transport_of_browsers(self) -> None:
        """``transport=ws`` that a browser writes into its addresses says nothing to a trunk (RFC 7118 section 5.2):
        some servers answer 500 to it."""
        trunk, alice = self.world.trunk(), self.world.browser()
        for method in (*METHODS, "SUBSCRIBE"):
            more = [("Event", "presence"), ("Contact", f"<{alice.contact}>")] if method == "SUBSCRIBE" else []
            from_ = f"<{alice.uri};transport=ws>"
            self.send(method, f"{BOB};transport=wss", alice, from_=from_, headers=more)
            leg = trunk.request(method)
            self.assertEqual((leg.uri, leg.to.uri, leg.from_.uri), (BOB, BOB, alice.uri))
            trunk.answer(leg, 403)
            alice.heard(403)

    def test_descriptions(self) -> None:
        """A 200 to OPTIONS says nothing of the media of the far side, which are not those that the proxy would offer;
        nor does an OPTIONS. Another request that describes media is not delivered, and refused (field.rst X4:
        Description outside of offer and answer)."""
        trunk = self.world.trunk()
        self.send("OPTIONS", body=OFFER, content_type="application/sdp")
        leg = trunk.request("OPTIONS")
        self.assertEqual((leg.body, leg.content_type), (b"", ""))
        trunk.answer(leg, 200, PLAIN)
        heard = self.alice.response(200)
        self.assertEqual((heard.body, heard.content_type), (b"", ""))
        self.send("MESSAGE", body=OFFER, content_type="application/sdp")
        self.alice.heard(415)
        trunk.silent()

    def test_refused(self) -> None:
        """Whatever the far side says is what the browser hears, the headers that explain it too; a redirection with its
        Contacts. (corners.rst 4: 3428 MESSAGE)"""
        trunk = self.world.trunk()
        for status, header in (
            (415, ("Accept", "text/plain")),
            (405, ("Allow", "INVITE")),
            (420, ("Unsupported", "nice")),
            (404, ("Reason", "Q.850;cause=1")),
            (302, ("Contact", "<sip:bob@elsewhere.example>")),
            (603, ("Retry-After", "5")),
        ):
            self.send("MESSAGE")
            trunk.answer(trunk.request("MESSAGE"), status, reason="My Words", headers=[header])
            heard = self.alice.response(status)
            self.assertEqual((heard.reason, heard.headers.get(header[0])), ("My Words", header[1]))

    def test_publish(self) -> None:
        """A PUBLISH keeps its entity tag, the 412 of a lost one crosses. (corners.rst 4: 3856/3903)"""
        trunk = self.world.trunk()
        self.send("PUBLISH", headers=[("Event", "presence"), ("Expires", "600")], body=b"<presence/>")
        leg = trunk.request("PUBLISH")
        self.assertEqual((leg.headers.get("Event"), leg.headers.get("Expires")), ("presence", "600"))
        trunk.answer(leg, 200, headers=[("SIP-ETag", "dx200"), ("Expires", "300")])
        heard = self.alice.response(200)
        self.assertEqual((heard.headers.get("SIP-ETag"), heard.headers.get("Expires")), ("dx200", "300"))
        self.send("PUBLISH", headers=[("Event", "presence"), ("SIP-If-Match", "dx200")])
        leg = trunk.request("PUBLISH")
        self.assertEqual(leg.headers.get("SIP-If-Match"), "dx200")
        trunk.answer(leg, 412)
        self.alice.heard(412)

    def test_unable(self) -> None:
        """503 of the far side is no 503 of the proxy's (RFC 3261 section 16.7); its 408 becomes 504, since there must
        be no 408 to a request other than INVITE (RFC 4320). (corners.rst 1: 503 from upstream, Non-INVITE 408)"""
        for status, heard in ((503, 500), (408, 504)):
            self.send("MESSAGE")
            self.world.trunk().answer(self.world.trunk().request("MESSAGE"), status)
            self.alice.heard(heard)

    def test_silent(self) -> None:
        """A trunk that says nothing: 100 once it is late, 504 before the browser gives up, nothing after that."""
        self.send("MESSAGE")
        self.world.turn(29.9)
        self.assertEqual(self.alice.pending(), ["100"])
        self.world.turn(0.2)
        self.assertEqual(self.alice.pending(), ["100", "504"])
        self.world.turn(60)
        self.assertEqual(self.alice.pending(), ["100", "504"])
        self.alice.forget()

    def test_policy(self) -> None:
        """Where an INVITE may not go, nothing else may: 403 for the destination, 404 for tel: without a trunk, 416."""
        for uri, status in (("sip:bob@elsewhere.example", 403), ("sips:bob@pbx.example.com", 416)):
            self.send("MESSAGE", uri)
            self.alice.heard(status)
        self.assertEqual(self.world.trunks, {})

    def test_hops(self) -> None:
        """Max-Forwards 0: 483."""
        self.send("MESSAGE", max_forwards=0)
        self.alice.heard(483)

    def test_loop(self) -> None:
        """Our request that comes back unchanged: 482. (corners.rst 1: Loop / merge)"""
        self.send("MESSAGE")
        trunk = self.world.trunk()
        leg = trunk.request("MESSAGE")
        back = Request("MESSAGE", leg.uri, leg.headers.copy(), leg.body)
        back.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.50;branch=z9hG4bKback")
        trunk.say(back)
        trunk.heard(482)
        trunk.answer(leg, 200)
        self.alice.heard(200)

    def test_no_way(self) -> None:
        """A trunk that can't be reached: 502."""
        self.world.unreachable = True
        self.send("MESSAGE")
        self.alice.heard(502)

    def test_no_name(self) -> None:
        """A trunk whose name can't be resolved: what the resolver says."""
        self.world.names.known.clear()
        self.send("MESSAGE")
        self.alice.heard(502)

    def test_size(self) -> None:
        """A MESSAGE that UDP would have to fragment is not sent: 513 (RFC 3428 section 8). Others are not limited, and
        what fits is sent. (corners.rst 4: 3428 MESSAGE)"""
        self.send("MESSAGE", body=b"x" * 900)
        self.world.trunk().answer(self.world.trunk().request("MESSAGE"), 200)
        self.alice.heard(200)
        self.send("MESSAGE", body=b"x" * 1300)
        self.alice.heard(513)
        self.send("PUBLISH", body=b"x" * 1300)
        self.world.trunk().answer(self.world.trunk().request("PUBLISH"), 200)
        self.alice.heard(200)

    def test_challenge_crosses(self) -> None:
        """A challenge that is not the proxy's crosses. The retry is one sequence with the first try: same Call-ID and
        From tag, CSeq counts on, and the Request-URI that the digest was made for (RFC 3261 section 22.2)."""
        trunk = self.world.trunk()
        for method in METHODS:
            sent = self.send(method)
            leg = trunk.request(method)
            trunk.answer(leg, 401, headers=[CHALLENGE])
            self.assertEqual(self.alice.response(401).headers.get("WWW-Authenticate"), CHALLENGE[1])
            self.send(
                method,
                alice=self.alice,
                call_id=sent.call_id,
                cseq=2,
                headers=[("Authorization", "Digest username=me")],
            )
            again = trunk.request(method)
            self.assertEqual(again.headers.get("Authorization"), "Digest username=me")
            self.assertEqual((again.call_id, again.from_.tag), (leg.call_id, leg.from_.tag))
            self.assertEqual((again.cseq.number, again.uri), (leg.cseq.number + 1, BOB))
            self.assertEqual(len(self.world.context.sequences), 1)
            trunk.answer(again, 200)
            self.alice.heard(200)
            self.assertEqual(len(self.world.context.sequences), 0)

    def test_several_challenges(self) -> None:
        """Of several challenges the one that browsers know comes last: it is what they look at."""
        trunk = self.world.trunk()
        self.send("MESSAGE")
        modern = ("WWW-Authenticate", 'Digest realm="carrier", nonce="n1", algorithm=SHA-256')
        trunk.answer(trunk.request("MESSAGE"), 401, headers=[CHALLENGE, modern])
        self.assertEqual(self.alice.response(401).headers.lines("WWW-Authenticate"), [modern[1], CHALLENGE[1]])

    def test_credentials(self) -> None:
        """A browser that has registered may use the trunk's account: the proxy answers the challenge."""
        alice = self.world.browser()
        alice.bind()
        alice.authenticate(CARRIER)
        self.send("MESSAGE", "sip:bob@carrier.example.net:5080", alice=alice)
        carrier = self.world.trunk("192.0.2.7", 5090)
        leg = carrier.request("MESSAGE")
        carrier.answer(leg, 401, headers=[CHALLENGE])
        again = carrier.request("MESSAGE")
        self.assertIn('username="us"', again.headers.get("Authorization") or "")
        self.assertEqual((again.call_id, again.cseq.number), (leg.call_id, leg.cseq.number + 1))
        carrier.answer(again, 200)
        alice.heard(200)

    def test_credentials_of_others(self) -> None:
        """One that has not may not: the challenge is its."""
        self.send("MESSAGE", "sip:bob@carrier.example.net:5080")
        carrier = self.world.trunk("192.0.2.7", 5090)
        carrier.answer(carrier.request("MESSAGE"), 401, headers=[CHALLENGE])
        self.alice.heard(401)

    def test_credentials_refused(self) -> None:
        """A trunk that refuses its own credentials: 502, for the browser can't help it."""
        alice = self.world.browser()
        alice.bind()
        alice.authenticate(CARRIER)
        self.send("MESSAGE", "sip:bob@carrier.example.net:5080", alice=alice)
        carrier = self.world.trunk("192.0.2.7", 5090)
        for _ in range(2):
            carrier.answer(carrier.request("MESSAGE"), 401, headers=[CHALLENGE])
        alice.heard(502)

    def test_too_many(self) -> None:
        """So many may wait for an answer, few for a browser that has not registered; then 503. An answer makes room."""
        trunk = self.world.trunk()
        for proven, most in ((False, 3), (True, MAX_REQUESTS_PER_CONNECTION)):
            alice = self.world.browser()
            if proven:
                alice.bind()
            for _ in range(most):
                self.send("MESSAGE", alice=alice)
            legs = [trunk.request("MESSAGE") for _ in range(most)]
            self.send("MESSAGE", alice=alice)
            self.assertEqual(alice.response(503).headers.get("Retry-After"), "10")
            trunk.answer(legs.pop(), 200)
            alice.heard(200)
            self.send("MESSAGE", alice=alice)
            for leg in (*legs, trunk.request("MESSAGE")):
                trunk.answer(leg, 200)
                alice.heard(200)

    def test_socket_lost(self) -> None:
        """A browser that is gone gets no answer, and nothing of it stays."""
        self.send("MESSAGE")
        self.alice.flow.lose()
        trunk = self.world.trunk()
        trunk.answer(trunk.request("MESSAGE"), 200)
        self.assertEqual(len(self.world.out_of_dialog), 0)


class Faults(CallCase):
    """Nothing that goes wrong with one stays without an answer."""

    trunks: tuple[Trunk, ...] = (PBX,)

    def answered(self, alice: Peer) -> str:
        alice.say(request("MESSAGE", BOB))
        return alice.pending()[-1]

    def test_udp_full(self) -> None:
        """A datagram that the kernel refuses: 502."""
        self.world.trunk().flow.broken = True
        self.assertEqual(self.answered(self.world.browser()), "502")
        self.assertRaises(FlowLost, self.world.trunk().flow.send, b"")

    def test_fault_of_ours(self) -> None:
        """An exception: 500, and a log line."""
        self.patch(self.world.trunk().flow, "via_transport", "UDP\n")  # a request can't be written
        self.assertEqual(self.answered(self.world.browser()), "500")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_odd_answer(self) -> None:
        """An answer with a header that can't be read gets an answer all the same."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.say(request("MESSAGE", BOB))
        trunk.say(respond(trunk.request("MESSAGE"), 200, headers=[("Supported", '"x')]))
        self.assertEqual(len(alice.pending()), 1)
