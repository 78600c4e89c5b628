"""The INI file itself: comments, quotes, several-line values, and what is said about a file that is none."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config.ini import ConfigError, Secret, Section, read


class ReadTests(SynchronousTestCase):
    """`read` turns a file into sections of bare values."""

    def read(self, text: str) -> dict[str, dict[str, str]]:
        path = Path(self.mktemp())
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return read(path)

    def refused(self, text: str) -> ConfigError:
        return self.assertRaises(ConfigError, self.read, text)

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
        self.assertIn("not UTF-8", str(self.refused("[a]\nkey = \udcff\n")))

    def test_byte_order_mark(self) -> None:
        """What some editors put before the first line is no part of it, nor are their line ends."""
        self.assertEqual(self.read("\ufeff[a]\r\nkey = x ; y\r\n"), {"a": {"key": "x"}})

    def test_before_any_section(self) -> None:
        """A setting outside of every section is named by its line, not by its text, which may be a secret."""
        error = str(self.refused("password = s3cret\n"))
        self.assertIn("line 1", error)
        self.assertNotIn("s3cret", error)

    def test_no_setting(self) -> None:
        """A line without a key is named by its number only."""
        error = str(self.refused("[a]\n= s3cret\n"))
        self.assertIn("line 2", error)
        self.assertNotIn("s3cret", error)

    def test_twice(self) -> None:
        """A section or key that stands there twice is named."""
        error = self.refused("[a]\nx = 1\n[a]\ny = 2\n")
        self.assertEqual((error.section, error.key), ("a", ""))
        error = self.refused("[a]\nx = 1\nx = 2\n")
        self.assertEqual((error.section, error.key), ("a", "x"))

    def test_twice_with_another_sign(self) -> None:
        """What follows a key after ':' is no part of it and is not shown."""
        self.assertNotIn("s3cret", str(self.refused("[a]\npassword: s3cret\npassword: s3cret\n")))


class SectionTests(SynchronousTestCase):
    """`Section` reads typed values and says what is wrong with the others."""

    def section(self, **raw: str) -> Section:
        return Section("a", raw, ("one", "listen", "password"), ("password",))

    def refused(self, method: str, *arguments: object, **raw: str) -> ConfigError:
        return self.assertRaises(ConfigError, getattr(self.section(**raw), method), "one", *arguments)

    def test_unknown_key(self) -> None:
        """An unknown key is an error with the closest known one; its value is not shown."""
        error = self.assertRaises(ConfigError, self.section, passwort="s3cret")
        self.assertEqual(str(error), "[a] passwort: there is no such key; did you mean 'password'?")

    def test_unknown_key_like_no_other(self) -> None:
        """An unknown key that resembles none gets the list of the known ones."""
        self.assertIn("known are one, listen, password", str(self.assertRaises(ConfigError, self.section, zzzz="")))

    def test_colon_for_equals(self) -> None:
        """'key: value' is told apart from an unknown key, and the value is not shown."""
        error = self.assertRaises(ConfigError, Section, "a", {"password: s3cret": ""}, ("password",))
        self.assertEqual(str(error), "[a] password: there is no '=' after the key; write 'key = value'")

    def test_missing_value(self) -> None:
        """A key with nothing after it is an error with the remedy."""
        for method in ("text", "lines", "words"):
            error = self.refused(method, "write a host", one="")
            self.assertEqual(str(error), "[a] one: the value is missing; write a host")
        self.assertIn("missing", str(self.refused("words", "write a host", one=",")))

    def test_next_key_swallowed(self) -> None:
        """A key with a blank in front becomes part of the value before it: said so, and not shown."""
        error = self.refused("text", "", one="host\npassword = s3cret")
        self.assertIn("take the blanks from the start of the next line", str(error))
        self.assertNotIn("s3cret", str(error))

    def test_lists(self) -> None:
        """Words are apart by blanks, commas and line ends; lines by line ends only."""
        section = self.section(one="a b,c\nd")
        self.assertEqual(section.words("one", ""), ("a", "b", "c", "d"))
        self.assertEqual(section.lines("one", ""), ("a b,c", "d"))

    def test_parsed(self) -> None:
        """What a parser refuses is shown alone, with the parser's reason and the remedy."""
        error = self.refused("each", "write numbers", int, one="1 2 x 4")
        self.assertEqual(error.value, "x")
        self.assertIn("invalid literal", error.problem)
        self.assertEqual(self.section(one="1 2").each("one", "", int), (1, 2))
        self.assertEqual(self.section(one="1\n2").each_line("one", "", int), (1, 2))
        self.assertEqual(self.section(one="1").one("one", "", int), 1)

    def test_numbers(self) -> None:
        """Numbers have bounds; no word, no fraction where a whole one is wanted, no 'nan'."""
        self.assertEqual(self.section(one="2.5").number("one", 0, 3), 2.5)
        self.assertEqual(self.section(one="3").whole("one", 0, 3), 3)
        for value in ("x", "4", "-1", "nan", "inf", "1 2"):
            self.assertIn("write a number from 0 to 3", str(self.refused("number", 0, 3, one=value)))
        self.assertIn("whole", str(self.refused("whole", 0, 3, one="2.5")))

    def test_flags(self) -> None:
        """yes, no and their kin in any case; nothing else."""
        for value, meant in (("yes", True), ("True", True), ("ON", True), ("1", True), ("no", False), ("off", False)):
            self.assertIs(self.section(one=value).flag("one"), meant)
        self.assertIn("write yes or no", str(self.refused("flag", one="maybe")))

    def test_choice(self) -> None:
        """One of a few words, in any case; the error lists them."""
        self.assertEqual(self.section(one="UDP").choice("one", ("udp", "tcp")), "udp")
        self.assertIn("write one of udp, tcp", str(self.refused("choice", ("udp", "tcp"), one="sctp")))


class ConfigErrorTests(SynchronousTestCase):
    """`ConfigError` is one line with everything in it."""

    def test_one_line(self) -> None:
        """File, section, key, value, problem and remedy stand in one line, whatever the value was."""
        error = ConfigError("wss", "listen", "a\nb", "write c", "bad")
        error.path = Path("/etc/proxy.ini")
        self.assertEqual(str(error), "/etc/proxy.ini: [wss] listen = a b: bad; write c")

    def test_whole_file(self) -> None:
        """A mistake of the whole file names the file."""
        error = ConfigError("", "", None, "give another")
        error.path = Path("/etc/proxy.ini")
        self.assertEqual(str(error), "/etc/proxy.ini: give another")


class SecretTests(SynchronousTestCase):
    """`Secret` is a text that repr does not tell."""

    def test_masked(self) -> None:
        """repr is masked wherever the secret is held; the text itself is unchanged."""
        self.assertNotIn("s3cret", repr({"x": [Secret("s3cret")]}))
        self.assertEqual(Secret("s3cret"), "s3cret")
