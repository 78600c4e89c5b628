"""What decides nothing kills nothing: requests and responses that are malformed where it does not matter, as trunks
send them. Nothing of the call is lost, and a log line says so."""

from __future__ import annotations

import re
from collections.abc import Callable

from twisted.logger import capturedLogs, formatEvent

from tests.support.calls.case import CallCase
from tests.support.calls.party import Party, inbound, outbound, party_of
from tests.support.calls.world import OFFER, PLAIN, Browser, Peer, TrunkPeer
from tests.support.configs import PBX
from webrtcproxy.registration.binding import contact_user_of
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Headers, Message, Request, Response, read

Change = Callable[[bytes], bytes]


def adding(*lines: str) -> Change:
    """Puts header lines behind the others."""
    return lambda data: data.replace(b"\r\n\r\n", "\r\n".join(["", *lines, "", ""]).encode(), 1)


def replacing(old: str, new: str) -> Change:
    """Replaces text once."""

    def change(data: bytes) -> bytes:
        assert old.encode() in data, data
        return data.replace(old.encode(), new.encode(), 1)

    return change


IN_DIALOG: dict[str, Change] = {
    "display name in quotes twice": replacing("From: ", 'From: ""x"" '),
    "quote left open": replacing("From: ", 'From: "x '),
    "empty parameter": replacing(";tag=", ";;tag="),
    "parameter of To left open": lambda data: data.replace(b"\r\nCall-ID", b';x="a\r\nCall-ID', 1),
    "Via with an empty parameter": replacing(";branch", ";;branch"),
    "Via with an empty port": replacing(";branch", ":;branch"),
    "Via with a quote left open": replacing(";branch", ';x="a;branch'),
    "Via of another version": replacing("SIP/2.0/UDP", "SIP/2.1/UDP"),
    "tag without its semicolon": replacing(">;tag=", ">tag="),
    "tag in quotes": lambda data: re.sub(rb"tag=([^;\r]+)", rb'tag="\1"', data),
    "CSeq in another case": lambda data: re.sub(rb"CSeq: [^\r]+", lambda found: b"CSeq:" + found[0][5:].lower(), data),
    "CSeq with a comment": lambda data: re.sub(rb"CSeq: [^\r]+", rb"\g<0> (x)", data),
    "Request-URI": replacing(" SIP/2.0\r\n", ";;x= SIP/2.0\r\n"),
    "lower Via": lambda data: data.replace(b"\r\nMax", b'\r\nVia: SIP/2.0/UDP h;x="a\r\nMax', 1),
    "Contact": adding("Contact: <<"),
    "Expires": adding("Expires: Thu, 01 Dec 2027 16:00:00 GMT"),
    "Max-Forwards": replacing("Max-Forwards: 70", "Max-Forwards: 300"),
    "Max-Forwards twice": adding("Max-Forwards: 69"),
    "Content-Length twice": adding("Content-Length: 0"),
    "Content-Length differs": adding("l: 7"),
    "Content-Length too large": replacing("Content-Length: 0", "Content-Length: 10"),
    "Content-Length no number": replacing("Content-Length: 0", "Content-Length: none"),
    "no colon": adding("Nonsense"),
    "blank in a name": adding("X Y: z"),
    "name not ASCII": adding("Söd: x"),
    "CR in a line": adding("Subject: a\rb"),
    "no end": lambda data: data[:-2],
}


UNREAD = frozenset(
    {"tag in quotes", "Contact", "Request-URI", "lower Via", "empty parameter", "Via with an empty parameter"}
)
"""Those that are not even looked at, or mean nothing."""
UNREAD_IN_ACK = frozenset({"Expires", "Max-Forwards", "CSeq in another case"})
FRAMING = frozenset({"Content-Length differs", "Content-Length too large", "CR in a line", "no end"})
"""Those by which the end of the message, or of a header, is in doubt: only what ends something is used all the same."""


