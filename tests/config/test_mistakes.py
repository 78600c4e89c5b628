"""Mistakes: how they are written, and how they are collected."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config.ini_file import IniFile
from webrtcproxy.config.mistakes import ConfigError, ConfigErrors, Mistakes


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

    def test_line(self) -> None:
        """The number of the line follows the file, as compilers write it; a line alone says nothing."""
        error = ConfigError("wss", "listen", "a", "write c", "bad", 7)
        self.assertEqual(str(error), "[wss] listen = a: bad; write c")
        error.path = Path("/etc/proxy.ini")
        self.assertEqual(str(error), "/etc/proxy.ini:7: [wss] listen = a: bad; write c")


class MistakesTests(SynchronousTestCase):
    """`Mistakes` collects those of a file."""

    def setUp(self) -> None:
        self.mistakes = Mistakes(Path("/proxy.ini"), IniFile({}, {("a", ""): 1, ("a", "x"): 2, ("a", "y"): 3}))

    def told(self) -> list[str]:
        return [str(error).removeprefix("/proxy.ini:") for error in self.mistakes]

    def test_order(self) -> None:
        """The order is that of the lines; then what has none, then those of other files."""
        other = ConfigError("", "", None, "d", line=1)
        other.path = Path("/users")
        self.mistakes.note(other, ConfigError("b", "x", None, "c"), ConfigError("a", "y", None, "b"))
        self.mistakes.note(ConfigError("a", "x", None, "a"))
        self.assertEqual(self.told(), ["2: [a] x: a", "3: [a] y: b", " [b] x: c", "/users:1: d"])
        errors = self.assertRaises(ConfigErrors, self.mistakes.raise_any)
        self.assertEqual(str(errors).count("\n"), 3)

    def test_none(self) -> None:
        """Nothing is raised where nothing was noted."""
        self.mistakes.raise_any()

    def test_once(self) -> None:
        """The same mistake is told once, another one of the same key as well."""
        self.mistakes.note(ConfigError("a", "x", "1", "a"), ConfigError("a", "x", "1", "a"))
        self.mistakes.note(ConfigError("a", "x", "2", "a"))
        self.assertEqual(len(self.told()), 2)

    def test_given_up(self) -> None:
        """What was given up takes no further mistakes: they would be those of its stand-in."""
        self.mistakes.note(ConfigError("a", "x", None, "a"))
        self.mistakes.give_up("a", "x")
        self.mistakes.note(ConfigError("a", "x", None, "b"), ConfigError("a", "y", None, "c"))
        self.assertEqual(self.told(), ["2: [a] x: a", "3: [a] y: c"])
