"""sip.grammar: tokens, numbers, quoted strings, lists and parameters, hosts."""

import contextlib
from time import process_time

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip import grammar
from webrtcproxy.sip.errors import BadMessage


class WordTests(SynchronousTestCase):
    """RFC 3261 section 25.1."""

    def test_tokens(self) -> None:
        """A token has letters, digits and -.!%*_+`'~, nothing else, and is not empty (RFC 3261 section 25.1)."""
        for text in ("INVITE", "x", "!interesting-Method0123456789_*+`.%indeed'~", "100rel"):
            self.assertTrue(grammar.is_token(text), text)
        for text in ("", "a b", "a:b", "SIP/2.0", "é", "²", "a\n", "a\udcff", '"a"', "a@b", "a;b"):
            self.assertFalse(grammar.is_token(text), text)

    def test_numbers(self) -> None:
        """Numbers are ASCII digits, leading zeros allowed, with an upper bound (RFC 4475 3.1.1.1, 3.1.2.4)."""
        for text, value in (("0", 0), ("0068", 68), ("255", 255), ("0" * 5000, 0), ("00000000000255", 255)):
            self.assertEqual(grammar.number(text, 255), value, text[:20])
        for text in ("", "256", "-1", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "٣", "²", "1_0", "9" * 5000):
            self.assertIsNone(grammar.number(text, 255), text[:20])
        self.assertEqual(grammar.number("4294967295", 2**32 - 1), 2**32 - 1)
        self.assertIsNone(grammar.number("36893488147419103232", 2**64), "more digits than any number of SIP's")

    def test_quoting(self) -> None:
        """Quotes and backslashes are escaped, and nothing that breaks a line is written (RFC 3261 section 25.1)."""
        for text, quoted in (("", '""'), ("Alice", '"Alice"'), ('a"b\\c', '"a\\"b\\\\c"'), ("é", '"é"')):
            self.assertEqual(grammar.quote(text), quoted)
            self.assertEqual(grammar.unquote(quoted), text)
        self.assertEqual(grammar.quote("a\r\nVia: x\0"), '"aVia: x"')
        self.assertEqual(grammar.quote("a\x1b[31m\x07\x08\x7f\x9bb\tü"), '"a[31mb\tü"')

    def test_unquoting(self) -> None:
        """Any character may stand after a backslash; what is not quoted stays as it is (RFC 3261 section 25.1)."""
        for text, said in (
            ('"\\a\\"\\\\"', 'a"\\'),
            ("a\\b", "a\\b"),
            ('"', '"'),
            ('""', ""),
            ('"a', '"a'),
            ('a"', 'a"'),
        ):
            self.assertEqual(grammar.unquote(text), said, text)

    def test_errors_speak(self) -> None:
        """BadMessage shows status and reason in a log line."""
        error = BadMessage("Bad CSeq")
        self.assertEqual((str(error), error.status, error.request), ("400 Bad CSeq", 400, None))


class ListTests(SynchronousTestCase):
    """Multi-values."""

    def test_split(self) -> None:
        """Separators inside "..." and <...> do not split."""
        for text, parts in (
            ("", [""]),
            ("a", ["a"]),
            ("a,b", ["a", "b"]),
            (",", ["", ""]),
            ('"a,b" <sip:c,d@e>;x="f,g",<h>', ['"a,b" <sip:c,d@e>;x="f,g"', "<h>"]),
            ('"a\\",b",c', ['"a\\",b"', "c"]),
            ('"a\\\\",b', ['"a\\\\"', "b"]),
            ('"<",b', ['"<"', "b"]),
            ('<">",b', None),
        ):
            if parts is None:
                self.assertRaises(BadMessage, grammar.split, text, ",")
            else:
                self.assertEqual(grammar.split(text, ","), parts, text)
        self.assertEqual(grammar.split('<a;b>;c="d;e"', ";"), ["<a;b>", 'c="d;e"'])

    def test_open_ends(self) -> None:
        """A quote or angle bracket that is never closed is an error (RFC 4475 3.1.2.6)."""
        for text in ('a,"b', 'a,"b\\"', "a,<b", 'a,"b\\', '"a" <b,"c'):
            self.assertRaises(BadMessage, grammar.split, text, ",")

    def test_items(self) -> None:
        """Elements are stripped, and empty ones are no elements."""
        self.assertEqual(grammar.items(" a ,\tb,, ,c,"), ["a", "b", "c"])
        self.assertEqual(grammar.items(""), [])

    def test_linear(self) -> None:
        """What has many quotes, escapes or brackets and no end costs no more than its length."""
        for text in ('"' * 65535, '\\"' * 30000, '"' + '\\"' * 30000, "<" * 60000, '"a",' * 15000, "<a>," * 15000):
            for separator in ",;":
                began = process_time()
                with contextlib.suppress(BadMessage):
                    grammar.split(text, separator)
                self.assertLess(process_time() - began, 0.25, text[:10])
        began = process_time()
        self.assertRaises(BadMessage, grammar.parse_params, " " * 60000 + "a b" + " " * 60000)
        self.assertLess(process_time() - began, 0.25)


