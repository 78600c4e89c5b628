"""What the proxy makes of odd headers, through the parsers of JsSIP and SIP.js in Node: both drop a message without a
word where they can't parse one of its headers, whether it means something there or not."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.call.test_malformed import Change, MalformedCase, adding, within
from tests.support.calls.party import outbound
from tests.support.calls.world import OFFER, PLAIN, Browser, Peer
from webrtcproxy.registration.binding import contact_user_of
from webrtcproxy.sip.message import Headers, Request, respond

FROM = (
    *("From: <tel:123;phone-context=+49-30>;tag=z", "From: <tel:*12#;phone-context=pbx.example.com>;tag=z"),
    *("From: <tel:123;phone-context=%%>;tag=z", "From: <tel:123;ext=1;phone-context>;tag=z"),
)
MESSAGE = Request("MESSAGE", "sip:bob@pbx.example.com", Headers([
    *(("Via", "SIP/2.0/WSS x.invalid;branch=z9hG4bKm"), ("Max-Forwards", "69")),
    *(("From", "<sip:alice@pbx.example.com>;tag=m"), ("To", "<sip:bob@pbx.example.com>")),
    *(("Call-ID", "m"), ("CSeq", "1 MESSAGE")),
]))  # fmt: skip
PAGES = Path(__file__).parent / "pages"
DIGEST = 'Digest realm="carrier", nonce="n"'
ODD = (
    *(f"Event: {text}" for text in ("", "message-summary;;", "message-summary;id=", "x y", "<", '"x"', "a;b=<c>")),
    *(f"Content-Type: {text}" for text in ("", "text/plain;", "text/plain; charset=", "text", '"text/plain"')),
    *(f"Content-Type: {text}" for text in ("text/plain x=y", "a/b;c=<d>", "text/plain, text/html", "text/plain;x")),
    *(f"Refer-To: {text}" for text in ("", "<", "tel:+49", "<tel:+49>", "sip:x@h;;", "<sip:x@h>;x=", "<http://x/y>")),
    *(f"Refer-To: {text}" for text in ("Jö <sip:x@h>", "<sip:x@h?>", "<sip:x@h?X>", "<sip:x@h;x=>", "<mailto:x@h>")),
    *(f"Contact: {text}" for text in ("<", "<sip:x@h>;;q=", "<sip:x@h>;q=0.1234", "<tel:+49>", "<mailto:a@b>", "*")),
    *(f"Contact: {text}" for text in ("<sip:x@h;y=>", "tel:+49", "Jö <sip:x@h>", "<sip:x@h?X>")),
    *(
        f"{name}-Authenticate: {text}"
        for name in ("WWW", "Proxy")
        for text in ("", "<", "NTLM", "Negotiate abc==", "Digest", f"{DIGEST}, x", f"{DIGEST}, algorithm=MD5-sess")
    ),
    *("Session-Expires: 1800;;x", "Replaces: x", "Record-Route: <", "Via: <", "Max-Forwards: 5", "X: \x7f"),
    *("Supported: ,", "Require: ,", "Allow: ,,", "Referred-By: <", "Expires: x"),
    *(
        f"{name}: {text}"
        for name in ("P-Asserted-Identity", "Remote-Party-ID")
        for text in (
            '"x <sip:a@b>',
            "New Name <sip:a@b>;;party=",
            "Jö <sip:a@b>",
            "<sip:a b@c.;x=>, <tel:+49>",
            "<",
            "a@b",
        )
    ),
)
TO = (
    *(r"To: \1;tag=", r"To: \1;x=", r"To: \1;;", r"To: \1;x=<y>", r'To: ""x"" \1', r'To: "x \1', "To: <tel:+49 30>"),
    *("To: <sip:(null)@(null)>", "To: <sip:a b@h>", "To: Jö <sip:a@h>", "To: <sips:x@h>", "To: sip:a@h;;x"),
)


def with_to(text: str) -> Change:
    """Writes the To otherwise, the bracket and what is in it for a ``\\1``."""
    return lambda data: re.sub(rb"To: (<[^>]*>)", text.encode(), data, count=1)


def with_from(text: str) -> Change:
    """Writes the From otherwise."""
    return lambda data: re.sub(rb"From: [^\r]*", text.encode(), data, count=1)


def odd(*taken: str) -> Iterator[tuple[str, list[tuple[str, str]], Change]]:
    """Each kind of odd header: a name, the usual headers but that one, and what adds it.

    :param taken: the usual headers.
    """
    usual = [(name, value) for name, _, value in (line.partition(": ") for line in taken)]
    for line in ODD:
        name = line.partition(":")[0]
        yield line, [pair for pair in usual if pair[0] != name], adding(line)


class Parsers(MalformedCase):
    """Nothing that the proxy sends is dropped (field.rst H: Odd headers)."""

    def setUp(self) -> None:
        super().setUp()
        self.heard: list[tuple[str, str]] = []

    def tell(self, name: str, peer: Peer, data: bytes, browser: Browser) -> None:
        """Hand octets of a trunk in, and keep what the browser is sent for it."""
        before = len(browser.flow.sent)
        self.octets(peer, data)
        self.world.turn()
        self.heard += [(name, each.decode()) for each in browser.flow.sent[before:]]

    def parsed(self, most: int) -> None:
        """Fail unless each library can parse what was heard, and does drop what is broken.

        :param most: so many messages were heard, or more.
        """
        self.flushLoggedErrors()
        self.assertGreater(len(self.heard), most)
        broken = self.heard[0][1].replace("\r\n", "\r\nEvent: <\r\nContent-Type: <\r\n", 1)
        found = subprocess.run(
            ["node", str(PAGES / "parsers.mjs")],
            input=json.dumps([*self.heard, ("what is broken", broken)]),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        lines = found.stdout.splitlines()
        libraries = ("jssip", "jssip-3.10", "sip.js")
        wanted = [line for each in libraries for line in (f"{each} drops what is broken", f"{each}: {len(self.heard)}")]
        self.assertEqual(wanted, lines, "\n".join(lines[:20]))

    def outside(self, name: str, method: str, usual: list[tuple[str, str]], change: Change) -> None:
        """A request of a trunk outside of dialogs."""
        self.fresh()
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        uri = f"sip:{contact_user_of(alice.aor)}@192.0.2.1"
        headers = Headers([
            *(("Via", "SIP/2.0/UDP 192.0.2.50:5060;branch=z9hG4bKodd"), ("Max-Forwards", "70")),
            *(("From", "<sip:c@192.0.2.50>;tag=z"), ("To", f"<{uri}>"), ("Call-ID", "odd"), ("CSeq", f"1 {method}")),
            *usual,
        ])  # fmt: skip
        request = Request(method, uri, headers, PLAIN if method == "INVITE" else b"hello")
        self.tell(f"{method} with {name}", trunk, change(request.to_bytes()), alice)

    def test_outside(self) -> None:
        """Requests outside of dialogs."""
        for method in ("INVITE", "MESSAGE", "OPTIONS", "NOTIFY", "SUBSCRIBE", "REFER", "INFO", "PUBLISH"):
            kind = "application/sdp" if method == "INVITE" else "text/plain"
            usual = ["Contact: <sip:c@192.0.2.50>", f"Content-Type: {kind}"]
            usual += ["Event: refer", "Subscription-State: active"] if method in ("NOTIFY", "SUBSCRIBE") else []
            usual += ["Refer-To: <sip:q@192.0.2.50>"] if method == "REFER" else []
            for name, headers, change in odd(*usual):
                self.outside(name, method, headers, change)
            every = next(headers for name, headers, _ in odd(*usual) if name.startswith("X"))
            for text in TO:
                self.outside(text, method, every, with_to(text))
            for text in FROM:
                self.outside(text, method, every, with_from(text))
        self.parsed(500)

    def test_inside(self) -> None:
        """Requests within a call (field.rst O: Odd Refer-To)."""
        for method in ("MESSAGE", "NOTIFY", "REFER", "INFO", "UPDATE", "INVITE", "BYE"):
            usual = ["Contact: <sip:c@192.0.2.50>"]
            usual += ["Content-Type: text/plain"] if method in ("MESSAGE", "INFO") else []
            usual += ["Content-Type: application/sdp"] if method == "INVITE" else []
            usual += ["Event: refer", "Subscription-State: active"] if method == "NOTIFY" else []
            usual += ["Refer-To: <sip:q@192.0.2.50>"] if method == "REFER" else []
            body = PLAIN.replace(b"sendrecv", b"sendonly") if method == "INVITE" else b"hello" * (len(usual) > 1)
            for name, headers, change in odd(*usual):
                self.fresh()
                one, two = outbound(self.world)
                one.peer.forget()
                request = within(two, method)
                request.headers.extend(Headers(headers))
                request = Request(method, request.uri, request.headers, body)
                self.tell(f"{method} within a call with {name}", two.peer, change(request.to_bytes()), one.peer)  # type: ignore[arg-type]
        self.parsed(250)

    def test_responses(self) -> None:
        """Responses to an INVITE, and to a MESSAGE (field.rst I: Challenge beside a broken one)."""
        for status in (180, 200, 302, 401, 407, 423, 486):
            usual = ["Contact: <sip:z@192.0.2.50>"] if status in (180, 200, 302) else []
            usual += ["Content-Type: application/sdp"] if status == 200 else []
            usual += [f"WWW-Authenticate: {DIGEST}"] if status == 401 else []
            for name, headers, change in odd(*usual):
                for method in ("INVITE", "MESSAGE") if status > 200 else ("INVITE",):
                    self.fresh()
                    alice, trunk = self.world.browser(), self.world.trunk()
                    if method == "INVITE":
                        alice.invite("sip:bob@pbx.example.com")
                    else:
                        alice.say(MESSAGE)
                    body = OFFER if status == 200 else b""
                    response = respond(trunk.request(method), status, to_tag="callee", headers=headers, body=body)
                    self.tell(f"{status} to {method} with {name}", trunk, change(response.to_bytes()), alice)
        self.parsed(400)
