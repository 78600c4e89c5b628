"""TrunkAccounts: the accounts of users at trunks that want a registration per user.

A line of a trunk's file is one account: its name, which is the user part of its address-of-record at the trunk, and the
username and the password with which the proxy answers the trunk's challenges::

    1001 1001-auth correct horse

The password is all the rest of the line. A comment is a line that begins with ``#`` or ``;``. Neither a page nor a
token ever has the password: the attribute ``account`` of a user names the line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from twisted.logger import Logger

from webrtcproxy.config import ConfigError, HostPort, Trunk
from webrtcproxy.runtime.fingerprint import Fingerprint, fingerprint
from webrtcproxy.sip.uri import normal_user
from webrtcproxy.users.user import TrunkAccount, User

log = Logger()

MAX_OCTETS = 8 << 20
"""The longest file."""

_FORM = "write NAME USERNAME PASSWORD"


class AccountsFile:
    """The accounts at one trunk; read again when the file changes. While it can't be read, they stay.

    :param path: the file.
    :param host: the host of the trunk.
    :param changed: called when the accounts have changed.
    """

    def __init__(self, path: Path, host: HostPort, changed: Callable[[], None]) -> None:
        self._path = path
        self._host = host
        self._changed = changed
        self._seen: Fingerprint = ()
        self._accounts: Mapping[str, TrunkAccount] = {}

    def get(self, name: str) -> TrunkAccount | None:
        """The account of this name, None where there is none."""
        return self._accounts.get(name)

    def refresh(self) -> None:
        """Read the file again if it has changed, which takes microseconds if it has not."""
        before, seen = self._seen, fingerprint(self._path)
        if seen == before:
            return
        accounts, self._seen = self._accounts, seen
        self._read()
        if before and self._accounts != accounts:
            self._changed()

    def _read(self) -> None:
        try:
            self._accounts, broken = read_accounts(self._path, self._host)
        except (OSError, ValueError) as error:
            log.error("The accounts in {path} stay as they were: {why}", path=str(self._path), why=str(error))
            return
        for number, problem in broken[:20]:
            log.error("{path}: line {number}: {problem}", path=str(self._path), number=number, problem=problem)
        log.info("{count} accounts in {path}", count=len(self._accounts), path=str(self._path))


def read_accounts(path: Path, host: HostPort) -> tuple[dict[str, TrunkAccount], list[tuple[int, str]]]:
    """Read a file.

    :param host: the host of the trunk.
    :returns: the accounts by name; and the numbers of the lines that can't be used, with problem and remedy, which
        have nothing of a password.
    :raises OSError: it can't be read.
    :raises ValueError: it is too long, or no UTF-8.
    """
    if path.stat().st_size > MAX_OCTETS:
        raise ValueError(f"it is longer than {MAX_OCTETS} octets")
    accounts: dict[str, TrunkAccount] = {}
    broken: list[tuple[int, str]] = []
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            words = line.split(None, 2)
            if not words or words[0][0] in "#;":
                continue
            if len(words) < 3:
                broken.append((number, f"there is no password; {_FORM}"))
            elif words[0] in accounts:
                broken.append((number, "another line has this name; keep one"))
            else:
                accounts[words[0]] = TrunkAccount(f"{normal_user(words[0])}@{host}", words[1], words[2].rstrip())
    return accounts, broken


class TrunkAccounts:
    """The accounts at all trunks.

    :param trunks: those of the configuration.
    """

    def __init__(self, trunks: Collection[Trunk] = ()) -> None:
        self._watchers: list[Callable[[], None]] = []
        self._files = {
            trunk.name: AccountsFile(trunk.accounts, HostPort(trunk.host, trunk.port), self._changed)
            for trunk in trunks
            if trunk.accounts is not None
        }

    def of(self, user: User) -> Mapping[str, TrunkAccount]:
        """The accounts of a user, by the name of the trunk: those that its attribute ``account`` names, each at the
        trunk that stands before it (``TRUNK/NAME``), or at each that has one of this name."""
        if not user.account or not self._files:
            return {}
        self.refresh()
        return dict(self._named(user))

    def watch(self, changed: Callable[[], None]) -> None:
        """Have `changed` called when accounts have changed."""
        self._watchers.append(changed)

    def refresh(self) -> None:
        """Read the files that have changed."""
        for file in self._files.values():
            file.refresh()

    def _changed(self) -> None:
        for watcher in self._watchers:
            watcher()

    def _named(self, user: User) -> Iterator[tuple[str, TrunkAccount]]:
        for word in user.account:
            at, slash, name = word.rpartition("/")
            for trunk, file in self._files.items():
                if not slash or at == trunk:
                    account = file.get(name)
                    if account is not None:
                        yield trunk, account


def broken_accounts(trunks: Collection[Trunk]) -> Iterator[ConfigError]:
    """What can't be used in the files."""
    for trunk in trunks:
        if trunk.accounts is not None:
            try:
                broken = read_accounts(trunk.accounts, HostPort(trunk.host, trunk.port))[1]
            except (OSError, ValueError) as error:
                broken = [(0, f"it can't be read ({error}); save it as UTF-8 text")]
            for number, text in broken:
                problem, _, remedy = text.partition("; ")
                mistake = ConfigError("", "", None, remedy, problem, number or None)
                mistake.path = trunk.accounts
                yield mistake
