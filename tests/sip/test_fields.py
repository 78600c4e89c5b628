"""sip.fields: the header fields of a message."""

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.fields import Headers, canonical
from webrtcproxy.sip.names import COMPACT, LISTS, SPELLINGS


def headers() -> Headers:
    return Headers([("Via", "a, b"), ("via", "c"), ("X-Foo", "1"), ("t", "<sip:a@b>"), ("x-foo", "2"), ("V", "d")])


class NameTests(SynchronousTestCase):
    """Compact names."""

    def test_compact(self) -> None:
        """i m e l c f s k t v, o u r b x a j d y n, in both cases (IANA)."""
        self.assertEqual("".join(sorted(COMPACT)), "".join(sorted("imelcfsktv" + "ourbxajdyn")))
        for short, name in COMPACT.items():
            for written in (short, short.upper(), name, name.lower(), name.upper(), name.swapcase()):
                self.assertEqual(canonical(written), name)
                self.assertEqual(Headers([(written, "x")]).get(name), "x")
                self.assertIn(short, Headers([(written, "x")]))

    def test_spelling(self) -> None:
        """Known names are written as the RFCs write them, unknown ones as they came."""
        for name, written in (
            *(("call-id", "Call-ID"), ("CSEQ", "CSeq"), ("www-authenticate", "WWW-Authenticate"), ("rAck", "RAck")),
            *(("X-foo", "X-foo"), ("sip-etag", "SIP-ETag"), ("MIN-SE", "Min-SE"), ("C%6Fntact", "C%6Fntact")),
        ):
            self.assertEqual(list(Headers([(name, "")])), [(written, "")])

    def test_never_split(self) -> None:
        """Headers with commas of their own are no lists (RFC 3261 section 7.3.1)."""
        for name in (
            "Authorization",
            "Proxy-Authorization",
            "WWW-Authenticate",
            "Proxy-Authenticate",
            "Date",
            "Subject",
        ):
            self.assertNotIn(name, LISTS)
            self.assertEqual(Headers([(name, "a, b"), (name, "c,d")]).all(name), ["a, b", "c,d"])
        self.assertTrue(set(SPELLINGS.values()) >= LISTS)


class LookupTests(SynchronousTestCase):
    """Asking."""

    def test_get(self) -> None:
        """The first of a name in any case; None where there is none."""
        found = headers()
        for name, value in (("Via", "a, b"), ("VIA", "a, b"), ("vIA", "a, b"), ("v", "a, b"), ("To", "<sip:a@b>")):
            self.assertEqual(found.get(name), value)
        self.assertEqual([found.get(name) for name in ("X-Foo", "x-foo", "X-FOO")], ["1", "1", "1"])
        self.assertEqual([found.get(name) for name in ("From", "fROM", "X-Bar", "")], [None] * 4)

    def test_lines_and_all(self) -> None:
        """Lines as they came, and the elements of lists, order kept."""
        found = headers()
        self.assertEqual(found.lines("via"), ["a, b", "c", "d"])
        self.assertEqual(found.all("vIa"), ["a", "b", "c", "d"])
        self.assertEqual([found.all("X-FOO"), found.lines("x-foo")], [["1", "2"]] * 2)
        self.assertEqual([found.all("To"), found.lines("t")], [["<sip:a@b>"]] * 2)
        self.assertEqual([found.all("From"), found.lines("From"), found.all("X-Bar")], [[]] * 3)
        self.assertEqual(Headers([("Supported", "")]).all("k"), [])
        self.assertEqual(Headers([("Contact", '"a,b" <sip:c,d@e>, <f>')]).all("m"), ['"a,b" <sip:c,d@e>', "<f>"])

    def test_broken_list(self) -> None:
        """An open quote in a list is an error that names the header."""
        found = Headers([("Warning", '307 x "a, b')])
        for ask in (found.all, found.first):
            with self.assertRaises(BadMessage) as caught:
                ask("warning")
            self.assertEqual((caught.exception.status, caught.exception.why), (400, "Bad Warning"))

    def test_first(self) -> None:
        """The first element of a list, past empty lines."""
        self.assertEqual(headers().first("Via"), "a")
        self.assertEqual(Headers([("Route", ""), ("Route", " ,<b>"), ("Route", "<c>")]).first("route"), "<b>")
        self.assertEqual(Headers([("Route", "<b>")]).first("Route"), "<b>")
        self.assertEqual(Headers([("Subject", "a, b")]).first("Subject"), "a, b")
        self.assertIsNone(headers().first("Route"))

    def test_contains(self) -> None:
        """``in`` takes any spelling."""
        found = headers()
        for name in ("Via", "v", "vIA", "x-FOO", "To"):
            self.assertIn(name, found)
        for name in ("From", "f", "fROM", "X-Bar"):
            self.assertNotIn(name, found)

    def test_whole(self) -> None:
        """Order, length, equality; a loop may change what it walks over."""
        found = headers()
        self.assertEqual(len(found), 6)
        self.assertEqual([name for name, _ in found], ["Via", "Via", "X-Foo", "To", "x-foo", "Via"])
        self.assertEqual(found, headers())
        self.assertNotEqual(found, Headers())
        self.assertNotEqual(Headers([("a", "1")]), Headers([("a", "2")]))
        self.assertNotEqual(found, list(found))
        self.assertEqual(repr(Headers([("X-A", "1")])), "Headers([('X-A', '1')])")
        self.assertRaises(TypeError, hash, found)
        for name, _ in found:
            found.remove(name)
        self.assertEqual(len(found), 0)


