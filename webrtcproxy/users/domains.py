"""Domains: those that are served here, and who their users are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from webrtcproxy.config import Config, ConfigError, Domain
from webrtcproxy.config.addresses import plain_host
from webrtcproxy.config.number_format import PLUS, NumberFormat
from webrtcproxy.config.numbers import NumberMap
from webrtcproxy.sip.telephone import number_in
from webrtcproxy.sip.uri import SIP_PORT, SIPS_PORT, bracketed
from webrtcproxy.users.called_numbers import broken_numbers, read_numbers
from webrtcproxy.users.credentials import Password, SipDigest
from webrtcproxy.users.plugin import ILogin, NoSuchPlugin, portal_named
from webrtcproxy.users.portals import DomainPortals, UsersFileChecker, checker_for, portal_for
from webrtcproxy.users.trunk_accounts import TrunkAccounts, broken_accounts
from webrtcproxy.users.user import User
from webrtcproxy.users.users_file import Account, Accounts, UsersFile, read_file

log = Logger()

CHECK_FILES = 5.0
"""Seconds between two looks at the users files. A login looks at once."""

_NAMED = 10
"""Of addresses that no number can ring, how many are named for each list of numbers."""

UserChanged = Callable[[User, User | None], None]
"""Called with a user whose line in a users file has changed, as it was before, and as it is now: None where it is gone,
or has another password."""


class ServedDomain:
    """One domain.

    :param config: its section.
    :param file: its users file; None where it has none.
    :param portals: those that are asked after the file: each with whether it looks up whole addresses-of-record.
    :param accounts: those of users at trunks.
    :param home: the form of numbers where the proxy is.
    :param formats: those of the trunks that have one, by name.
    :ivar authority: its name in proofs, as `webrtcproxy.access.caller.Authority`.
    :ivar trunks: names of the trunks that its users may use.
    """

    def __init__(
        self,
        config: Domain,
        file: UsersFile | None = None,
        portals: Iterable[tuple[ILogin, bool]] = (),
        accounts: TrunkAccounts | None = None,
        home: NumberFormat | None = None,
        formats: Mapping[str, NumberFormat] | None = None,
    ) -> None:
        self.config = config
        self.name = config.name
        self.authority = ("domain", config.name)
        self.trunks: frozenset[str] = frozenset(config.trunks)
        self._file = file
        self._accounts = accounts or TrunkAccounts()
        self._home = home or NumberFormat(PLUS)
        self._formats = formats or {}
        first: list[tuple[ILogin, bool]] = []
        if file is not None:
            first.append((portal_for(UsersFileChecker(file, config.name), config.name, file), False))
        self._portals = DomainPortals(config.name, [*first, *portals])

    def login(self, username: str, credentials: SipDigest | Password) -> Deferred[User | None]:
        """Ask those that know the users.

        :param username: as the credentials have it.
        :returns: fires with the user, with None where nobody knows it with these credentials; fails with
            `webrtcproxy.users.portals.NotAvailable`.
        """
        return self._portals.login(username, credentials).addCallback(self.complete)

    def complete(self, user: User | None) -> User | None:
        """A user with what the section of the domain gives to each, the use of its trunks, with its own accounts
        there, and with the forms that its numbers may have."""
        if user is None:
            return None
        trunks = user.trunks | self.trunks
        formats = self._home, *(form for name, form in self._formats.items() if name in trunks)
        return replace(user, trunks=trunks, accounts=self._accounts.of(user), formats=formats)

    def has(self, aor: str) -> bool:
        """Whether the users file has this address-of-record. Others may be known to a portal only."""
        return self._file is not None and self._file.get(aor) is not None

    def has_password(self, aor: str) -> bool:
        """Whether the users file has the password of a user, and not attributes alone."""
        account = None if self._file is None else self._file.get(aor)
        return account is not None and bool(account.hashes)

    def user(self, aor: str) -> User | None:
        """A user of the users file, who need not have logged in."""
        account = None if self._file is None else self._file.get(aor)
        return None if account is None else self.complete(account.user)

    def owners(self, number: str) -> Collection[str]:
        """The addresses-of-record that have a number, as the users file has it: it rings all of them."""
        return () if self._file is None else self._file.owners(self.name, number)

    def password_mark(self, aor: str) -> bytes:
        """Something that changes with the password of a user, as the users file has it, or a checker or a portal that
        can tell; empty where none of them knows the user. It may be the password itself.

        :raises webrtcproxy.users.portals.NotAvailable: one that can tell could not be asked.
        """
        account = None if self._file is None else self._file.get(aor)
        if account is not None and account.hashes:
            return repr(sorted(account.hashes.items())).encode()
        return self._portals.password_mark(aor.rpartition("@")[0]) or b""

    def members(self, group: str) -> Collection[str]:
        """The addresses-of-record of a group, as the users file has it, in its order."""
        return () if self._file is None else self._file.members(self.name, group.lower())


class Domains:
    """The domains that are served here, by name.

    :param domains: all of them.
    :param files: their users files.
    :param accounts: those of their users at trunks.
    """

    def __init__(
        self,
        domains: Iterable[ServedDomain] = (),
        files: Sequence[UsersFile] = (),
        accounts: TrunkAccounts | None = None,
    ) -> None:
        self._domains = {domain.name: domain for domain in domains}
        self._files = tuple(files)
        self._accounts = accounts or TrunkAccounts()
        self._watchers: list[UserChanged] = []
        for file in files:
            file.watch(self._file_changed)

    def __len__(self) -> int:
        return len(self._domains)

    def __iter__(self) -> Iterator[ServedDomain]:
        return iter(self._domains.values())

    def of(self, hostport: tuple[str, int | None]) -> ServedDomain | None:
        """The domain that a host and port of a URI belong to, whatever the port (`is_aor_port`).

        :param hostport: as `Uri.hostport` has it.
        """
        if not self._domains:
            return None
        return self._domains.get(bracketed(plain_host(hostport[0])))

    def named(self, name: str) -> ServedDomain | None:
        """The domain of an address-of-record."""
        return self._domains.get(name)

    def watch(self, changed: UserChanged) -> None:
        """Have `changed` called with each user of a users file that has changed."""
        self._watchers.append(changed)

    def watch_accounts(self, changed: Callable[[], None]) -> None:
        """Have `changed` called when accounts at trunks have changed; `renewed` says whose."""
        self._accounts.watch(changed)

    def renewed(self, user: User) -> User:
        """A user who is logged in, with its accounts at trunks as they are now."""
        if not user.account:
            return user
        return replace(user, accounts=self._accounts.of(user))

    def refresh(self) -> None:
        """Read the files of users and of their accounts that have changed."""
        for file in self._files:
            file.refresh()
        self._accounts.refresh()

    def _file_changed(self, before: Accounts, now: Accounts) -> None:
        for aor, account in before.items():
            there = now.get(aor)
            if there is account:
                continue
            if there is None or _has_other_password(account, there):
                self._changed(account.user, None)
            elif there.user != account.user:
                self._changed(account.user, there.user)

    def _changed(self, before: User, now: User | None) -> None:
        what = "has changed" if now else "is gone, or has a new password"
        log.info("User {aor} {what}", aor=before.aor, what=what)
        domain = self._domains[before.domain]
        for watcher in self._watchers:
            watcher(domain.complete(before) or before, domain.complete(now))


def is_aor_port(port: int | None) -> bool:
    """Whether a URI with this port can be an address-of-record of a domain: with any other, nobody is there."""
    return port in (None, SIP_PORT, SIPS_PORT)


def domains_of(config: Config) -> Domains:
    """The domains that a configuration serves.

    :raises webrtcproxy.users.plugin.NoSuchPlugin: a portal is not installed, or refuses its argument.
    """
    files = {path: UsersFile(path, names) for path, names in _files_of(config).items()}
    accounts = TrunkAccounts(config.trunks)
    served = [_served(config, domain, files, accounts) for domain in config.domains]
    return Domains(served, list(files.values()), accounts)


def domain_mistakes(config: Config) -> Iterator[ConfigError]:
    """What the configuration file alone can't say: what is wrong with the plugins, and with the command line."""
    for domain in config.domains:
        if domain.portal is not None:
            try:
                portal_named(domain.portal, domain.name)
            except NoSuchPlugin as error:
                remedy = "install it, or take the line out"
                yield ConfigError(f"domain {domain.name}", "portal", None, remedy, str(error))
    by_name = [domain.name for domain in config.domains if domain.auth == "name"]
    if config.auth and len(by_name) > 1:
        problem = (
            f"--auth is asked for the names alone in [domain {by_name[0]}], too: a user of one would be one of both"
        )
        yield ConfigError(f"domain {by_name[1]}", "auth", None, "write auth = address or auth = no", problem)
    if config.auth and all(domain.auth == "no" for domain in config.domains):
        yield ConfigError("", "", None, "add [domain NAME], or take --auth out", "--auth has no domain to be asked for")


