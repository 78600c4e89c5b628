"""UsersFile: the accounts of a users file. It is read again when it changes, as certificates are.

A line is one user: its address-of-record, the hashes of its password, and its attributes::

    alice@example.com md5=... sha-256=... name="Alice Liddell" numbers=+4930123,+4930124 groups=sales

A hash is HA1 of RFC 7616 section 3.4.2, the hash of ``user:realm:password``: who has it can log in with it, so the
file is as secret as a key. A comment starts with ``#`` or ``;`` at the start of a line or after a blank. A line that
can't be used is named in the log, and by ``--check``; the others count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from twisted.logger import Logger

from webrtcproxy.runtime.fingerprint import Fingerprint, fingerprint
from webrtcproxy.users.attributes import AttributeRefused, domain_name, user_from
from webrtcproxy.users.user import User

log = Logger()

HASHES: Final[Mapping[str, int]] = {"md5": 32, "sha-256": 64, "sha-512-256": 64}
"""The keys of hashes in a line, which are the names of the algorithms in lower case, and their hexadecimal digits."""

MAX_OCTETS: Final = 32 << 20
"""The longest file of users, or of numbers."""
MAX_LOGGED: Final = 20
"""Lines that can't be used and are named in the log at once."""

_part = re.compile(r"""([^\s"'\\]+)|\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'""")
_escape = re.compile(r"\\(.)")
_is_hex = re.compile(r"[0-9a-f]+").fullmatch

_AS_MADE = "make the line with: webrtcproxy passwd"


@dataclass(frozen=True, slots=True)
class Account:
    """One user of a file, with the hashes of its password.

    :ivar hashes: HA1 by the name of the algorithm in lower case; empty for a user that logs in by token only.
    """

    user: User
    hashes: Mapping[str, str] = field(repr=False)


class BrokenLine(NamedTuple):
    """A line that can't be used.

    :ivar number: counted from 1; 0 for the file as a whole.
    """

    number: int
    problem: str
    remedy: str

    def __str__(self) -> str:
        place = f"line {self.number}: " if self.number else ""
        return f"{place}{self.problem}; {self.remedy}"


Accounts = dict[str, Account]
"""The accounts of a file, by address-of-record."""

Known = dict[str, Account]
"""The accounts that lines have made, by the text of the line."""

Changed = Callable[[Accounts, Accounts], None]
"""Called with the accounts before a change of the file, and those after it."""


class UsersFile:
    """The accounts of one file.

    :param path: of the file.
    :param domains: whose users stand in it.
    :ivar broken: its lines that can't be used, as it was read last.
    """

    def __init__(self, path: Path, domains: Collection[str]) -> None:
        self.path = path
        self.broken: list[BrokenLine] = []
        self._domains = frozenset(domains)
        self._accounts: Accounts = {}
        self._known: Known = {}
        self._members: dict[tuple[str, str], list[str]] = {}
        self._owners: dict[tuple[str, str], list[str]] = {}
        self._seen: Fingerprint | None = None
        self._watchers: list[Changed] = []
        self.refresh()

    def __len__(self) -> int:
        return len(self._accounts)

    def get(self, aor: str) -> Account | None:
        """The account of an address-of-record; None where it has none."""
        return self._accounts.get(aor)

    def members(self, domain: str, group: str) -> Collection[str]:
        """The addresses-of-record of a group, in the order of the file."""
        return self._members.get((domain, group), ())

    def owners(self, domain: str, number: str) -> Collection[str]:
        """The addresses-of-record that have a number, in the order of the file."""
        return self._owners.get((domain, number), ())

    def watch(self, changed: Changed) -> None:
        """Have `changed` called after each change of the file."""
        self._watchers.append(changed)

    def refresh(self) -> None:
        """Read the file again if it has changed, which takes microseconds if it has not. The accounts stay as they are
        where it can't be read."""
        now = fingerprint(self.path)
        if now == self._seen:
            return
        first, self._seen = self._seen is None, now
        known: Known = {}
        accounts, self.broken = read_file(self.path, self._domains, self._known, known)
        if accounts is None:
            log.error("Users file {file}: {why}", file=str(self.path), why=self.broken[0])
            return
        before, self._accounts, self._known = self._accounts, accounts, known
        self._members = _members(self._accounts.values())
        self._owners = _owners(self._accounts.values())
        self._tell(first)
        for changed in self._watchers:
            changed(before, self._accounts)

    def _tell(self, first: bool) -> None:
        for broken in self.broken[:MAX_LOGGED]:
            log.error("Users file {file}: {why}", file=str(self.path), why=broken)
        if len(self.broken) > MAX_LOGGED:
            log.error("Users file {file}: so are {more} more", file=str(self.path), more=len(self.broken) - MAX_LOGGED)
        text = "Users file {file} has {users} users" if first else "Users file {file} has changed: {users} users"
        log.info(text, file=str(self.path), users=len(self))


