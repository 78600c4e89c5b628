"""Router: what becomes of everything that is no call, within and outside of dialogs."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.configs import PBX
from tests.support.exposition import Readings
from tests.support.messages import request
from webrtcproxy.sip.message import Request, respond


class Outside(CallCase):
    """Requests without a dialog."""

    trunks = (PBX,)

    def ask(self, method: str, **more: object) -> Request:
        self.alice = self.world.browser()
        sent = request(method, "sip:bob@pbx.example.com", **more)  # type: ignore[arg-type]
        self.alice.say(sent)
        return sent

    def test_options(self) -> None:
        """OPTIONS for the proxy is answered with what it can do, browser or trunk: without a user, or at its own
        address for a user that nobody has heard of, as trunks ping
        (original.rst: other methods, OPTIONS, MESSAGE, PUBLISH, NOTIFY, INFO, REFER and unknown ones outside of
        one)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        for uri in ("sip:pbx.example.com", "sip:alice@192.0.2.1:443"):
            alice.say(request("OPTIONS", uri))
            heard = alice.response(200)
            self.assertIn("INVITE", heard.headers.get("Allow") or "")
            self.assertEqual(heard.headers.get("Accept"), "application/sdp")
            self.assertIn("100rel", heard.headers.all("Supported"))
        for uri in ("sip:192.0.2.1", "sip:ping@192.0.2.1:5060"):
            trunk.say(request("OPTIONS", uri))
            self.assertNotIn("REGISTER", trunk.response(200).headers.get("Allow") or "")
        self.assertIn("REGISTER", heard.headers.get("Allow") or "")

    def test_allow(self) -> None:
        """Allow names what crosses."""
        trunk = self.world.trunk()
        trunk.say(request("OPTIONS", "sip:192.0.2.1"))
        allowed = (trunk.response(200).headers.get("Allow") or "").split(", ")
        for method in ("INFO", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "PUBLISH", "REFER", "SUBSCRIBE", "UPDATE"):
            self.assertIn(method, allowed)

    def test_nowhere_to_carry(self) -> None:
        """What a trunk sends to the proxy itself has nowhere to go: 501 with Allow for what is no method, 405 with
        Allow for one that is carried to others. (corners.rst 1: Extensions)"""
        trunk = self.world.trunk()
        trunk.say(request("FROBNICATE", "sip:192.0.2.1"))
        self.assertIn("Allow", trunk.response(501).headers)
        trunk.say(request("MESSAGE", "sip:192.0.2.1"))
        allowed = (trunk.response(405).headers.get("Allow") or "").split(", ")
        self.assertIn("INVITE", allowed)
        self.assertNotIn("MESSAGE", allowed)

    def test_only_within_dialogs(self) -> None:
        """BYE, UPDATE and PRACK are part of a dialog: without one, 481 (RFC 3261 section 15.1.2)."""
        for method in ("BYE", "UPDATE", "PRACK"):
            self.ask(method)
            self.alice.heard(481)

    def test_require(self) -> None:
        """Unknown extensions, of Require and Proxy-Require, are listed in Unsupported (420)."""
        self.ask("INVITE", headers=[("Require", "nothingSupportsThis, 100rel"), ("Proxy-Require", "noProxy")])
        unsupported = self.alice.response(420).headers.get("Unsupported") or ""
        self.assertEqual(unsupported, "nothingSupportsThis, noProxy")

    def test_max_forwards(self) -> None:
        """Nothing left: 483 instead of a second leg (corners.rst 1: Max-Forwards)."""
        self.ask("INVITE", max_forwards=0)
        self.alice.heard(483)

    def test_register_from_a_trunk(self) -> None:
        """Only browsers register through the proxy."""
        trunk = self.world.trunk()
        trunk.say(request("REGISTER", "sip:192.0.2.1"))
        self.assertNotIn("REGISTER", trunk.response(405).headers.get("Allow") or "")

    def test_stranger(self) -> None:
        """Whatever an unknown address sends over UDP, it gets nothing, and nothing is kept of it but a count."""
        readings = Readings(self.world.metrics)
        stranger = self.world.trunk("203.0.113.66")
        for method in ("OPTIONS", "INVITE", "REGISTER", "MESSAGE", "BYE", "CANCEL", "ACK", "FROBNICATE"):
            stranger.say(request(method, "sip:alice@192.0.2.1"))
        stranger.silent()
        self.assertEqual(len(self.world.transactions), 0)
        self.assertEqual(readings.moved(), {'refused_total{reason="unknown_source"}': 8})

    def test_counted(self) -> None:
        """What is refused here is counted, by reason; what is carried or answered is not."""
        readings = Readings(self.world.metrics)
        trunk = self.world.trunk()
        trunk.say(request("OPTIONS", "sip:192.0.2.1"))
        self.assertEqual(readings.moved(), {})
        for method in ("FROBNICATE", "PUBLISH"):
            trunk.say(request(method, "sip:192.0.2.1"))
            self.assertEqual(readings.moved(), {'refused_total{reason="method"}': 1}, method)
        for method, reason, more in (
            ("BYE", "no_dialog", {}),
            ("OPTIONS", "extension", {"headers": [("Require", "nothingSupportsThis")]}),
            ("INVITE", "loop", {"max_forwards": 0}),
        ):
            self.ask(method, **more)
            self.assertEqual(readings.moved(), {f'refused_total{{reason="{reason}"}}': 1}, method)
        broken = request("INVITE", "sip:bob@pbx.example.com")
        broken.headers.set("Contact", "<sip:>")
        self.world.browser().say(broken)
        self.assertEqual(readings.moved(), {'refused_total{reason="malformed"}': 1})

    def test_loop(self) -> None:
        """Our request that comes back unchanged: 482; for another Request-URI it is a spiral, and welcome
        (corners.rst 1: Loop / merge)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        bob = self.world.browser("bob")
        bob.bind()
        alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        back = Request("INVITE", leg.uri, leg.headers.copy(), leg.body)
        back.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.50;branch=z9hG4bKback")
        trunk.say(back)
        trunk.heard(482)
        trunk.call(bob, ("Via", str(leg.via)))
        bob.heard("INVITE")


class Inside(CallCase):
    """Requests within a dialog."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.invite, self.ok = self.up(self.alice, self.trunk)

    def test_info(self) -> None:
        """INFO crosses, body and type, with the far side's true answer (the original throws it away with a 200)
        (original.rst: INFO, media control)."""
        self.alice.say(self.alice.inside("INFO", self.invite, self.ok, body=b"Signal=5\r\n"))
        info = self.trunk.request("INFO")
        self.assertEqual((info.body, info.content_type), (b"Signal=5\r\n", "application/dtmf-relay"))
        self.assertEqual(info.cseq.number, self.leg.cseq.number + 1)
        self.trunk.answer(info, 415, reason="No Such Digit", headers=[("Accept", "application/dtmf")])
        heard = self.alice.response(415)
        self.assertEqual((heard.reason, heard.headers.get("Accept")), ("No Such Digit", "application/dtmf"))

    def test_trickle(self) -> None:
        """Candidates in INFO are addresses of one side, and their ICE password is nobody's else: no such package is
        wanted here, and nothing fails on them (corners.rst 3: Trickle; RFC 8840; field.rst X4: Description outside of
        offer and answer)."""
        body = b"a=ice-pwd:secret\r\na=candidate:1 1 UDP 1 192.0.2.3 9 typ host\r\n"
        info = self.alice.inside("INFO", self.invite, self.ok, body=body)
        info.headers.set("Content-Type", "application/trickle-ice-sdpfrag")
        info.headers.set("Info-Package", "trickle-ice")
        self.alice.say(info)
        self.trunk.silent()
        self.assertEqual([""], self.alice.response(469).headers.lines("Recv-Info"))

    def test_answer_with_a_body(self) -> None:
        """The body of an answer crosses with its type, one without a type as octets (RFC 3261 section 20.15)."""
        for kind, heard in (("text/plain", "text/plain"), ("", "application/octet-stream")):
            self.alice.say(self.alice.inside("INFO", self.invite, self.ok, cseq=2 if kind else 3))
            info = self.trunk.request("INFO")
            headers = [("Content-Type", kind)] if kind else []
            self.trunk.say(respond(info, 200, headers=headers, body=b"hello"))
            answer = self.alice.response(200)
            self.assertEqual((answer.body, answer.headers.lines("Content-Type")), (b"hello", [heard]))

    def test_message_from_the_trunk(self) -> None:
        """And the other way."""
        self.trunk.say(self.callee_request("MESSAGE", headers=[("Content-Type", "text/plain")], body=b"hi"))
        message = self.alice.request("MESSAGE")
        self.assertEqual((message.body, message.uri), (b"hi", self.alice.contact))
        self.alice.answer(message, 202)
        self.trunk.heard(202)

    def test_gone(self) -> None:
        """481 from the far side ends the dialog there, and the call with it (RFC 5057)."""
        self.alice.say(self.alice.inside("INFO", self.invite, self.ok))
        self.trunk.answer(self.trunk.request("INFO"), 481)
        self.alice.heard(481)
        self.alice.answer(self.alice.request("BYE"), 200)
        self.assert_over(self.alice, self.trunk)

    def test_silent_far_side(self) -> None:
        """No answer at all: 100 after 3.5 s, then the call ends; no 408 is made up for a non-INVITE (RFC 4320)."""
        self.alice.say(self.alice.inside("INFO", self.invite, self.ok))
        for _ in range(60):
            self.world.turn(0.5)
        self.alice.heard(100)
        self.alice.heard(504)
        self.alice.heard("BYE")

    def test_options(self) -> None:
        """OPTIONS within a dialog shows that it lives."""
        self.trunk.say(self.callee_request("OPTIONS"))
        self.trunk.heard(200)

    def test_unknown_dialog(self) -> None:
        """481 for a tag of one's own making (corners.rst 1: BYE before ACK)."""
        for method in ("BYE", "INFO", "OPTIONS", "INVITE"):
            self.alice.say(request(method, "sip:x@192.0.2.1", to="<sip:x@y>;tag=made-up"))
        self.assertEqual(self.alice.pending(), ["481"] * 4)

    def test_tags_of_another_transport(self) -> None:
        """The tags of a browser's dialog count for nothing over UDP: silence for a stranger, 481 for a trunk."""
        stranger = self.world.trunk("203.0.113.66")
        stranger.say(self.alice.inside("BYE", self.invite, self.ok))
        stranger.silent()
        self.trunk.say(self.alice.inside("BYE", self.invite, self.ok))
        self.trunk.heard(481)
        self.assertEqual(len(self.world.calls), 1)

    def test_cseq(self) -> None:
        """A CSeq below the last one: 500 (section 12.2.2)."""
        self.alice.say(self.alice.inside("INFO", self.invite, self.ok, cseq=9))
        self.trunk.answer(self.trunk.request("INFO"), 200)
        self.alice.heard(200)
        self.alice.say(self.alice.inside("INFO", self.invite, self.ok, cseq=8))
        self.alice.heard(500)

    def test_stop(self) -> None:
        """The proxy stops: both sides get BYE."""
        done = self.world.calls.stop()
        self.trunk.answer(self.trunk.request("BYE"), 200)
        self.alice.answer(self.alice.request("BYE"), 200)
        self.assertIsNone(self.successResultOf(done))

    def test_stop_while_ringing(self) -> None:
        """A call that is not up gets 503, and the other side stops ringing."""
        bert = self.world.browser("bert")
        bert.invite("sip:bob@pbx.example.com")
        leg = self.trunk.request("INVITE")
        self.trunk.answer(leg, 180)
        bert.heard(180)
        self.world.calls.stop()
        bert.heard(503)
        self.world.turn()
        self.assertIn("CANCEL", self.trunk.pending())