def invite_of(ok: Response) -> Request:
    """The INVITE of a 200, as far as a request within the dialog needs it."""
    return Request("INVITE", "", ok.headers.copy())


class MalformedCase(CallCase):
    """A proxy, and octets into it."""

    trunks = (PBX,)

    def octets(self, peer: Peer, data: bytes) -> None:
        """Datagrams of `peer`, as the transport reads them."""
        try:
            message = read(data)
        except BadMessage as error:
            self.world.transactions.bad_message(error, peer.flow)
        else:
            self.world.transactions.message_received(message, peer.flow)

    def changed(self, peer: Peer, message: Message, change: Change) -> list[str]:
        """Send a message that is malformed; the log lines that say so, without those of the call."""
        with capturedLogs() as events:
            self.octets(peer, change(message.to_bytes()))
        lines = [f"{event['log_level'].name} {formatEvent(event)}" for event in events]
        return [line for line in lines if "malformed" in line or "refused" in line]

    def fresh(self) -> None:
        """Another proxy, for the next input."""
        self.world = self.make_world()


def within(party: Party, method: str) -> Request:
    """The next request within the dialog of `party`, not sent."""
    party.cseq += 1
    headers = Headers([
        *(("Via", f"SIP/2.0/UDP {party.peer.flow.peer.host};branch=z9hG4bK{method}"), ("Max-Forwards", "70")),
        *(("From", party.local), ("To", party.remote), ("Call-ID", party.call_id), ("CSeq", f"{party.cseq} {method}")),
    ])  # fmt: skip
    return Request(method, party.target, headers)


