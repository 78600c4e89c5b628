"""sip.for_browsers: headers in the grammar of JsSIP and SIP.js; tests/browser/test_parsers.py asks both."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.fields import Headers
from webrtcproxy.sip.for_browsers import contacts, content_type, event, identities, refer_to, rewrite
from webrtcproxy.sip.headers import NameAddr


class Values(SynchronousTestCase):
    """Header by header (field.rst H: Odd headers)."""

    def test_event(self) -> None:
        """What is of the grammar stays to the letter (RFC 6665 section 8.4)."""
        for text in ("presence", "dialog;sla", "a.b ; id = 1", 'x;id="a b;c"', "X-Y*;a;b=c"):
            self.assertEqual(event(text), text)
        for text, written in (
            ("message-summary;;", "message-summary"),
            ("refer;id=", "refer"),
            ("refer;id=;x=1;y=<z>", "refer;x=1"),
            ('"refer"', "refer"),
            ("refer;", "refer"),
            ("x y", ""),
            ("<", ""),
            ("", ""),
            (";id=1", ""),
        ):
            self.assertEqual(event(text), written, text)

    def test_content_type(self) -> None:
        """A parameter keeps its meaning where it lacks quotes only (RFC 2045 section 5.1)."""
        for text in ("text/plain", "text / plain ;charset = x", 'multipart/mixed;boundary="a b"', "a/vnd.b+c"):
            self.assertEqual(content_type(text), text)
        for text, written in (
            ("text/plain;", "text/plain"),
            ("text/plain; charset=", "text/plain"),
            ("text/plain; x; charset=utf-8", "text/plain;charset=utf-8"),
            ("text/plain charset=utf-8", "text/plain"),
            ("text", "text/plain"),
            ('"text/plain"', "text/plain"),
            ("text/plain, text/html", "text/plain"),
            ("multipart/mixed;boundary=a/b:c", 'multipart/mixed;boundary="a/b:c"'),
            ("<", "application/octet-stream"),
            ("/x", "application/octet-stream"),
        ):
            self.assertEqual(content_type(text), written, text)

    def test_refer_to(self) -> None:
        """Browsers call SIP addresses only: a number is at the domain of the user; the headers of a URI stay."""
        for text, written in (
            ("sip:x@h;;", "<sip:x@h>"),
            ("<sip:x@h>;x=;y", "<sip:x@h>;y"),
            ("tel:+49", "<sip:+49@example.com;user=phone>"),
            ("<tel:+49;phone-context=x>", "<sip:+49@example.com;user=phone>"),
            ("Jö <sip:x@h?Replaces=a%3Bb>", '"Jö" <sip:x@h?Replaces=a%3Bb>'),
            ("<sip:x@h?Subject=a&b&=c>", "<sip:x@h?Subject=a>"),
            ("<sip:x@h?>", "<sip:x@h>"),
            ("<sip:x@my_pbx>", "<sip:x@my_pbx>"),
        ):
            self.assertEqual(refer_to(NameAddr.parse(text), "example.com"), written, text)
        for text, domain in (("<mailto:x@h>", "h"), ("<http://x/y>", "h"), ("<tel:+49>", "")):
            with self.assertRaises(BadMessage) as caught:
                refer_to(NameAddr.parse(text), domain)
            self.assertEqual(caught.exception.status, 416)

    def test_contacts(self) -> None:
        """Those that can't be called are left out."""
        lines = ["<sip:x@h>;;q=, <mailto:x@h>", "*", "<tel:+49>", "<sip:y@h", "<sip:z@h>;q=0.5;Q=0.1234"]
        self.assertEqual(contacts(lines), ["<sip:x@h>", "<sip:y@h>", "<sip:z@h>;q=0.5"])
        self.assertEqual(contacts(lines, "d.example")[1], "<sip:+49@d.example;user=phone>")

    def test_identities(self) -> None:
        """What the libraries can parse, and a ``tel:``, stays to the letter; the rest is newly written, one on a line,
        or left out (field.rst H: Odd headers)."""
        for text in (
            '"Dave" <sip:+49303@127.0.0.1>',
            "New Name <sip:a@x;user=phone>;party=called;privacy=off",
            "<sips:a@[2001:db8::1]:5061;transport=tls>;x",
            '"Jö"<SIP:x.invalid>;screen="a b"',
            "<tel:+49-30;phone-context=+49>",
        ):
            self.assertEqual(identities([text]), [text])
        for text, written in (
            ('"N <sip:a@x>', ['"N" <sip:a@x>']),
            ("New Name <sip:a@x>;;party=", ['"New Name" <sip:a@x>']),
            ("New Name <sip:a@x>;;party=called", ['"New Name" <sip:a@x>;party=called']),
            ("sip:a@x", ["<sip:a@x>"]),
            ("<sip:a@x>, Jö <tel:+49>,", ["<sip:a@x>", '"Jö" <tel:+49>']),
            ("<sip:a b@x.;y=>", ["<sip:a%20b@x;y>"]),
            ("<http://x>, <sip:a@x", ["<sip:a@x>"]),
            ("<<", []),
            ("", []),
        ):
            self.assertEqual(identities([text]), written, text)
        headers = Headers([("Remote-Party-ID", "<<"), ("P-Asserted-Identity", "sip:a@x"), ("X-A", "b")])
        self.assertEqual(rewrite(headers, False), ["P-Asserted-Identity", "Remote-Party-ID"])
        self.assertEqual(list(headers), [("X-A", "b"), ("P-Asserted-Identity", "<sip:a@x>")])

    def test_linear(self) -> None:
        """A line as long as allowed takes no time."""
        for text in ("a;", "a ", "a=", 'a="', "a/b;c=d ", ";a = ", "'", "&a=", "?", '"', "<sip:", ","):
            began = time.process_time()
            line = (text * 8192)[:8192]
            event(line), content_type(line), contacts([line]), event(f"a{line}"), content_type(f"a/b{line}")
            identities([line]), identities([f"<sip:{line}@h>"]), identities([f"{line}<sip:h>;{line}"])
            self.assertLess(time.process_time() - began, 0.5, text)


class Mended(SynchronousTestCase):
    """All headers of a message."""

    def mended(self, *pairs: tuple[str, str], is_refer: bool = False) -> tuple[list[tuple[str, str]], list[str]]:
        headers = Headers([("X", "y"), *pairs])
        changed = rewrite(headers, is_refer)
        return list(headers)[1:], changed

    def test_unchanged(self) -> None:
        """What can be parsed stays as it is, and nothing is said of it; a REFER has its Refer-To from elsewhere."""
        pairs = [
            ("Event", "refer;id=1"),
            ("WWW-Authenticate", 'Digest realm="a", nonce="b"'),
            ("Refer-To", "<sip:a@b>"),
        ]
        self.assertEqual(self.mended(*pairs), (pairs, []))
        self.assertEqual(self.mended(("Refer-To", "<"), is_refer=True), ([("Refer-To", "<")], []))

    def test_left_out(self) -> None:
        """What can't is left out, and named."""
        for name, value in (
            ("Event", "<"),
            ("WWW-Authenticate", "NTLM"),
            ("Proxy-Authenticate", "<"),
            ("Refer-To", "tel:+49"),
            ("Refer-To", ""),
        ):
            self.assertEqual(self.mended((name, value)), ([], [name]), value)

    def test_one(self) -> None:
        """Of several, the first that can be read: both libraries keep one."""
        self.assertEqual(self.mended(("Event", "<"), ("Event", "a;"), ("Event", "b")), ([("Event", "a")], ["Event"]))