class ChangeTests(SynchronousTestCase):
    """Changing."""

    def test_set(self) -> None:
        """One header takes the place of the first of its name and of all others."""
        found = headers()
        found.set("vIA", "x")
        found.set("X-FOO", "y")
        found.set("Subject", "z")
        self.assertEqual(list(found), [("Via", "x"), ("X-Foo", "y"), ("To", "<sip:a@b>"), ("Subject", "z")])

    def test_set_first(self) -> None:
        """The first element of a list is replaced, the others stay."""
        found = headers()
        found.set_first("via", "x")
        self.assertEqual(found.lines("Via"), ["x, b", "c", "d"])
        found.set_first("Route", "<r>")
        found.set_first("route", "<s>")
        self.assertEqual(found.lines("Route"), ["<s>"])
        self.assertRaises(BadMessage, Headers([("Via", 'a, "b')]).set_first, "Via", "x")

    def test_add_and_prepend(self) -> None:
        """Last, and before the first of its name, or before all."""
        found = headers()
        found.add("VIA", "e")
        found.prepend("v", "0")
        found.prepend("To", "<sip:c@d>")
        found.prepend("Subject", "s")
        self.assertEqual(found.lines("Via"), ["0", "a, b", "c", "d", "e"])
        self.assertEqual(found.lines("To"), ["<sip:c@d>", "<sip:a@b>"])
        self.assertEqual(next(iter(found)), ("Subject", "s"))

    def test_remove(self) -> None:
        """All of a name, in any case; none is no error."""
        found = headers()
        for name in ("v", "X-FOO", "From", "X-Bar"):
            found.remove(name)
        self.assertEqual(list(found), [("To", "<sip:a@b>")])

    def test_injection(self) -> None:
        """CR, LF and NUL cannot get into a value, nor anything but a token into a name."""
        found = headers()
        changes: list[Callable[[str, str], None]] = [found.set, found.set_first, found.add, found.prepend]
        for change in changes:
            for name, value in (
                *(("Via", "a\r\nVia: b"), ("Via", "a\nb"), ("Via", "a\rb"), ("Via", "a\0b"), ("X-Foo", "\n")),
                *(("", "a"), ("a b", "a"), ("Via:", "a"), ("a\r\nb", "a"), ("é", "a"), ("From", "\r"), ("X-Bar", "\0")),
            ):
                self.assertRaises(ValueError, change, name, value)
        self.assertEqual(found, headers())

    def test_copy(self) -> None:
        """A copy is changed apart from the original, and so is what was read of it."""
        found = headers()
        found.typed["Via"] = "read"
        copied = found.copy()
        copied.set("Via", "x")
        self.assertEqual((found, found.typed), (headers(), {"Via": "read"}))
        self.assertEqual((copied.lines("Via"), copied.typed), (["x"], {}))
        self.assertEqual(found.copy().typed, {"Via": "read"})

    def test_forgets(self) -> None:
        """What was read of a header is forgotten when that header changes, whatever its spelling; others stay."""
        for change in (
            lambda found: found.set("v", "x"),
            lambda found: found.set_first("v", "x"),
            lambda found: found.add("vIA", "x"),
            lambda found: found.prepend("VIA", "x"),
            lambda found: found.remove("via"),
        ):
            found = headers()
            found.typed.update(Via="read", To="read")
            change(found)
            self.assertEqual(found.typed, {"To": "read"})

    def test_extend(self) -> None:
        """All headers of another message are appended, in their order and spelling; the other one stays as it was."""
        found, other = headers(), Headers([("v", "e"), ("Subject", "s"), ("x-bar", "1"), ("Subject", "t")])
        before = list(found)
        found.extend(other)
        self.assertEqual(list(found), [*before, *other])
        found.set("Subject", "u")
        self.assertEqual(other.lines("Subject"), ["s", "t"])
        found.extend(Headers())
        self.assertEqual(len(found), len(before) + 3)

    def test_extend_forgets(self) -> None:
        """What was read of a header that is appended is forgotten; others stay."""
        found = headers()
        found.typed.update(Via="read", To="read")
        found.extend(Headers([("v", "e")]))
        self.assertEqual(found.typed, {"To": "read"})

    def test_choice(self) -> None:
        """A choice of the headers by their canonical names, for relayed messages and responses."""
        self.assertEqual(list(headers().without({"Via", "X-Foo"})), [("To", "<sip:a@b>"), ("x-foo", "2")])
        self.assertEqual(list(headers().only({"To", "From"})), [("To", "<sip:a@b>")])

    def test_among(self) -> None:
        """Whether any header, or every one, has one of some names."""
        some = Headers([("To", "<sip:a@b>"), ("x-foo", "2")])
        self.assertTrue(some.has_any(frozenset({"Via", "To"})))
        self.assertFalse(some.has_any(frozenset({"Via"})))
        self.assertTrue(some.has_only(frozenset({"Via", "To", "x-foo"})))
        self.assertFalse(some.has_only(frozenset({"Via", "To"})))

    def test_block(self) -> None:
        """The lines as they are sent; Content-Length is set right, in its place or at the end, and not stored."""
        self.assertEqual(Headers([("l", "1"), ("X-A", "")]).block(2), "Content-Length: 2\r\nX-A: ")
        self.assertEqual(Headers([("l", "2"), ("X-A", "")]).block(2), "Content-Length: 2\r\nX-A: ")
        self.assertEqual(Headers([("X-A", "")]).block(2), "X-A: \r\nContent-Length: 2")
        kept = Headers([("l", "1")])
        kept.block(2)
        self.assertEqual(kept.get("l"), "1")
