"""``twistd webrtcproxy --auth`` and users files, by a real twistd; the plugins are the examples of docs/users.rst."""

from __future__ import annotations

import os
import subprocess

from tests.support.real.domain import example
from tests.test_plugin import RIGHT, ROOT, TWISTD, TwistdCase

DOMAIN = RIGHT + "[domain example.com]\n"


class AuthTests(TwistdCase):
    """The command line."""

    def plugin(self, name: str) -> None:
        """Install a plugin into the folder that twistd is started in."""
        folder = self.folder / "twisted" / "plugins"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(example(name))

    def twistd(self, *arguments: str, command: tuple[str, ...] = TWISTD) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (*command, *arguments),
            cwd=self.folder, capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{self.folder}"},
        )  # fmt: skip

    def check(self, text: str, *arguments: str) -> tuple[int, str]:
        """What --check says of a configuration."""
        result = self.twistd("webrtcproxy", "--check", *arguments, "-c", self.configuration(text))
        return result.returncode, result.stdout + result.stderr

    def test_help_auth(self) -> None:
        """``--help-auth`` lists the checkers that suit digests, also those of others' plugins; not ``unix``, which
        wants the password itself."""
        self.plugin("house")
        result = self.twistd("webrtcproxy", "--help-auth")
        self.assertEqual(result.returncode, 0)
        for line in (r"file +\tLocation", r"house +\tthe password", r"memory *\t"):
            self.assertRegex(result.stdout, f"(?m)^  {line}")
        self.assertNotIn("unix", result.stdout)
        self.assertIn("One password", self.twistd("webrtcproxy", "--help-auth-type", "house").stdout)

    def test_right(self) -> None:
        """Checkers that come with Twisted, and one of another's plugin."""
        self.plugin("house")
        code, said = self.check(DOMAIN, "--auth", "memory:a:b", "--auth", "house:sesame", "--auth", "file:passwords")
        self.assertEqual(code, 0, said)
        self.assertIn("no mistake found", said)

    def test_mistakes(self) -> None:
        """A checker that there is not, one that can't check digests, and one that nobody asks: one line each."""
        for text, arguments, why in (
            (DOMAIN, ("--auth", "hosue:x"), "hosue"),
            (DOMAIN, ("--auth", "unix"), "not supported"),
            (RIGHT, ("--auth", "memory:a:b"), "--auth has no domain"),
            (DOMAIN + "[domain b.example]\n", ("--auth", "memory:a:b"), "write auth = address"),
        ):
            code, said = self.check(text, *arguments)
            self.assertEqual((code, said.count("\n")), (1, 1), said)
            self.assertIn(why, said)

    def test_portal(self) -> None:
        """A portal of another's plugin is found, and a name that is wrong is told with those that there are."""
        self.plugin("tenants")
        self.assertEqual(self.check(DOMAIN + "portal = tenants:+4930\n")[0], 0)
        code, said = self.check(DOMAIN + "portal = tenant\n")
        self.assertEqual(code, 1)
        self.assertIn("there is no plugin 'tenant' for portals; installed are: tenants", said)

    def test_users_file(self) -> None:
        """A line of a users file that can't be used is named by --check; a file that is not there with the remedy."""
        code, said = self.check(DOMAIN + "users = people\n")
        self.assertEqual(code, 1)
        self.assertIn("make it with: webrtcproxy passwd -f", said)
        (self.folder / "people").write_text("alice@example.com\nbob@exmaple.com\n")
        (self.folder / "people").chmod(0o600)
        code, said = self.check(DOMAIN + "users = people\n")
        self.assertEqual(code, 1)
        self.assertIn(f"{self.folder}/people:2: exmaple.com: no [domain] section", said)
        self.assertEqual(said.count("\n"), 1)
