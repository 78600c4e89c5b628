"""A proxy that serves home.test itself, with two users, and the plugins of docs/users.rst."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import mkdtemp
from textwrap import dedent

from webrtcproxy.users.passwd import set_password

ROOT = Path(__file__).parents[3]
DOMAIN = "home.test"
HOME = {"alice": "through the looking-glass", "bob": "can we fix it"}
"""The passwords, others than those at Kamailio."""

NUMBER = "+49"
"""With the port of an endpoint behind it, Kamailio passes calls on to that."""


class Home:
    """The domain, in a folder of its own.

    :param options: further lines of its section.
    """

    def __init__(self, options: str = "") -> None:
        self.folder = Path(mkdtemp(prefix="home", dir=Path.cwd()))
        self.users = self.folder / "users"
        self.users.touch()
        for name, password in HOME.items():
            set_password(self.users, f"{name}@{DOMAIN}", password)
        lines = f"[domain {DOMAIN}]\nusers = {self.users}\ntrunk = upstream\n{options}\n"
        self.changes = (("[access]\n", f"{lines}\n[access]\n"), ("@credentials@", "registered"))
        """What the configuration has differently from lab.INI."""

    def plugin(self, name: str) -> None:
        """Install a plugin of docs/users.rst below the folder."""
        folder = self.folder / "twisted" / "plugins"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(example(name))


def example(name: str) -> str:
    """The source of the plugin that docs/users.rst calls `name`."""
    text = (ROOT / "docs" / "users.rst").read_text()
    found = re.search(rf"(?s)such as \*{re.escape(name)}\*::\n\n(.*?)\n\n(?=\S)", text)
    assert found is not None, name
    return dedent(found[1]) + "\n"
