"""``webrtcproxy passwd`` as an administrator meets it: a process of its own, on a terminal or in a script."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.users.test_passwd import hashes
from webrtcproxy.users.users_file import UsersFile

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-m", "webrtcproxy")
CONFIGURATION = """
[wss]
listen = tcp:0:interface=127.0.0.1
[rtpengine]
nodes = 127.0.0.1:9
[domain example.com]
users = people
realm = SIP
"""


class CommandCase(SynchronousTestCase):
    """Runs the command in a folder of its own."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.file = self.folder / "users"

    def run_command(self, *arguments: str, told: str = "") -> tuple[int, str]:
        """Its exit code, and all that it says."""
        result = subprocess.run(
            (*COMMAND, *arguments),
            cwd=self.folder, input=told, capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        return result.returncode, result.stdout + result.stderr

    def on_terminal(self, *arguments: str, typed: str) -> tuple[int, str]:
        """The same on a terminal, where `typed` is typed."""
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(self.folder)
            os.execve(sys.executable, [*COMMAND, *arguments], {**os.environ, "PYTHONPATH": str(ROOT)})
        said = b""
        for line in typed.splitlines(keepends=True):
            while not said.rstrip(b" ").endswith(b":"):
                said += os.read(terminal, 1024)
            os.write(terminal, line.encode())
            said += b"\n"
        try:
            while more := os.read(terminal, 1024):
                said += more
        except OSError:  # the other end of the terminal is closed
            pass
        finally:
            os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.decode()


class PasswdCommandTests(CommandCase):
    """docs/users.rst, "Passwords"."""

    def test_asks_twice(self) -> None:
        """On a terminal it asks twice, shows nothing of what is typed, and writes a line that the proxy can use."""
        code, said = self.on_terminal("passwd", "-f", "users", "alice@example.com", typed="wonder land\nwonder land\n")
        self.assertEqual(code, 0, said)
        self.assertNotIn("wonder", said)
        self.assertIn("alice@example.com is new", said)
        line = f"alice@example.com {hashes('alice', 'example.com', 'wonder land')}\n"
        self.assertEqual(self.file.read_text(), line)
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        account = UsersFile(self.file, ["example.com"]).get("alice@example.com")
        assert account is not None
        self.assertEqual(sorted(account.hashes), ["md5", "sha-256"])

    def test_not_the_same(self) -> None:
        """Where the two differ, nothing is changed."""
        code, said = self.on_terminal("passwd", "alice@example.com", typed="wonder\nwander\n")
        self.assertEqual(code, 1)
        self.assertIn("not the same", said)
        self.assertFalse(self.file.exists())

    def test_stdin(self) -> None:
        """In a script the password comes by the standard input; the attributes of the user stay."""
        self.file.write_text("alice@example.com md5=0 numbers=+4930123\n")
        code, said = self.run_command("passwd", "--stdin", "alice@example.com", told="geheim ä\n")
        self.assertEqual(code, 0, said)
        self.assertIn("alice@example.com is changed", said)
        line = f"alice@example.com {hashes('alice', 'example.com', 'geheim ä')} numbers=+4930123\n"
        self.assertEqual(self.file.read_text(), line)

    def test_configuration(self) -> None:
        """With ``-c``, file and realm are those of the section of the domain."""
        (self.folder / "people").touch()
        (self.folder / "proxy.ini").write_text(CONFIGURATION)
        code, said = self.run_command("passwd", "-c", "proxy.ini", "--stdin", "alice@example.com", told="p\n")
        self.assertEqual(code, 0, said)
        self.assertEqual((self.folder / "people").read_text(), f"alice@example.com {hashes('alice', 'SIP', 'p')}\n")
        code, said = self.run_command("passwd", "-c", "proxy.ini", "--stdin", "alice@other.com", told="p\n")
        self.assertEqual(code, 1)
        self.assertIn("[domain other.com]", said)

    def test_delete(self) -> None:
        """``--delete`` removes a user, and says so where there is none."""
        self.file.write_text("alice@example.com md5=0\n")
        self.assertEqual(self.run_command("passwd", "--delete", "alice@example.com")[0], 0)
        self.assertEqual(self.file.read_text(), "")
        code, said = self.run_command("passwd", "-d", "alice@example.com")
        self.assertEqual((code, said), (1, "webrtcproxy: users: there is no alice@example.com\n"))

    def test_mistakes(self) -> None:
        """Each mistake is one line that says what to write; no traceback, and the file stays as it is."""
        self.file.write_text("# ours\n")
        for arguments, told, why in (
            (("passwd", "--stdin", "alice"), "p\n", "USER@DOMAIN"),
            (("passwd", "--stdin", "a b@example.com"), "p\n", "USER@DOMAIN"),
            (("passwd",), "", "Wrong number of arguments"),
            (("passwd", "--stdin", "alice@example.com"), "\n", "no password"),
            (("passwd", "--stdin", "-a", "sha-1", "alice@example.com"), "p\n", "known are md5"),
            (("passwd", "--stdin", "-f", "no/where", "alice@example.com"), "p\n", "No such file"),
            (("passwd", "--stdin", "-c", "nowhere.ini", "alice@example.com"), "p\n", "No such file"),
            ((), "", "webrtcproxy --help"),
            (("pasword",), "", "nknown command"),
        ):
            code, said = self.run_command(*arguments, told=told)
            self.assertEqual((code, said.count("\n")), (1, 1), said)
            self.assertIn(why, said)
        self.assertEqual(self.file.read_text(), "# ours\n")
