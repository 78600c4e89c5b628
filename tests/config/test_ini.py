"""Sections: typed values, and what is said about the others."""

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config.ini import Secret, Section
from webrtcproxy.config.mistakes import ConfigError, ConfigErrors


class SectionTests(SynchronousTestCase):
    """`Section` reads typed values and says what is wrong with the others."""

    def section(self, **raw: str) -> Section:
        return Section("a", raw, ("one", "listen", "password"), ("password",))

    def refused(self, method: str, *arguments: object, **raw: str) -> ConfigError:
        return self.assertRaises(ConfigError, getattr(self.section(**raw), method), "one", *arguments)

    def test_unknown_key(self) -> None:
        """An unknown key is an error with the closest known one; its value is not shown."""
        (error,) = self.section(passwort="s3cret").mistakes
        self.assertEqual(str(error), "[a] passwort: there is no such key; did you mean 'password'?")

    def test_unknown_key_like_no_other(self) -> None:
        """An unknown key that resembles none gets the list of the known ones."""
        self.assertIn("known are one, listen, password", str(*self.section(zzzz="").mistakes))

    def test_colon_for_equals(self) -> None:
        """'key: value' is told apart from an unknown key, and the value is not shown."""
        (error,) = Section("a", {"password: s3cret": ""}, ("password",)).mistakes
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
        section = self.section(one="1 x 2 y")
        errors = self.assertRaises(ConfigErrors, section.each, "one", "write numbers", int).mistakes
        self.assertEqual([error.value for error in errors], ["x", "y"])
        self.assertIn("invalid literal", errors[0].problem)
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


class SecretTests(SynchronousTestCase):
    """`Secret` is a text that repr does not tell."""

    def test_masked(self) -> None:
        """repr is masked wherever the secret is held; the text itself is unchanged."""
        self.assertNotIn("s3cret", repr({"x": [Secret("s3cret")]}))
        self.assertEqual(Secret("s3cret"), "s3cret")
