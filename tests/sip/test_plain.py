"""sip.plain: addresses that readers take which keep to the grammar, as JsSIP and SIP.js do."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.plain import plain


class PlainTests(SynchronousTestCase):
    """RFC 3261 section 25.1: SIP-URI, generic-param."""

    def test_stay(self) -> None:
        """What is of the grammar stays as it is."""
        for text in (
            *("<sip:h>;tag=z", "<sip:a.b@example.com>;tag=z", "<sips:a@h.x:5061;transport=tcp;lr>;tag=z"),
            *(
                "<sip:+49;x=y@192.0.2.1:5060>",
                "<sip:%C3%BC@[2001:db8::1]>",
                '"J\u00fcrgen" <sip:a@h-1.x>;a;b="c;d";e=f',
            ),
        ):
            address = NameAddr.parse_party(text)
            self.assertIs(plain(address), address, text)

    def test_escaped(self) -> None:
        """What a user part must not have is escaped; a host, a parameter and a header that are none of the grammar are
        left out."""
        for text, written in (
            ("<sip:a#b@h>", "<sip:a%23b@h>"),
            ("<sip:J\u00fcrgen@h>", "<sip:J%C3%BCrgen@h>"),
            ("<sip:a[b^c@h>", "<sip:a%5Bb%5Ec@h>"),
            ("<sip:70%zz@h>", "<sip:70%25zz@h>"),
            ("<sip:a@h;x=;y=a@b;z=1;\u00fc>", "<sip:a@h;z=1>"),
            ("<sip:a@h;transport=;user=x/y;method;lr=on>", "<sip:a@h;lr=on>"),
            ("<sip:J%FCr@h>", "<sip:J%C3%BCr@h>"),
            ("<sip:J\udcfcr;x@h>", "<sip:J%C3%BCr;x@h>"),
            ("<sip:a@example.org.>", "<sip:a@example.org>"),
            ("<sip:a@010.0.0.1>", "<sip:a@example.com>"),
            ("<sip:a:p#w@h:5070;lr>", "<sip:a@h:5070;lr>"),
            ("<sip:a@h?Subject=\u00fc>", "<sip:a@h>"),
            ("<sip:a@h_x:5060>", "<sip:a@example.com:5060>"),
            ("<sip:a@1.2.3>", "<sip:a@example.com>"),
            ("<sip:a@h>;\u00fc=1;x=a/b;y", "<sip:a@h>;y"),
            ("<sip:7001>", "<sip:7001@example.com>"),
            ("<sip:7001;x=y>", "<sip:7001@example.com;x=y>"),
        ):
            self.assertEqual(str(plain(NameAddr.parse_party(text), "example.com")), written, text)

    def test_other_schemes(self) -> None:
        """A number is a user at the domain; what has neither is nobody."""
        number = NameAddr.parse_party('"A" <tel:+49-30-123;ext=1>;tag=z')
        self.assertEqual(str(plain(number, "example.com")), '"A" <sip:+49-30-123@example.com;user=phone>;tag=z')
        for domain in ("", "a b", "h_x", "<sip:x>"):
            self.assertEqual(plain(number, domain).uri, "sip:+49-30-123@anonymous.invalid;user=phone")
        for text in ("<http://x/y>", "<urn:service:sos>", "<isbn:1>"):
            self.assertEqual(plain(NameAddr.parse(text), "h").uri, "sip:anonymous@anonymous.invalid")
        self.assertEqual(plain(NameAddr("", "sip:a b"), "h").uri, "sip:anonymous@anonymous.invalid")

    def test_context(self) -> None:
        """A local number keeps its context (RFC 3261 section 19.1.6; field.rst H: Odd headers)."""
        for local in ("tel:12-3;phone-context=+49-30", "tel:12-3;ext=1;Phone-Context=%2B4930"):
            shown = plain(NameAddr("", local), "h").uri
            self.assertEqual(shown, "sip:12-3;phone-context=+4930@h;user=phone")
        for context, written in (
            ("=pbx.example.com", ";phone-context=pbx.example.com"),
            *((odd, "") for odd in ("", "=", "=+", "=a%40b", "=a%3Bb", "=4930", "=+49x", "=" + "+4" * 40)),
        ):
            shown = plain(NameAddr("", f"tel:123;phone-context{context}"), "h").uri
            self.assertEqual(shown, f"sip:123{written}@h;user=phone", context)
        self.assertEqual(
            plain(NameAddr("", "tel:+49;phone-context=+1"), "h").uri, "sip:+49@h;user=phone", "it has none"
        )
