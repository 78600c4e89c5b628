"""What ``webrtcproxy passwd`` does to a users file."""

from __future__ import annotations

from hashlib import md5, sha256
from pathlib import Path

from twisted.trial.unittest import TestCase

from webrtcproxy.users import passwd
from webrtcproxy.users.attributes import AttributeRefused
from webrtcproxy.users.passwd import remove, set_password


def hashes(user: str, realm: str, password: str) -> str:
    """The hashes of a line, as RFC 7616 section 3.4.2 has them."""
    text = f"{user}:{realm}:{password}".encode()
    return f"md5={md5(text).hexdigest()} sha-256={sha256(text).hexdigest()}"


class PasswdTests(TestCase):
    """`set_password` and `remove`; docs/users.rst, "Passwords"."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_new_file(self) -> None:
        """The first user makes the file, which nobody else can read."""
        self.assertTrue(set_password(self.path, "alice@example.com", "wonderland"))
        line = f"alice@example.com {hashes('alice', 'example.com', 'wonderland')}\n"
        self.assertEqual(self.path.read_text(), line)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_change(self) -> None:
        """A new password replaces the hashes; attributes, comments and other lines stay as they are written."""
        self.path.write_text(
            "# ours\nbob@example.com md5=x\n\n"
            "  alice@EXAMPLE.com md5=1 name='A \"L\"' SHA-512-256=2 numbers=+1 # hers\n"
        )
        self.assertFalse(set_password(self.path, "alice@example.com", "new"))
        self.assertEqual(
            self.path.read_text(),
            "# ours\nbob@example.com md5=x\n\n"
            f"alice@example.com {hashes('alice', 'example.com', 'new')} name='A \"L\"' numbers=+1 # hers\n",
        )

    def test_byte_order_mark(self) -> None:
        """An editor may have put one before the first user, whose line is changed all the same, and removed."""
        self.path.write_bytes(b"\xef\xbb\xbfalice@example.com md5=1\r\nbob@example.com md5=x\r\n")
        self.assertFalse(set_password(self.path, "alice@example.com", "new"))
        line = f"alice@example.com {hashes('alice', 'example.com', 'new')}"
        self.assertEqual(self.path.read_bytes(), f"{line}\nbob@example.com md5=x\n".encode())
        self.path.write_bytes(b"\xef\xbb\xbfalice@example.com md5=1\r\n")
        self.assertTrue(remove(self.path, "alice@example.com"))
        self.assertEqual(self.path.read_bytes(), b"")

    def test_private(self) -> None:
        """An old file becomes private, too, whatever the umask has given it: who has a hash can log in with it."""
        for mode in (0o644, 0o640, 0o660, 0o600, 0o666):
            self.path.write_text("")
            self.path.chmod(mode)
            set_password(self.path, "alice@example.com", "p")
            self.assertEqual(self.path.stat().st_mode & 0o777, 0o600, oct(mode))

    def test_group(self) -> None:
        """What a group may do stays where somebody has given the file to another group than its owner's, as that of the
        proxy; others may do nothing."""
        self.patch(passwd, "_group_of", lambda uid: self.path.stat().st_gid + 1)
        for mode, left in ((0o644, 0o640), (0o640, 0o640), (0o664, 0o660), (0o600, 0o600)):
            self.path.write_text("")
            self.path.chmod(mode)
            set_password(self.path, "alice@example.com", "p")
            self.assertEqual(self.path.stat().st_mode & 0o777, left, oct(mode))

    def test_unknown_owner(self) -> None:
        """The owner may be one that the system does not know, as in a container: nobody has chosen a group."""
        self.patch(passwd, "getpwuid", {}.__getitem__)
        self.path.write_text("")
        self.path.chmod(0o644)
        set_password(self.path, "alice@example.com", "p")
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_twice(self) -> None:
        """Of two lines of a user one stays: a reader takes the first, and the second might be an old password."""
        self.path.write_text("alice@example.com md5=1\nbob@example.com\nalice@example.com md5=2\n")
        set_password(self.path, "alice@example.com", "new")
        lines = [line.split()[0] for line in self.path.read_text().splitlines()]
        self.assertEqual(lines, ["alice@example.com", "bob@example.com"])

    def test_realm_and_algorithms(self) -> None:
        """Hashes for another realm, and of other algorithms."""
        set_password(self.path, "alice@example.com", "p", "SIP", ["sha-256"])
        digest = sha256(b"alice:SIP:p").hexdigest()
        self.assertEqual(self.path.read_text(), f"alice@example.com sha-256={digest}\n")

    def test_remove(self) -> None:
        """A user is removed, and nobody else; one that is not there is no error but said."""
        self.path.write_text("alice@example.com md5=1\nbob@example.com\n# x\n")
        self.assertTrue(remove(self.path, "alice@EXAMPLE.com"))
        self.assertEqual(self.path.read_text(), "bob@example.com\n# x\n")
        self.assertFalse(remove(self.path, "alice@example.com"))

    def test_refused(self) -> None:
        """What can't be a user is not written."""
        for who in ("alice", "@example.com", "a b@example.com", "alice@", "a:b@example.com"):
            self.assertRaises(AttributeRefused, set_password, self.path, who, "p")
        self.assertFalse(self.path.exists())

    def test_link(self) -> None:
        """A symbolic link stays one."""
        real = self.path.with_suffix(".real")
        real.write_text("")
        self.path.symlink_to(real.name)
        set_password(self.path, "alice@example.com", "p")
        self.assertTrue(self.path.is_symlink())
        self.assertIn("alice@example.com", real.read_text())

    def test_nothing_left(self) -> None:
        """No other file is left in the folder, whatever fails."""
        self.path.parent.joinpath("users").mkdir()
        path = self.path.parent / "users" / "file"
        set_password(path, "alice@example.com", "p")
        self.assertRaises(AttributeRefused, set_password, path, "alice", "p")
        self.assertEqual([each.name for each in path.parent.iterdir()], ["file"])