def read_file(
    path: Path, domains: Collection[str], known: Mapping[str, Account] | None = None, read: Known | None = None
) -> tuple[Accounts | None, list[BrokenLine]]:
    """Read a users file.

    :param domains: whose users stand in it.
    :param known: what lines have made before: of a long file only the lines that have changed take time.
    :param read: gets what the lines have made now.
    :returns: the accounts, None where it can't be read; and what can't be used.
    """
    try:
        text = text_of(path)
    except ValueError as error:
        return None, [BrokenLine(0, str(error), "the users that were read before stay")]
    return read_lines(StringIO(text), domains, known or {}, read)


def read_lines(
    lines: Iterable[str],
    domains: Collection[str],
    known: Mapping[str, Account] = MappingProxyType({}),
    read: Known | None = None,
) -> tuple[Accounts, list[BrokenLine]]:
    """Read the lines of a users file.

    :param domains: whose users stand in it.
    :param known: what lines have made before.
    :param read: gets what the lines have made now.
    :returns: the accounts, and the lines that can't be used.
    """
    accounts: Accounts = {}
    numbers: dict[str, int] = {}
    broken: list[BrokenLine] = []
    for number, line in enumerate(lines, 1):
        try:
            account = known.get(line) or _account(line)
            if account is None:
                continue
            user = account.user
            aor = user.aor
            if user.domain not in domains:
                raise AttributeRefused(user.domain, "no [domain] section with this file has this name", "write one")
            if aor in accounts:
                raise AttributeRefused("", f"{aor} stands in line {numbers[aor]} too", "keep one of the lines")
            accounts[aor] = account
            numbers[aor] = number
            if read is not None:
                read[line] = account
        except AttributeRefused as why:
            problem = f"{why.attribute}: {why.problem}" if why.attribute else why.problem
            broken.append(BrokenLine(number, problem, why.remedy))
    return accounts, broken


def words_of_line(line: str) -> Iterator[tuple[str, str]]:
    """The words of a line: each as it is written, and without its quotes.

    :raises AttributeRefused: a quote is not closed.
    """
    at, end = 0, len(line)
    while True:
        while at < end and line[at].isspace():
            at += 1
        if at == end or line[at] in "#;":
            return
        start, word = at, ""
        while at < end and not line[at].isspace():
            found = _part.match(line, at)
            if found is None:
                raise AttributeRefused("", "a quote is not closed", "close it, or write \\ before it")
            plain, escaped, double, single = found.groups()
            word += plain or escaped or (_escape.sub(r"\1", double) if double else "") or single or ""
            at = found.end()
        yield line[start:at], word


def aor_of(word: str) -> tuple[str, str]:
    """Name and domain of ``USER@DOMAIN``, as they are written.

    :raises AttributeRefused: it is none.
    """
    name, at, domain = word.rpartition("@")
    if not at or not name:
        raise AttributeRefused("", "it doesn't begin with USER@DOMAIN", _AS_MADE)
    return name, domain_name(domain)


def _account(line: str) -> Account | None:
    words = [word for _, word in words_of_line(line)]
    if not words:
        return None
    name, domain = aor_of(words[0])
    hashes: dict[str, str] = {}
    attributes: dict[str, object] = {}
    for word in words[1:]:
        key, equals, value = word.partition("=")
        key = key.lower()
        if not equals:
            raise AttributeRefused(
                "", "there is a word without '='", "write key=value, with quotes where it has blanks"
            )
        if key in hashes or key in attributes:
            raise AttributeRefused(key, "it stands there twice", "keep one")
        if key == "password":
            raise AttributeRefused(key, "no password stands in this file", _AS_MADE)
        if key in HASHES:
            hashes[key] = _hash(key, value)
        else:
            attributes[key] = value
    return Account(user_from(name, domain, attributes), hashes)


def _hash(key: str, value: str) -> str:
    value = value.lower()
    if len(value) != HASHES[key] or not _is_hex(value):
        raise AttributeRefused(key, f"this is no hash of {HASHES[key]} hexadecimal digits", _AS_MADE)
    return value


def _members(accounts: Iterable[Account]) -> dict[tuple[str, str], list[str]]:
    members: dict[tuple[str, str], list[str]] = {}
    for account in accounts:
        for group in account.user.groups:
            members.setdefault((account.user.domain, group), []).append(account.user.aor)
    return members


def _owners(accounts: Iterable[Account]) -> dict[tuple[str, str], list[str]]:
    owners: dict[tuple[str, str], list[str]] = {}
    for account in accounts:
        for number in account.user.numbers:
            owners.setdefault((account.user.domain, number), []).append(account.user.aor)
    return owners


def text_of(path: Path) -> str:
    """The text of a file of users, or of numbers.

    :raises ValueError: it can't be read, is too long or no UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_OCTETS + 1)
    except OSError as error:
        raise ValueError(error.strerror or "it can't be read") from error
    if len(data) > MAX_OCTETS:
        raise ValueError(f"it is longer than {MAX_OCTETS >> 20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error
