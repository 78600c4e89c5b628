"""Responses that are malformed: used as far as they can be read, or a log line says that they are not."""

from __future__ import annotations

import re

from tests.call.test_malformed import MalformedCase, adding, replacing
from tests.support.calls.party import outbound
from tests.support.calls.world import PLAIN, Browser, TrunkPeer
from webrtcproxy.sip.message import Request, respond


class Responses(MalformedCase):
    """Nobody can be told that a response is malformed: its sender would repeat it, and the other side wait."""

    def call(self) -> tuple[Browser, TrunkPeer, Request]:
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.invite("sip:bob@pbx.example.com")
        return alice, trunk, trunk.request("INVITE")

    def test_200(self) -> None:
        """A 200 to an INVITE brings the call up, and a warning says what is wrong with it (field.rst M: Malformed
        200)."""
        for change in (
            *(adding(line) for line in (
                f"Content-Length: {len(PLAIN)}", "Content-Length: 3", "Content-Type: application/sdp",
                "c: application/SDP", "Content-Type: text/plain", "To: <sip:x@y>;tag=9", "CSeq: 1 INVITE",
                "CSeq: 9 BYE", "Call-ID: other", "Nonsense", "X Y: z", "Söd: x", "Subject: a\rb", "A: " + "b" * 9000,
            )),
            *(replacing(f"Content-Length: {len(PLAIN)}", text) for text in ("Content-Length: 9999", "l: x")),
            replacing("To: ", 'To: ""x"" '),
            *(replacing("Contact: <sip:callee@192.0.2.50", f"Contact: {text}") for text in (
                '""c"" <sip:callee@192.0.2.50', "<sip:cal lee@192.0.2.50", "<sip:x@, <sip:callee@192.0.2.50",
            )),
            lambda data: re.sub(rb"From: .*?\r\n", b"", data),
        ):  # fmt: skip
            self.fresh()
            alice, trunk, leg = self.call()
            contact = ("Contact", "<sip:callee@192.0.2.50:5060>")
            headers = [contact, ("Content-Type", "application/sdp")]
            lines = self.changed(trunk, respond(leg, 200, to_tag="callee", headers=headers, body=PLAIN), change)
            ack = trunk.request("ACK")
            self.assertEqual((ack.to.tag, ack.cseq.number), ("callee", leg.cseq.number))
            self.assertIn(b"SAVPF", alice.response(200).body)
            self.assertEqual([line.partition(" ")[0] for line in lines], ["warn"], lines)

    def test_ways(self) -> None:
        """A Contact or a Record-Route whose meaning is plain is the way of ACK and BYE."""
        contact = "<sip:callee@192.0.2.50:5060>"
        for header, uri, routes in (
            ("Contact: 192.0.2.50:5060", "sip:192.0.2.50:5060", []),
            ("Contact: 192.0.2.50", "sip:192.0.2.50", []),
            ("Contact: sip:a@192.0.2.50;x=", "sip:a@192.0.2.50", []),
            ("Contact: <sip:192.0.2.50>, <sip:h2>", "sip:192.0.2.50", []),
            ("Contact: <tel:+49>, <sip:a@192.0.2.50:;;x>", "sip:a@192.0.2.50;x", []),
            ("Contact: <sip:@192.0.2.50>", "sip:192.0.2.50", []),
            ("Contact: sip:a@192.0.2.50, ,", "sip:a@192.0.2.50", []),
            *((f"Contact: {contact}\r\nRecord-Route: {text}", contact[1:-1], [route]) for text, route in (
                ("<sip:192.0.2.50;lr>;=;x=", "<sip:192.0.2.50;lr>;x"),
                ("<sip:192.0.2.50;lr=on;;ftag=x>", "<sip:192.0.2.50;lr=on;ftag=x>"),
                ("<sip:192.0.2.50:;lr>", "<sip:192.0.2.50;lr>"),
                ("sip:192.0.2.50;lr", "<sip:192.0.2.50;lr>"),
                ("<sip:192.0.2.50;lr", "<sip:192.0.2.50;lr>"),
                (",,<sip:192.0.2.50;lr>,,", "<sip:192.0.2.50;lr>"),
            )),
        ):  # fmt: skip
            for status in (180, 200):
                self.fresh()
                alice, trunk, leg = self.call()
                more = [("Content-Type", "application/sdp")]
                for code in range(status, 201, 20):
                    answer = respond(leg, code, to_tag="callee", headers=more, body=PLAIN)
                    self.changed(trunk, answer, adding(header))
                    alice.heard(code)
                ack = trunk.request("ACK")
                self.assertEqual((ack.uri, ack.headers.lines("Route")), (uri, routes), header)
                alice.flow.lose()
                self.world.turn(40)
                bye = trunk.request("BYE")
                self.assertEqual((bye.uri, bye.headers.lines("Route")), (uri, routes), header)

    def test_empty_parameters(self) -> None:
        """Empty parameters are nothing, not even for the log (field.rst H: Odd headers)."""
        for change in (replacing(":5060>", ":5060>;;q=1"), replacing(";tag=callee", ";;tag=callee"),
                       adding("Record-Route: <sip:192.0.2.50;lr>;;")):  # fmt: skip
            alice, trunk, leg = self.call()
            headers = [("Contact", "<sip:callee@192.0.2.50:5060>"), ("Content-Type", "application/sdp")]
            lines = self.changed(trunk, respond(leg, 200, to_tag="callee", headers=headers, body=PLAIN), change)
            trunk.heard("ACK")
            alice.heard(200)
            self.assertEqual(lines, [])

    def test_others(self) -> None:
        """Any other status, and the responses to other requests."""
        alice, trunk, leg = self.call()
        self.changed(trunk, respond(leg, 180, to_tag="callee"), adding("Content-Length: 0"))
        alice.heard(180)
        self.changed(trunk, respond(leg, 486, to_tag="callee"), adding("Nonsense", "l: 5", "To: <sip:x@y>;tag=1"))
        trunk.heard("ACK")
        alice.heard(486)
        one, two = outbound(self.world)
        one.ask("BYE")
        bye = two.peer.request("BYE")
        self.changed(two.peer, respond(bye, 200), replacing("Content-Length: 0", "Content-Length: zero"))
        self.assertEqual(self.world.rest(), [])

    def test_cseq(self) -> None:
        """A branch of ours says which request is answered, whatever CSeq is, but for an INVITE and its CANCEL: there a
        warning tells what was heard, and is dropped (RFC 3261 section 17.1.3)."""
        for text in (
            *("1 invite", "1  INVITE", "1\tINVITE", "01 INVITE", "1 INVITE (call)", "1 INVITE;x", "INVITE 1", "INVITE"),
            *("x", "1", "", "-1 INVITE", "99999999999 INVITE", "1 Invite ;", "1INVITE"),
        ):
            self.fresh()
            alice, trunk, leg = self.call()
            headers = [("Contact", "<sip:callee@192.0.2.50:5060>"), ("Content-Type", "application/sdp")]
            ok = respond(leg, 200, to_tag="callee", headers=headers, body=PLAIN)
            lines = self.changed(trunk, ok, replacing("CSeq: 1 INVITE", f"CSeq: {text}"))
            self.assertEqual(trunk.request("ACK").cseq.number, 1, text)
            alice.heard(200)
            self.assertEqual(len(lines), text.split() not in (["1", "INVITE"], ["01", "INVITE"]), (text, lines))
            self.changed(trunk, ok, replacing("CSeq: 1 INVITE", f"CSeq: {text}"))
            self.assertEqual(trunk.request("ACK").cseq.number, 1, "again")
        self.fresh()
        alice, trunk, leg = self.call()
        trunk.answer(leg, 180)
        for text in ("1 BYE", "1 CANCEL", "BYE"):
            lines = self.changed(trunk, respond(leg, 180), replacing("CSeq: 1 INVITE", f"CSeq: {text}"))
            self.assertEqual(lines, [f"warn {leg.call_id}: 180 from 192.0.2.50 is dropped, it is malformed: Bad CSeq"])
        alice.heard(180)
        alice.flow.lose()
        self.world.turn(5)
        cancel = trunk.request("CANCEL")
        for text, count in (("x", 1), ("1", 1), ("", 1), ("1 invite cancel", 1), ("1 cancel", 1)):
            lines = self.changed(trunk, respond(cancel, 200), replacing("CSeq: 1 CANCEL", f"CSeq: {text}"))
            self.assertEqual(len(lines), count, text)
            self.assertEqual("dropped" in lines[0], text != "1 cancel", lines)
        self.changed(trunk, respond(leg, 487, to_tag="callee"), replacing("CSeq: 1 INVITE", "CSeq: 1 invite"))
        trunk.heard("ACK")
        self.assertEqual(self.world.rest(), [])

    def test_status_line(self) -> None:
        """A status line in which the status can be read is one; of any other to a request of ours a warning tells."""
        for text in (
            *(
                "SIP/2.0  200 OK",
                "SIP/2.0\t200\tOK",
                " SIP/2.0 200 OK",
                "SIP/2.0 200",
                "SIP/2.0 200 ",
                "sip/2.0 200 ok",
            ),
            *(
                "SIP/2.1 200 OK",
                "SIP/2.0 200  OK",
                "SIP/2.0 200\tOK",
                "SIP / 2.0 200 OK",
                "SIP/2 200 OK",
                "\tSIP/2.0 200",
            ),
            *("SIP/2.0 200OK", "SIP/3.0 200 OK", " \r\nSIP/2.0 200 OK", "\r\n\r\nSIP/2.0 200 OK"),
        ):
            self.fresh()
            alice, trunk, leg = self.call()
            headers = [("Contact", "<sip:callee@192.0.2.50:5060>"), ("Content-Type", "application/sdp")]
            ok = respond(leg, 200, to_tag="callee", headers=headers, body=PLAIN)
            lines = self.changed(trunk, ok, replacing("SIP/2.0 200 OK", text))
            trunk.heard("ACK")
            self.assertIn(b"SAVPF", alice.response(200).body, text)
            self.assertLessEqual([line.partition(" ")[0] for line in lines], ["warn"], lines)
        for text in ("SIP/2.0 OK", "SIP/2.0 20 OK", "SIP/2.0 700 X", "SIP/2.0 099 X", "SIP/2.0 2000 X", "SIP/2.0 -1 X"):
            lines = self.changed(trunk, ok, replacing("SIP/2.0 200 OK", text))
            self.assertEqual(
                lines,
                [
                    f"warn {leg.call_id}: a response from 192.0.2.50 is dropped, it is malformed:"
                    f" {'Bad Status Line' if text[:8] == 'SIP/2.0 ' else 'Bad Request Line'}"
                ],
            )

    def test_via(self) -> None:
        """The Via is ours if the branch is, and the host where it can be read."""
        for old, new in (
            ("SIP/2.0/UDP", "SIP/2.1/UDP"),
            ("SIP/2.0/UDP", "sip / 2.0 / udp"),
            ("SIP/2.0/UDP", "UDP"),
            (":5060;branch", ";branch"),
            (":5060;branch", ":;branch"),
            (":5060;branch", ":5060 ;; branch"),
            (";branch=", ';x="a;branch='),
            (";branch=", ";Branch = "),
            (";rport", ';branch="'),
        ):
            self.fresh()
            alice, trunk, leg = self.call()
            headers = [("Contact", "<sip:callee@192.0.2.50:5060>"), ("Content-Type", "application/sdp")]
            ok = respond(leg, 200, to_tag="callee", headers=headers, body=PLAIN)
            lines = self.changed(trunk, ok, replacing(old, new))
            self.assertEqual(trunk.pending(), ["ACK"], (old, new, lines))
            alice.heard(200)
        lines = self.changed(trunk, ok, replacing("UDP 192.0.2.1", "UDP 203.0.113.66"))
        self.assertEqual(lines, [f"warn {leg.call_id}: 200 from 192.0.2.50 is dropped, it is malformed: Bad Via"])

    def test_strangers(self) -> None:
        """Of responses to nothing there is no log line: anybody could fill the disk."""
        _, trunk, leg = self.call()
        other = leg.headers.copy()
        other.set("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKwp-guessed")
        lines = self.changed(
            trunk, respond(Request("INVITE", "sip:x@y", other), 200), adding("Nonsense", "CSeq: 1 BYE")
        )
        self.assertEqual(lines, [])
