"""The users file: lines, what is wrong in them, and reading it again."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import TestCase

from webrtcproxy.users.users_file import Accounts, UsersFile, read_lines

MD5 = "0123456789abcdef" * 2
SHA = "0123456789abcdef" * 4
DOMAINS = ("example.com",)


class LinesTests(TestCase):
    """`read_lines`; docs/users.rst, "The users file"."""

    def broken(self, line: str) -> str:
        """What is wrong with the second of three lines, whose others stand."""
        accounts, broken = read_lines(["a@example.com", line, "c@example.com"], DOMAINS)
        self.assertEqual(list(accounts), ["a@example.com", "c@example.com"])
        self.assertEqual([each.number for each in broken], [2], line)
        return str(broken[0])

    def test_line(self) -> None:
        """A user with hashes and attributes, quoted as in a shell."""
        line = f"""alice@Example.com MD5={MD5.upper()} sha-256={SHA} name="Alice \\"Al\\" L" numbers='+49301, 101' #x"""
        accounts, broken = read_lines([line], DOMAINS)
        self.assertEqual(broken, [])
        account = accounts["alice@example.com"]
        self.assertEqual(account.hashes, {"md5": MD5, "sha-256": SHA})
        self.assertEqual(account.user.display_name, 'Alice "Al" L')
        self.assertEqual(account.user.numbers, ("+49301", "101"))
        self.assertNotIn(MD5, repr(account))

    def test_nothing(self) -> None:
        """Empty lines and comments are no users; a user without hashes is one that logs in by token."""
        accounts, broken = read_lines(["", "  ", "# a", " ; b", "a@example.com;x=1 # c", "b@example.com ;c"], DOMAINS)
        self.assertEqual(list(accounts), ["b@example.com"])
        self.assertEqual([each.number for each in broken], [5])

    def test_names_in_utf8(self) -> None:
        """A name outside of ASCII is the same address-of-record as with its escapes (RFC 3261 section 10.3 step 5)."""
        accounts, broken = read_lines(["müller@example.com", "m%c3%bcller@example.com"], DOMAINS)
        self.assertEqual(list(accounts), ["m%C3%BCller@example.com"])
        self.assertIn("m%C3%BCller@example.com stands in line 1 too", str(broken[0]))

    def test_broken(self) -> None:
        """A line that can't be used is named with number and remedy, and the others stand."""
        for line, problem in (
            ("alice", "USER@DOMAIN"),
            ("@example.com", "USER@DOMAIN"),
            ("a:b@example.com", "name of a user"),
            ("alice@exa/mple", "domain"),
            ("alice@other.com", "other.com: no [domain] section"),
            ("alice@example.com md5", "without '='"),
            ("alice@example.com md5=xyz", "md5: this is no hash of 32"),
            (f"alice@example.com sha-256={MD5}", "sha-256: this is no hash of 64"),
            (f"alice@example.com md5={MD5} MD5={MD5}", "md5: it stands there twice"),
            ("alice@example.com nubmers=1", "nubmers: there is no such attribute"),
            ("alice@example.com numbers=x", "numbers: 'x' is no telephone number"),
            ("alice@example.com password=secret", "password: no password stands in this file"),
            ('alice@example.com name="Alice', "a quote is not closed"),
            ("alice@example.com name=Alice\\", "a quote is not closed"),
            ("a@example.com", "a@example.com stands in line 1 too"),
        ):
            why = self.broken(line)
            self.assertIn(problem, why)
            self.assertTrue(why.startswith("line 2: ") and "; " in why, why)
            self.assertNotIn("secret", why.replace("password: no", ""))
            self.assertNotIn("xyz", why)


class FileTests(TestCase):
    """`UsersFile`."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.write(f"alice@example.com md5={MD5} groups=sales,night\nbob@example.com groups=sales\nbroken\n")
        self.file = UsersFile(self.path, DOMAINS)

    def write(self, text: str, encoding: str = "utf-8") -> None:
        """Replace the file as an editor does, so that it is another one even within one tick of its time."""
        new = self.path.with_name(self.path.name + ".new")
        new.write_text(text, encoding)
        new.replace(self.path)

    def test_read(self) -> None:
        """Users and members of groups are found; a line that can't be used is kept for whoever asks."""
        alice = self.file.get("alice@example.com")
        assert alice is not None
        self.assertEqual(alice.hashes, {"md5": MD5})
        self.assertIsNone(self.file.get("carol@example.com"))
        self.assertEqual(list(self.file.members("example.com", "sales")), ["alice@example.com", "bob@example.com"])
        self.assertEqual(list(self.file.members("example.com", "nobody")), [])
        self.assertEqual([each.number for each in self.file.broken], [3])

    def test_changed(self) -> None:
        """A change is read without a restart, and whoever watches is given what was before and what is now."""
        changes: list[tuple[Accounts, Accounts]] = []
        self.file.watch(lambda before, now: changes.append((before, now)))
        self.file.refresh()
        self.assertEqual(changes, [])
        self.write("bob@example.com\n")
        self.file.refresh()
        self.assertIsNone(self.file.get("alice@example.com"))
        self.assertEqual([(sorted(before), sorted(now)) for before, now in changes], [
            (["alice@example.com", "bob@example.com"], ["bob@example.com"]),
        ])  # fmt: skip
        self.assertEqual(list(self.file.members("example.com", "sales")), [])

    def test_known_lines(self) -> None:
        """Of a long file only the lines that have changed are read: the others are the same accounts as before."""
        bob, alice = self.file.get("bob@example.com"), self.file.get("alice@example.com")
        self.write("# new\nbob@example.com groups=sales\nalice@example.com\nbob@example.com groups=sales\n")
        self.file.refresh()
        self.assertIs(self.file.get("bob@example.com"), bob)
        self.assertIsNot(self.file.get("alice@example.com"), alice)
        (broken,) = self.file.broken
        self.assertIn("line 4: bob@example.com stands in line 2 too", str(broken))

    def test_unreadable(self) -> None:
        """A file that vanishes, or can't be read, changes nothing: nobody is thrown out by a mistake."""
        self.path.unlink()
        self.file.refresh()
        self.assertEqual(len(self.file), 2)
        self.assertIn("No such file", str(self.file.broken[0]))
        self.write("müller@example.com", "latin-1")
        self.file.refresh()
        self.assertEqual(len(self.file), 2)
        self.assertIn("not UTF-8", str(self.file.broken[0]))
        self.write("\ufeffmüller@example.com")
        self.file.refresh()
        self.assertEqual((len(self.file), self.file.broken), (1, []))

    def test_too_long(self) -> None:
        """A file without an end is not read to the end."""
        with self.path.open("wb") as file:
            file.truncate((32 << 20) + 1)
        self.file.refresh()
        self.assertIn("longer than 32 MiB", str(self.file.broken[0]))
        self.assertEqual(len(self.file), 2)
