"""Accounts of users at trunks."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config import Trunk
from webrtcproxy.users.trunk_accounts import TrunkAccounts, broken_accounts
from webrtcproxy.users.user import TrunkAccount, User

TEXT = """
# name username password
1001 1001-auth correct horse ; battery
  1002\tbob\tp#ss
"""


class AccountsTests(SynchronousTestCase):
    """Two trunks, the second with a port."""

    def setUp(self) -> None:
        self.time = 0
        self.one, self.two = self.write("one", TEXT), self.write("two", "1001 x y\n")
        self.trunks = (
            Trunk("one", "one.example", accounts=self.one),
            Trunk("two", "two.example", 5080, accounts=self.two),
            Trunk("three", "three.example"),
        )
        self.accounts = TrunkAccounts(self.trunks)

    def write(self, name: str, text: str) -> Path:
        path = Path(self.mktemp()) if name not in self.__dict__ else self.__dict__[name]
        path.write_text(text)
        self.time += 1
        os.utime(path, (self.time, self.time))
        return path

    def of(self, *account: str) -> dict[str, TrunkAccount]:
        return dict(self.accounts.of(User("alice", "example.com", account=account)))

    def test_found(self) -> None:
        """The name is the user at the trunk's host, the password the rest of the line."""
        found = self.of("1001")
        self.assertEqual(found["one"], TrunkAccount("1001@one.example", "1001-auth", "correct horse ; battery"))
        self.assertEqual(found["two"], TrunkAccount("1001@two.example:5080", "x", "y"))
        self.assertEqual(self.of("1002"), {"one": TrunkAccount("1002@one.example", "bob", "p#ss")})
        self.assertNotIn("correct", repr(found))

    def test_byte_order_mark(self) -> None:
        """One before the first line is no part of a name, and no part of a comment's sign."""
        self.write("one", "\ufeff1003 carol pw\r\n")
        self.assertEqual(self.of("1003"), {"one": TrunkAccount("1003@one.example", "carol", "pw")})
        self.write("one", "\ufeff# name username password\n")
        self.assertEqual(list(broken_accounts(self.trunks)), [])

    def test_one_trunk(self) -> None:
        """With a trunk before it, a name is of that trunk only."""
        self.assertEqual(list(self.of("two/1001")), ["two"])
        self.assertEqual({name: account.aor for name, account in self.of("one/1002", "two/1001").items()},
                         {"one": "1002@one.example", "two": "1001@two.example:5080"})  # fmt: skip

    def test_none(self) -> None:
        """Who has no such attribute, or one that names no line, has no account."""
        self.assertEqual(self.of(), {})
        self.assertEqual(self.of("1003", "three/1001", "four/1001", "#", ""), {})

    def test_change(self) -> None:
        """The file is read again when it changes; while it can't be read, the accounts stay."""
        self.assertEqual(len(self.of("1001")), 2)
        self.write("one", "2000 a b\n")
        self.assertEqual(list(self.of("1001")), ["two"])
        self.assertEqual(list(self.of("2000")), ["one"])
        self.one.unlink()
        with capturedLogs() as events:
            self.assertEqual(list(self.of("2000")), ["one"])
            self.of("2000")
        self.assertEqual(len(events), 1)

    def test_unreadable(self) -> None:
        """A file that is no text is named."""
        self.one.write_bytes(b"a b \xff\n")
        (mistake,) = broken_accounts(self.trunks)
        self.assertIn(f"{self.one}: it can't be read", str(mistake))

    def test_broken(self) -> None:
        """A line that can't be used is named, without anything of a password, and the others stand."""
        self.write("one", "a b secret\nuser secret\na c secret2\nd e secret3")
        found = list(broken_accounts(self.trunks))
        self.assertEqual([mistake.line for mistake in found], [2, 3])
        for mistake in found:
            self.assertTrue(str(mistake).startswith(f"{self.one}:{mistake.line}: "))
            self.assertNotIn("secret", str(mistake))
        self.assertEqual(list(self.of("d")), ["one"])