def broken_lines(config: Config) -> Iterator[ConfigError]:
    """What can't be used in the files of users, of their accounts, and of numbers. The start logs it, and takes all
    other lines."""
    yield from broken_accounts(config.trunks)
    yield from broken_numbers(config.trunks)
    for path, names in _files_of(config).items():
        for broken in read_file(path, names)[1]:
            error = ConfigError("", "", None, broken.remedy, broken.problem, broken.number or None)
            error.path = path
            yield error


def silent_numbers(config: Config) -> Iterator[ConfigError]:
    """The addresses of numbers that can never ring, since they are of no user and no group of a domain that is served
    here. Only of a domain whose users stand all in its file is that known. The start takes such lines all the same."""
    known = {domain.name: _all_names(domain, config) for domain in config.domains}
    for trunk in config.trunks:
        lists = [("numbers", trunk.numbers)]
        if trunk.numbers_file is not None:
            lists.append(("numbers-file", read_numbers(trunk.numbers_file)[0] or NumberMap()))
        for key, numbers in lists:
            for aor, silent in islice(_silent(numbers, known).items(), _NAMED):
                more = f" and {len(silent) - 1} more" if len(silent) > 1 else ""
                domain = aor.rpartition("@")[2]
                problem = f"{silent[0]}{more} can't ring {aor}, which is no user and no group of [domain {domain}]"
                yield ConfigError(f"trunk {trunk.name}", key, None, "write one that is", problem)


