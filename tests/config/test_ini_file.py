"""The INI file itself: comments, quotes, several-line values, lines, and what is said about a file that is none."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config.ini_file import IniFile, read
from webrtcproxy.config.mistakes import ConfigError


class ReadTests(SynchronousTestCase):
    """`read` turns a file into sections of bare values."""

    def file(self, text: str) -> IniFile:
        path = Path(self.mktemp())
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return read(path)

    def read(self, text: str) -> dict[str, dict[str, str]]:
        file = self.file(text)
        self.assertEqual(file.broken, [])
        return file.sections

    def refused(self, text: str) -> ConfigError:
        (error,) = self.file(text).broken
        return error

    def test_comments(self) -> None:
        """A ';' after a blank and at the start of a line begins a comment; a line with '#' in front is one too."""
        text = "; one\n# two\n[a]\nkey = value ; three\n; four\nother = x\t;five\n"
        self.assertEqual(self.read(text), {"a": {"key": "value", "other": "x"}})

    def test_semicolon_within_a_value(self) -> None:
        """A ';' without a blank in front belongs to the value, and so does a '#'."""
        self.assertEqual(self.read("[a]\nkey = x;y#z #w\n")["a"]["key"], "x;y#z #w")

    def test_quotes(self) -> None:
        """Double quotes around a value keep blanks and ' ;'; elsewhere a quote is a letter like others."""
        text = '[a]\none = " a ;b " ; comment\ntwo = a"b\nthree = "a" b\nfour = ""\n'
        self.assertEqual(self.read(text)["a"], {"one": " a ;b ", "two": 'a"b', "three": '"a" b', "four": ""})

    def test_several_lines(self) -> None:
        """A value goes on in lines with a blank in front; comment lines and comments between are taken out."""
        text = "[a]\nkey = one ; first\n  two\n  ; not this\n  three ; last\nnext = 1\n"
        self.assertEqual(self.read(text)["a"], {"key": "one\ntwo\nthree", "next": "1"})

    def test_percent_and_colon(self) -> None:
        """'%' and ':' are letters like others: passwords and endpoint strings have them."""
        self.assertEqual(self.read("[a]\nkey = 100%:%(x)s\n")["a"]["key"], "100%:%(x)s")
        self.assertEqual(self.read("[a]\nkey: x = y\n")["a"], {"key: x": "y"})

    def test_key_in_capitals(self) -> None:
        """Keys may be written in capitals."""
        self.assertEqual(self.read("[a]\nListen = 1\n")["a"], {"listen": "1"})

    def test_no_file(self) -> None:
        """A missing file is named with what the system says."""
        error = self.assertRaises(ConfigError, read, Path(self.mktemp()))
        self.assertIn("No such file", str(error))

    def test_not_utf8(self) -> None:
        """Bytes outside UTF-8 are a mistake that says so."""
        error = self.assertRaises(ConfigError, self.file, "[a]\nkey = \udcff\n")
        self.assertIn("not UTF-8", str(error))
        self.assertEqual(error.line, 2)

    def test_byte_order_mark(self) -> None:
        """What some editors put before the first line is no part of it, nor are their line ends (field.rst Y2: Byte
        order mark)."""
        self.assertEqual(self.read("\ufeff[a]\r\nkey = x ; y\r\n"), {"a": {"key": "x"}})
        joined = "\ufeff\ufeff[a]\nkey = x\n\ufeff[b]\n\ufeffkey = y\n"
        self.assertEqual(self.read(joined), {"a": {"key": "x"}, "b": {"key": "y"}})

    def test_utf16(self) -> None:
        """UTF-16, with a byte order mark or without, is a mistake that says so (field.rst Y2: Byte order mark)."""
        for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
            path = Path(self.mktemp())
            path.write_bytes("[a]\r\nkey = x\r\n".encode(encoding))
            error = self.assertRaises(ConfigError, read, path)
            self.assertIn("not UTF-8", str(error))
            self.assertEqual(error.line, 1)

    def test_before_any_section(self) -> None:
        """Settings outside of every section are named by the line of the first, not by its text, which may be a
        secret."""
        error = self.refused("\npassword = s3cret\nother = s3cret\n[a]\n")
        self.assertEqual(error.line, 2)
        self.assertNotIn("s3cret", str(error))

    def test_no_setting(self) -> None:
        """A line without a key, and a heading without an end, are named by their numbers only; the rest is read."""
        file = self.file("[a]\n= s3cret\nx = 1\n[b\n[]\ny = 2\n")
        self.assertEqual([error.line for error in file.broken], [2, 4, 5])
        self.assertNotIn("s3cret", "".join(map(str, file.broken)))
        self.assertEqual(file.sections, {"a": {"x": "1", "y": "2"}})

    def test_no_value(self) -> None:
        """A key without '=' has an empty value, also where the next line has a blank in front."""
        self.assertEqual(self.read("[a]\nkey\nother =\n")["a"], {"key": "", "other": ""})
        self.assertEqual(self.read("[a]\nkey\n more\n")["a"], {"key": "more"})

    def test_headings(self) -> None:
        """A comment after a heading is one; brackets within belong to the name."""
        text = "[a] ; see [b]\n[domain [::1]] # local\n[c];d\n[d]#e\n"
        self.assertEqual(list(self.read(text)), ["a", "domain [::1]", "c", "d"])

    def test_blanks_in_front(self) -> None:
        """Keys that all have the same blanks in front are keys; deeper lines belong to the value before."""
        text = "[a]\n  one = 1\n  two = 2\n    3\n  [b]\n  three = 4\n"
        self.assertEqual(self.read(text), {"a": {"one": "1", "two": "2\n3"}, "b": {"three": "4"}})

    def test_twice(self) -> None:
        """A section or key that stands there twice is named, with both lines."""
        error = self.refused("[a]\nx = 1\n[a]\ny = 2\n")
        self.assertEqual((error.section, error.key, error.line), ("a", "", 3))
        self.assertIn("first in line 1", str(error))
        error = self.refused("[a]\nx = 1\nx = 2\n")
        self.assertEqual((error.section, error.key, error.line), ("a", "x", 3))

    def test_twice_with_another_sign(self) -> None:
        """What follows a key after ':' is no part of it and is not shown."""
        self.assertNotIn("s3cret", str(self.refused("[a]\npassword: s3cret\npassword: s3cret\n")))


class LineTests(SynchronousTestCase):
    """`IniFile.line_of` finds where something stands."""

    TEXT = "; first\n[a]\nkey = one, two\n  ; between\n  three ; four\n\n  five 12\nempty =\n[b]\n"

    def test_lines(self) -> None:
        """The line of the entry that is meant, else of the key, else of the heading."""
        path = Path(self.mktemp())
        path.write_text(self.TEXT)
        file = read(path)
        for section, key, value, line in (
            ("a", "key", None, 3),
            ("a", "key", "one", 3),
            ("a", "key", "two", 3),
            ("a", "key", "three", 5),
            ("a", "key", "five", 7),
            ("a", "key", "five 12", 7),
            ("a", "key", "1", 3),
            ("a", "empty", "", 8),
            ("a", "missing", None, 2),
            ("b", "key", "x", 9),
            ("c", "key", "x", None),
            ("", "", None, None),
        ):
            self.assertEqual(file.line_of(ConfigError(section, key, value, "")), line, (section, key, value))

    def test_entry(self) -> None:
        """An entry may be named by its place, where the value is not as it is written."""
        path = Path(self.mktemp())
        path.write_text(self.TEXT)
        for entry, line in enumerate((3, 5, 7, 3)):
            error = ConfigError("a", "key", "/somewhere/else", "")
            error.entry = entry
            self.assertEqual(read(path).line_of(error), line)
            self.assertEqual(read(path).written(error), ("one, two", "three", "five 12", None)[entry])
        self.assertIsNone(read(path).written(ConfigError("a", "key", "one", "")))
