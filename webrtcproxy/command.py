"""``webrtcproxy``: the command for administrators. ``webrtcproxy passwd`` manages users files. The service itself is
started with ``twistd webrtcproxy``."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from twisted.python import usage

from webrtcproxy.config import ConfigErrors, load
from webrtcproxy.users.attributes import AttributeRefused
from webrtcproxy.users.passwd import remove, set_password
from webrtcproxy.users.users_file import HASHES, aor_of

DEFAULT_FILE = "users"
"""The users file, where none is named."""


class PasswdOptions(usage.Options):
    """The command line after ``webrtcproxy passwd``."""

    synopsis = "Usage: webrtcproxy passwd [options] USER@DOMAIN"
    longdesc = (
        "Sets the password of a user, which it asks for twice, and writes its hashes into the users file; never the "
        "password itself. The user's attributes, and all other lines, stay as they are. A running proxy reads the file "
        "again by itself."
    )
    optParameters: ClassVar = [
        ["file", "f", None, f"The users file; else the one of --config, else '{DEFAULT_FILE}'."],
        ["config", "c", None, "The configuration file, whose [domain] section names the users file and the realm."],
        ["realm", "r", None, "The realm, where the [domain] section has one; else that of --config, else the domain."],
        ["algorithms", "a", "", "The hashes, of " + ", ".join(HASHES) + ", with commas between; else md5,sha-256."],
    ]
    optFlags: ClassVar = [
        ["stdin", None, "Read the password from the first line of the standard input, and ask nothing."],
        ["delete", "d", "Remove the user."],
    ]

    def parseArgs(self, who: str) -> None:  # type: ignore[override]
        """Take the user.

        :raises UsageError: it is no ``USER@DOMAIN``.
        """
        try:
            aor_of(who)
        except AttributeRefused as why:
            raise usage.UsageError(f"{who}: write USER@DOMAIN, such as alice@example.com") from why
        self["who"] = who

    def postOptions(self) -> None:
        """Look up what the configuration says of the domain.

        :raises UsageError: the configuration has a mistake or no users file for the domain, or an algorithm is unknown.
        """
        if "who" not in self:
            raise usage.UsageError("whose password? Name a USER@DOMAIN")
        self["algorithms"] = [word for word in self["algorithms"].lower().replace(",", " ").split() if word]
        for word in self["algorithms"]:
            if word not in HASHES:
                raise usage.UsageError(f"--algorithms {word}: known are " + ", ".join(HASHES))
        if self["config"] is not None:
            self._take_config()
        self["file"] = Path(self["file"] or DEFAULT_FILE)

    def _take_config(self) -> None:
        try:
            config = load(Path(self["config"]))
        except ConfigErrors as error:
            raise usage.UsageError(str(error)) from error
        name = aor_of(self["who"])[1]
        domain = next((domain for domain in config.domains if domain.name == name), None)
        if domain is None or domain.users is None:
            raise usage.UsageError(f"{self['config']}: there is no [domain {name}] with users = FILE")
        self["file"] = self["file"] or domain.users
        self["realm"] = self["realm"] or domain.realm


class CommandOptions(usage.Options):
    """The command line after ``webrtcproxy``."""

    synopsis = "Usage: webrtcproxy passwd [options] USER@DOMAIN"
    longdesc = "To start the service: twistd webrtcproxy -c FILE"
    subCommands: ClassVar = [["passwd", None, PasswdOptions, "Set the password of a user, or remove it."]]

    def postOptions(self) -> None:
        """Check that there is a command.

        :raises UsageError: there is none.
        """
        if self.subCommand is None:
            raise usage.UsageError("what shall be done? See webrtcproxy --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    :param arguments: those of the process by default.
    :returns: the exit code: 0, or 1 where it could not be done.
    """
    options = CommandOptions()  # type: ignore[no-untyped-call]
    try:
        options.parseOptions(sys.argv[1:] if arguments is None else list(arguments))  # type: ignore[no-untyped-call]
        return _passwd(options.subOptions)
    except (usage.UsageError, AttributeRefused) as error:
        print(f"webrtcproxy: {error}", file=sys.stderr)
    except OSError as error:
        print(f"webrtcproxy: {error.filename or ''}: {error.strerror}", file=sys.stderr)
    except (KeyboardInterrupt, EOFError):
        print("webrtcproxy: nothing is changed", file=sys.stderr)
    return 1


def _passwd(options: PasswdOptions) -> int:
    file, who = options["file"], options["who"]
    if options["delete"]:
        if not remove(file, who):
            raise usage.UsageError(f"{file}: there is no {who}")
        print(f"{file}: {who} is removed")
        return 0
    password = _from_stdin() if options["stdin"] else _asked_twice(who)
    new = set_password(file, who, password, options["realm"] or "", options["algorithms"])
    print(f"{file}: {who} is {'new' if new else 'changed'}")
    return 0


def _from_stdin() -> str:
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise usage.UsageError("--stdin: there is no password in the first line")
    return password


def _asked_twice(who: str) -> str:
    password = getpass.getpass(f"Password of {who}: ")
    if not password:
        raise usage.UsageError("an empty password is none")
    if getpass.getpass("Once more: ") != password:
        raise usage.UsageError("the two are not the same; nothing is changed")
    return password
