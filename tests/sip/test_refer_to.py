"""Refer-To is read as far as its meaning is plain, and written in its right form (RFC 3515 section 2.1; field.rst O:
Odd Refer-To)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Headers
from webrtcproxy.sip.refer_to import refer_to
from webrtcproxy.sip.replaces import Replaces, replaces_of

DIALOG = "a%40h%3Bto-tag%3D1%3Bfrom-tag%3D2"


class ReferTo(SynchronousTestCase):
    """One header."""

    def test_right(self) -> None:
        """What is right stays as it is, letter by letter."""
        for text in (
            "<sip:a@b>", "sip:a@b;x=1", '"A" <sip:a@b;method=INVITE>;early', f"<sip:a@b?Replaces={DIALOG}&Subject=x>",
            "<tel:+4930>", "<cid:1@x>", "<sip:?x=y@b>", "<sip:a@b?Subject=>",
        ):  # fmt: skip
            headers = Headers([("Refer-To", text)])
            _ = refer_to(headers).address
            self.assertEqual((headers.get("Refer-To"), headers.oddities), (text, ""))

    def test_mended(self) -> None:
        """Brackets and quotes left open, no scheme, blanks: the meaning is plain."""
        for text, right in (
            ("<sip:a@b", "<sip:a@b>"), ("sip:a@b>", "<sip:a@b>"), ("<<sip:a@b>>", "<sip:a@b>"), ("<a@b>", "<sip:a@b>"),
            ("a@b", "<sip:a@b>"), ('"A <sip:a@b>', '"A" <sip:a@b>'), ('"<sip:a@b>"', "<sip:a@b>"),
            ("<sip:a@b>;;x=", "<sip:a@b>;x="), ("<sip:a@b> x", "<sip:a@b>"), ("<sip:a b@c>", "<sip:a%20b@c>"),
            ("<sip:a@b;transport=tcp", "<sip:a@b;transport=tcp>"), ("<sip:a@b:>", "<sip:a@b>"),
            ("<sip:a@b;;x=1>", "<sip:a@b;x=1>"), ("< sip:a@b >", "<sip:a@b>"), ('""A"" <sip:a@b>', '"A" <sip:a@b>'),
        ):  # fmt: skip
            headers = Headers([("r", text)])
            found = refer_to(headers)
            self.assertEqual(str(found), right, text)
            if headers.get("Refer-To") != text:
                self.assertEqual((headers.get("Refer-To"), headers.oddities), (right, "Bad Refer-To"))
                self.assertEqual(refer_to(headers), found)

    def test_headers_of_the_uri(self) -> None:
        """Replaces is found where it is not escaped, the brackets are missing or left open, and whatever the user is
        (RFC 3261 section 19.1.1)."""
        for text in (
            f"<sip:a@b?Replaces={DIALOG}", f"sip:a@b?Replaces={DIALOG}", "<sip:a@b?Replaces=a@h;to-tag=1;from-tag=2>",
            "sip:a@b?Replaces=a@h;to-tag=1;from-tag=2", "<sip:a@b?Replaces=a%40h;to-tag=1;from-tag=2",
            "<sip:a@b?Replaces=a%40h%3Bto-tag=1%3Bfrom-tag=2>", "<sip:b?Replaces=a@h;to-tag=1;from-tag=2>",
            "<a@b?replaces=a@h; to-tag=1; from-tag=2>", '<sip:a@b?Replaces=a@h;to-tag="1";from-tag="2">',
            f"<sip:a@b?Accept-Contact=x;y&Replaces={DIALOG}>",
        ):  # fmt: skip
            headers = Headers([("Refer-To", text)])
            address = refer_to(headers).address
            self.assertEqual((replaces_of(address), address.host), (Replaces("a@h", "1", "2"), "b"), text)
            self.assertRegex(headers.get("Refer-To") or "", '^<[^;"\\[\\] ]*>$')
        headers = Headers([("Refer-To", "<sip:a@b?Subject=50% off&x=%zz>")])
        self.assertEqual(str(refer_to(headers)), "<sip:a@b?Subject=50%25%20off&x=%25zz>")

    def test_refused(self) -> None:
        """What says nothing plain: the reason phrase names the header (RFC 3515 section 2.4.2)."""
        for values, why in (
            ([], "Missing"), (["<sip:a@b>", "<sip:a@b>"], "Multiple"),
            *(([text], "Bad") for text in (
                "", "<", "<>", "100", "bob", "<sip:>", "<sip:@>", "<sip:a@>", "sip:a@b, sip:c@d", "<sip:a@b c>", "*",
                "<sip:a@b>, <sip:c@d>", "<sip:a@b@c>", "<?Replaces=1>", "<:>", "\x01",
            )),
        ):  # fmt: skip
            with self.assertRaises(BadMessage) as caught:
                refer_to(Headers([("Refer-To", value) for value in values]))
            self.assertEqual((caught.exception.status, caught.exception.why), (400, f"{why} Refer-To"), values)
        with self.assertRaises(BadMessage) as caught:
            refer_to(Headers([("Refer-To", f"<sip:{'a' * 3000}@b>")]))
        self.assertEqual((caught.exception.status, caught.exception.why), (513, "Bad Refer-To"))