class Within(MalformedCase):
    """BYE, ACK and CANCEL of a trunk: what they end is paid for by the minute."""

    def test_bye(self) -> None:
        """A BYE ends the call, whichever side has called, and a log line says what is wrong with it."""
        for name, change in IN_DIALOG.items():
            for way in (outbound, inbound):
                self.fresh()
                one, two = way(self.world)
                trunk, browser = (two, one) if way is outbound else (one, two)
                lines = self.changed(trunk.peer, within(trunk, "BYE"), change)
                self.assertEqual((trunk.peer.pending(), browser.peer.pending()), (["200"], ["BYE"]), name)
                browser.answer(browser.peer.request("BYE"), 200)
                self.assertEqual(len(lines), 0 if name in UNREAD else 1, (name, lines))
                self.assertTrue(all(line.startswith("info " + trunk.call_id) for line in lines), lines)

    def test_require_of_a_bye(self) -> None:
        """What is no option tag is not required of a BYE: the call that it ends costs money."""
        for text, count in (('<"', 1), ("timer foo", 1), ('"', 1), (";", 1), (",,", 0), ("", 0)):
            self.fresh()
            one, two = outbound(self.world)
            lines = self.changed(two.peer, within(two, "BYE"), adding(f"Require: {text}"))
            self.assertEqual((two.peer.pending(), len(lines)), (["200"], count), text)
            one.answer(one.peer.request("BYE"), 200)

    def test_ack(self) -> None:
        """An ACK acknowledges the 200, which is not repeated."""
        for name, change in IN_DIALOG.items():
            self.fresh()
            alice, trunk = self.world.browser(), self.world.trunk()
            alice.bind()
            invite = trunk.call(alice)
            alice.answer(alice.request("INVITE"), 200, OFFER.replace(b"actpass", b"active"))
            ok = trunk.response(200)
            ack = trunk.inside("ACK", invite, ok, cseq=1)
            lines = self.changed(trunk, ack, change)
            self.world.turn(40)
            self.assertEqual(trunk.pending(), [], name)
            self.assertEqual(len(lines), 0 if name in {*UNREAD, *UNREAD_IN_ACK} else 1, (name, lines))
            alice.forget()
            trunk.say(within(party_of(trunk, invite, ok), "BYE"))
            alice.answer(alice.request("BYE"), 200)

    def test_odd_ack(self) -> None:
        """So does one whose request line or CSeq number can't be read: in its dialog, one 2xx waits for an ACK."""
        for change in (
            *(replacing(" SIP/2.0\r\n", f"{end}\r\n") for end in (" x SIP/2.0", " x", "", " ")),
            *(
                replacing("CSeq: 1 ACK", f"CSeq: {odd}")
                for odd in ("x ACK", "ACK", "99999999999 ACK", "-1 ACK", "1 2 ACK")
            ),
            lambda data: re.sub(rb"ACK [^\r]*", b"ACK", data, count=1),
        ):
            self.fresh()
            alice, trunk = self.world.browser(), self.world.trunk()
            alice.bind()
            invite = trunk.call(alice)
            alice.answer(alice.request("INVITE"), 200, OFFER.replace(b"actpass", b"active"))
            ok = trunk.response(200)
            ack = trunk.inside("ACK", invite, ok, cseq=1)
            lines = self.changed(trunk, ack, change)
            self.world.turn(40)
            self.assertEqual((trunk.pending(), len(lines)), ([], 1), change(ack.to_bytes()))
            alice.forget()
            trunk.say(within(party_of(trunk, invite, ok), "BYE"))
            alice.answer(alice.request("BYE"), 200)

    def test_cancel(self) -> None:
        """A CANCEL ends the INVITE."""
        for name, change in IN_DIALOG.items():
            if name.startswith("Via") or name == "Request-URI":
                continue
            self.fresh()
            alice, trunk = self.world.browser(), self.world.trunk()
            alice.bind()
            invite = trunk.call(alice)
            leg = alice.request("INVITE")
            alice.answer(leg, 180)
            trunk.heard(180)
            cancel = Request(
                "CANCEL", invite.uri, invite.headers.only({"Via", "From", "To", "Call-ID", "Max-Forwards"})
            )
            cancel.headers.set("Max-Forwards", "70")
            cancel.headers.set("CSeq", "1 CANCEL")
            self.changed(trunk, cancel, change)
            self.world.turn()
            self.assertEqual((trunk.pending(), alice.pending()), (["200", "487"], ["CANCEL"]), name)
            alice.answer(alice.request("CANCEL"), 200)
            alice.answer(leg, 487)

    def test_others(self) -> None:
        """INFO, OPTIONS and UPDATE within a call, too, where framing and counts are right."""
        for name, change in IN_DIALOG.items():
            if name in FRAMING:
                continue
            for method in ("INFO", "OPTIONS", "UPDATE"):
                if name == "Request-URI" or (name == "Contact" and method == "UPDATE"):
                    continue
                self.fresh()
                one, two = outbound(self.world)
                self.changed(two.peer, within(two, method), change)
                if one.peer.pending():
                    one.answer(one.peer.request(method), 200)
                self.assertEqual(two.peer.pending(), ["200"], (name, method))

    def test_refused(self) -> None:
        """What can't be used is refused, and a log line with the call says why."""
        one, two = outbound(self.world)
        lines = self.changed(two.peer, within(two, "INFO"), adding("l: 7"))
        two.peer.heard(400)
        self.assertEqual(lines, [f"info {two.call_id}: INFO from 192.0.2.50 is refused: 400 Multiple Content-Length"])
        one.ask("BYE")
        two.answer(two.peer.request("BYE"), 200)


