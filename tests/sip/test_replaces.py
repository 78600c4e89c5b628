"""Replaces is read in any order and written back, in a header and in a URI (RFC 3891, RFC 3261 section 19.1.1)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.replaces import Replaces, replaces_of, with_replaces
from webrtcproxy.sip.uri import Uri


class Header(SynchronousTestCase):
    """As a header (RFC 3891 section 6.1)."""

    def test_any_order(self) -> None:
        """The parts are found wherever they stand (original.rst: attended, fragile)."""
        expected = Replaces("98732@sip.example.com", "ff87ff", "r33th4x0r")
        for text in (
            "98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff",
            "98732@sip.example.com;to-tag=ff87ff;from-tag=r33th4x0r",
            " 98732@sip.example.com ; TO-TAG = ff87ff ;from-tag=r33th4x0r",
        ):
            self.assertEqual(Replaces.parse(text), expected)

    def test_early_only_and_others(self) -> None:
        """early-only is known anywhere; what nobody knows is kept."""
        read = Replaces.parse("a@b;early-only;x=1;from-tag=2;to-tag=3;y")
        self.assertEqual(str(read), "a@b;to-tag=3;from-tag=2;early-only;x=1;y")
        self.assertEqual(Replaces.parse(str(read)), read)

    def test_refused(self) -> None:
        """Exactly one of each tag, and a Call-ID (RFC 3891 section 6.1)."""
        for text in (
            "", "a", "a;to-tag=1", "a;from-tag=1", ";to-tag=1;from-tag=2", "a;to-tag=1;to-tag=1;from-tag=2",
            "a;to-tag=;from-tag=2", "a b;to-tag=1;from-tag=2", "a;to-tag=1;from-tag=2, b;to-tag=1;from-tag=2",
            'a;to-tag="";from-tag=2', 'a;to-tag="1;from-tag=2', "a\r\nX: y;to-tag=1;from-tag=2",
        ):  # fmt: skip
            self.assertRaises(BadMessage, Replaces.parse, text)

    def test_tags(self) -> None:
        """Tags are those of From and To, whatever they have; quotes are none of theirs (field.rst O: Odd Refer-To)."""
        expected = Replaces("a", "x/1@h", "2=")
        self.assertEqual(Replaces.parse('a;to-tag="x/1@h";from-tag=2='), expected)
        self.assertEqual(Replaces.parse(str(expected)), expected)

    def test_no_tag(self) -> None:
        """A tag of 0 is a peer without one (RFC 3891 section 3)."""
        self.assertEqual(Replaces.parse("a;to-tag=1;from-tag=0").key, ("a", "1", ""))
        self.assertEqual(str(Replaces("a", "1", "2").names("b", "3", "")), "b;to-tag=3;from-tag=0")


class InUri(SynchronousTestCase):
    """Among the headers of a Refer-To's URI."""

    ESCAPED = "sip:c@b.example;transport=ws?Subject=x%20y&Replaces=1%402%3Bto-tag%3D7%3Bfrom-tag%3D8&Accept-Contact=z"

    def test_read(self) -> None:
        """The value is unescaped, in either case of the digits and of the name, wherever it stands."""
        for text in (self.ESCAPED, self.ESCAPED.replace("%3B", "%3b"), self.ESCAPED.replace("Replaces", "replaces")):
            self.assertEqual(replaces_of(Uri.parse(text)), Replaces("1@2", "7", "8"))
        self.assertEqual(
            replaces_of(Uri.parse("sip:c@b?Replaces=1%3Bearly-only%3Bfrom-tag%3D8%3Bto-tag%3D7")),
            Replaces("1", "7", "8", True),
        )

    def test_unescaped(self) -> None:
        """Some leave ; and = as they are: the value ends at the next & all the same."""
        uri = Uri.parse("sip:c@b?Replaces=1;to-tag=7;from-tag=8&Subject=x")
        self.assertEqual(replaces_of(uri), Replaces("1", "7", "8"))

    def test_none_or_bad(self) -> None:
        """No Replaces is none; two are refused."""
        self.assertIsNone(replaces_of(Uri.parse("sip:c@b")))
        self.assertIsNone(replaces_of(Uri.parse("sip:c@b?Subject=Replaces")))
        for text in ("sip:c@b?Replaces=1", "sip:c@b?Replaces=1%3Bto-tag%3D7%3Bfrom-tag%3D8&replaces=2"):
            self.assertRaises(BadMessage, replaces_of, Uri.parse(text))

    def test_no_text(self) -> None:
        """Octets that are no UTF-8, as they are or escaped, are like any others (RFC 3261 section 25.1)."""
        uri = Uri.parse("sip:a@b?X\udcff=1&Replaces=c\udcf5%F5%3Bto-tag%3D1%3Bfrom-tag%3D2")
        replaces = replaces_of(uri)
        assert replaces is not None
        self.assertEqual(replaces.call_id, "c\udcf5\udcf5")
        self.assertEqual(replaces_of(with_replaces(uri, replaces)), replaces)

    def test_written(self) -> None:
        """The new value is escaped, all else stays (RFC 3261 section 25.1: hvalue)."""
        made = with_replaces(Uri.parse(self.ESCAPED), Replaces("x%;&@y", "a", "b"))
        self.assertEqual(
            str(made),
            "sip:c@b.example;transport=ws?Subject=x%20y"
            "&Replaces=x%25%3B%26%40y%3Bto-tag%3Da%3Bfrom-tag%3Db&Accept-Contact=z",
        )