class ParamTests(SynchronousTestCase):
    """Parameters after a semicolon."""

    def test_read(self) -> None:
        """Names, values, flags, whitespace around them, quoted values kept as written (RFC 3261 section 7.3.1)."""
        for text, params in (
            ("", ()),
            (" ", ()),
            ("lr", (("lr", None),)),
            ("tag=1;q=0.5", (("tag", "1"), ("q", "0.5"))),
            (" tag\t= 1 ;\tlr ", (("tag", "1"), ("lr", None))),
            ('+sip.instance="<urn:uuid:1;2>" ;x', (("+sip.instance", '"<urn:uuid:1;2>"'), ("x", None))),
            ('a="b\\";c";d', (("a", '"b\\";c"'), ("d", None))),
            ('a="";b="\\""', (("a", '""'), ("b", '"\\""'))),
            ("branch=z9hG4bK-a==;x", (("branch", "z9hG4bK-a=="), ("x", None))),
            ("lr;", (("lr", None),)),
            ("a=;b = ;c", (("a", ""), ("b", ""), ("c", None))),
            *((text, (("a", None), ("b", "1"))) for text in ("a;;b=1", ";a;b=1", "a;b=1;;", "a; ;b=1", ";;a;;b=1;")),
            *((text, ()) for text in (";", ";;", " ; ")),
        ):
            self.assertEqual(grammar.parse_params(text), params, text)

    def test_broken(self) -> None:
        """A value without a name, blanks within, open quotes and what stands beside a quoted string are errors."""
        for text in (
            *("=b", " =b", "=", "a;=b", "a b", "a=b c", 'a="b'),
            *('a="b"c', 'a=b"c"', '"a"=b', 'a="b" c', '"a"', "a\tb"),
        ):
            self.assertRaises(BadMessage, grammar.parse_params, text)

    def test_written(self) -> None:
        """Parameters are written as they were read."""
        params = (("a", "1"), ("b", None), ("c", '"x"'))
        self.assertEqual(grammar.format_params(params), ';a=1;b;c="x"')
        self.assertEqual(grammar.format_params(()), "")

    def test_found(self) -> None:
        """Names are looked up in any case; the first of a name counts."""
        params = (("Tag", "1"), ("lr", None), ("tag", "2"))
        self.assertEqual(grammar.find_param(params, "tag"), "1")
        self.assertEqual(grammar.find_param(params, "LR"), "")
        self.assertIsNone(grammar.find_param(params, "x"))

    def test_set(self) -> None:
        """A parameter is replaced in its place, once; a new one stands last."""
        params = (("Tag", "1"), ("lr", None), ("tag", "2"))
        self.assertEqual(grammar.set_param(params, "TAG", "3"), (("Tag", "3"), ("lr", None)))
        self.assertEqual(grammar.set_param(params, "rport", None), (*params, ("rport", None)))


class HostTests(SynchronousTestCase):
    """host[:port] of URIs and Vias."""

    def test_read(self) -> None:
        """Names, IPv4 and IPv6 references; brackets tell address from port (RFC 5118 4.1, 4.3, 4.4)."""
        for text, host in (
            ("pbx1", ("pbx1", None)),
            ("a_b.example.com.", ("a_b.example.com.", None)),
            ("192.0.2.1:5060", ("192.0.2.1", 5060)),
            ("h:0", ("h", 0)),
            ("h:065535", ("h", 65535)),
            ("[2001:db8::10:5070]", ("[2001:db8::10:5070]", None)),
            ("[2001:db8::10]:5070", ("[2001:db8::10]", 5070)),
            ("[::ffff:192.0.2.10]:1", ("[::ffff:192.0.2.10]", 1)),
        ):
            self.assertEqual(grammar.parse_host(text), host)

    def test_broken(self) -> None:
        """Bare IPv6, bad addresses and ports, other characters are errors (RFC 5118 4.2, 4.10)."""
        for text in (
            *("", ":5060", "2001:db8::10", "h:", "h:65536", "h:-1", "h:x", "h:1:2", "h h", "h/", "hé", "h\0"),
            *("[", "[]", "[::1", "::1]", "[::1]5060", "[::1]:", "[2001:db8:::192.0.2.1]", "[1.2.3.4]", "[::1%25eth0]"),
            *("[::1]x:1", "[:: 1]", "[::٣]", "a@b", "[::1%eth0]"),
        ):
            self.assertRaises(BadMessage, grammar.parse_host, text)