class SetUp(MalformedCase):
    """An INVITE of a trunk rings, with a From that a browser can read."""

    def invite(self, change: Change) -> tuple[Browser, TrunkPeer]:
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        uri = f"sip:{contact_user_of(alice.aor)}@192.0.2.1"
        request = Request("INVITE", uri, Headers([
            *(("Via", "SIP/2.0/UDP 192.0.2.50:5060;branch=z9hG4bKodd"), ("Max-Forwards", "70")),
            *(("From", '"Carol" <sip:carol@192.0.2.50>;tag=z'), ("To", f"<{uri}>"), ("Call-ID", "odd")),
            *(("CSeq", "1 INVITE"), ("Contact", "<sip:carol@192.0.2.50:5060>"), ("Content-Type", "application/sdp")),
        ]), PLAIN)  # fmt: skip
        self.lines = self.changed(trunk, request, change)
        return alice, trunk

    def test_from(self) -> None:
        """Whatever From is (field.rst H: Odd headers)."""
        for text, shown in (
            ('"Anonymous" <sip:@10.0.0.1>', '"Anonymous" <sip:anonymous@10.0.0.1>'),
            ("<sip:Front Desk@h>", "<sip:Front%20Desk@h>"),
            ('""unknown"" <sip:7001@h>', '"unknown" <sip:7001@h>'),
            ("<sip:7001@h>;;x=", "<sip:7001@h>"),
            ("<tel:+49-30-123>", "<sip:+49-30-123@192.0.2.1;user=phone>"),
            ("<tel:123;phone-context=+49-30>", "<sip:123;phone-context=+4930@192.0.2.1;user=phone>"),
            ("<sip:a#b@h_x>", "<sip:a%23b@192.0.2.1>"),
            ("<sip:70%zz@h;x=>", "<sip:70%25zz@h>"),
            ("<http://x/y>", "<sip:anonymous@anonymous.invalid>"),
            ('"Joe <sip:7001@h>', '"Joe" <sip:7001@h>'),
            ("<7001@h>", "<sip:7001@h>"),
            ("Anonymous", "<sip:anonymous@anonymous.invalid>"),
            ("<>", "<sip:anonymous@anonymous.invalid>"),
        ):
            self.fresh()
            alice, trunk = self.invite(replacing('"Carol" <sip:carol@192.0.2.50>', text))
            leg = alice.request("INVITE")
            self.assertEqual(str(NameAddr.parse_party(leg.headers.get("From") or "")).partition(">")[0], shown[:-1])
            alice.answer(leg, 200, OFFER.replace(b"actpass", b"active"))
            ok = trunk.response(200)
            self.assertEqual(ok.from_.tag, "z")
            trunk.say(trunk.inside("ACK", invite_of(ok), ok, cseq=1))
            alice.heard("ACK")
            trunk.say(trunk.inside("BYE", invite_of(ok), ok))
            alice.answer(alice.request("BYE"), 200)
            trunk.heard(200)

    def test_other_headers(self) -> None:
        """Whatever else is odd, and decides nothing (field.rst H: Odd headers)."""
        for change in (
            replacing(";branch", ";;branch"),
            replacing("\r\nMax", '\r\nVia: SIP/2.0/UDP h;x="a\r\nMax'),
            replacing(":5060;branch", ":;branch"),
            *(adding(f"Expires: {value}") for value in ("Thu, 01 Dec 2027 16:00:00 GMT", "", "-1", "180;x=y")),
            *(replacing("<sip:carol@192.0.2.50:5060>", value) for value in (
                "<sip:carol@192.0.2.50:5060>;;expires=60", '""C"" <sip:carol@192.0.2.50>', "<sip:ca rol@192.0.2.50>",
                "<sip:carol@192.0.2.50>, <sip:x@", "<sip:x@, <sip:carol@192.0.2.50>", "192.0.2.50:5070",
                "sip:carol@192.0.2.50;x=", "<sip:carol@192.0.2.50>, <sip:h2>", "<sip:carol@192.0.2.50:;;x>",
            )),
            *(adding(line) for line in (
                "Min-SE: x", "Session-Expires: soon", "Session-Expires: 1800;;refresher=uac", "Max-Forwards: 70",
                "Content-Type: Application/SDP", f"Content-Length: {len(PLAIN)}", "Record-Route: <sip:192.0.2.50;lr>;;",
                "Nonsense", "X Foo: bar", ": bar", "Subject: a\0b", "Max-Forwards: 9", "Expires: 1\r\nExpires: 2",
            )),
            replacing("Max-Forwards: 70", "Max-Forwards: lots"),
            replacing(f"Content-Length: {len(PLAIN)}", "Content-Length: lots"),
        ):  # fmt: skip
            self.fresh()
            alice, trunk = self.invite(change)
            leg = alice.request("INVITE")
            alice.answer(leg, 486)
            alice.heard("ACK")
            trunk.heard(486)

    def test_expires(self) -> None:
        """A browser gets an Expires that is a number, and one that its timer can wait for, or none: SIP.js takes
        another for 0, and answers 487 at once (RFC 3261 section 13.3.1; field.rst H: Odd headers)."""
        for value, shown in (
            ("Thu, 01 Dec 2027 16:00:00 GMT", None), ("", None), ("-1", None), ("180;x=y", None), ("soon", None),
            ("180", "180"), ("2147483", "2147483"), ("2147484", None), ("4294967295", None), ("9" * 30, None),
            ("30\r\nExpires: 60", "30"), ("x\r\nExpires: 60", None),
        ):  # fmt: skip
            self.fresh()
            alice, trunk = self.invite(adding(f"Expires: {value}"))
            leg = alice.request("INVITE")
            self.assertEqual(leg.headers.get("Expires"), shown, value)
            alice.answer(leg, 486)
            alice.heard("ACK")
            trunk.heard(486)

    def test_ways(self) -> None:
        """Of a Contact or a Record-Route whose meaning is plain, requests of ours take the way, and the response says
        it in its right form."""
        for old, new, uri, routes in (
            ("<sip:carol@192.0.2.50:5060>", "192.0.2.50:5060", "sip:192.0.2.50:5060", []),
            ("<sip:carol@192.0.2.50:5060>", "sip:carol@192.0.2.50;x=", "sip:carol@192.0.2.50", []),
            ("<sip:carol@192.0.2.50:5060>", "<sip:h@192.0.2.50:;;x>, <sip:h2>", "sip:h@192.0.2.50;x", []),
            ("Max-Forwards", "Record-Route: <sip:192.0.2.50;lr=on;;ftag=x>, ,sip:192.0.2.50:5070;lr\r\nMax-Forwards",
             "sip:carol@192.0.2.50:5060", ["<sip:192.0.2.50;lr=on;ftag=x>", "<sip:192.0.2.50:5070;lr>"]),
        ):  # fmt: skip
            self.fresh()
            alice, trunk = self.invite(replacing(old, new))
            alice.answer(alice.request("INVITE"), 200, OFFER.replace(b"actpass", b"active"))
            ok = trunk.response(200)
            self.assertEqual(ok.headers.all("Record-Route"), routes)
            trunk.say(trunk.inside("ACK", invite_of(ok), ok, cseq=1))
            alice.heard("ACK")
            alice.flow.lose()
            self.world.turn(40)
            bye = trunk.request("BYE")
            self.assertEqual((bye.uri, bye.headers.lines("Route")), (uri, routes), new)

    def test_refused(self) -> None:
        """What decides something must be right; a log line says why not."""
        for change, why in (
            (replacing("odd\r\nCSeq", "odd\r\nCall-ID: other\r\nCSeq"), "Multiple Call-ID"),
            (adding("Content-Length: 3"), "Multiple Content-Length"),
            (adding("Content-Type: text/plain"), "Multiple Content-Type"),
            (replacing("<sip:carol@192.0.2.50:5060>", "<<"), "Bad Contact"),
            (adding("Record-Route: <sip:192.0.2.50;lr>, <<"), "Bad Record-Route"),
        ):
            self.fresh()
            alice, trunk = self.invite(change)
            alice.silent()
            self.assertEqual(trunk.response(400).reason, why)