def _silent(numbers: NumberMap, known: Mapping[str, Collection[str] | None]) -> dict[str, list[str]]:
    """The addresses that can never ring, each with its numbers.

    :param known: by the names of domains, all addresses of each, as far as they are known.
    """
    found: dict[str, list[str]] = {}
    beginnings = ((f"{each}*", aors) for each, aors in numbers.prefixes.items())
    for number, aors in (*numbers.exact.items(), *beginnings):
        for aor in aors:
            user, _, domain = aor.rpartition("@")
            names = known.get(domain)
            if names is not None and aor not in names and number_in(user) is None:
                found.setdefault(aor, []).append(number)
    return found


def _all_names(domain: Domain, config: Config) -> Collection[str] | None:
    """The addresses of all users and groups; None where others than its file may know some, or it can't be read."""
    if domain.users is None or domain.portal is not None or config.tokens is not None:
        return None
    accounts = None if config.auth and domain.auth != "no" else read_file(domain.users, [domain.name])[0]
    if accounts is None:
        return None
    groups = {f"{group}@{domain.name}" for account in accounts.values() for group in account.user.groups}
    return groups | accounts.keys()


def _files_of(config: Config) -> dict[Path, list[str]]:
    """The users files, and the domains whose users stand in each."""
    files: dict[Path, list[str]] = {}
    for domain in config.domains:
        if domain.users is not None:
            files.setdefault(domain.users, []).append(domain.name)
    return files


def _served(config: Config, domain: Domain, files: dict[Path, UsersFile], accounts: TrunkAccounts) -> ServedDomain:
    file = None if domain.users is None else files[domain.users]
    portals: list[tuple[ILogin, bool]] = []
    if domain.portal is not None:
        portals.append((portal_named(domain.portal, domain.name), False))
    if domain.auth != "no":
        whole = domain.auth == "address"
        portals += [(portal_for(checker_for(text), domain.name, file), whole) for text in config.auth]
    access = config.access
    home = NumberFormat(PLUS).at(access.country, access.international_prefixes, access.dial_prefixes)
    formats = {trunk.name: trunk.number_format for trunk in config.trunks if trunk.number_format.converts}
    return ServedDomain(domain, file, portals, accounts, home, formats)


def _has_other_password(account: Account, there: Account) -> bool:
    """Whether a hash of the account is not valid any more."""
    return any(there.hashes.get(algorithm) != hashed for algorithm, hashed in account.hashes.items())
