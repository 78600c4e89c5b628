"""Portals: asks those that know the users of a domain, one after the other, whether credentials are right.

A ``Portal`` of twisted.cred keeps one checker for each kind of credentials, so each checker has one of its own here.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Final

from twisted.cred.checkers import FilePasswordDB, ICredentialsChecker, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.error import LoginDenied, LoginFailed, UnauthorizedLogin, UnhandledCredentials
from twisted.cred.portal import IRealm, Portal
from twisted.cred.strcred import makeChecker
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from webrtcproxy.users.attributes import AttributeRefused, user_from
from webrtcproxy.users.credentials import IDigestHash, IPasswordForHashes, Password, SipDigest
from webrtcproxy.users.plugin import IAttributedUser, ILogin, IPasswordMarks
from webrtcproxy.users.user import IUser, User
from webrtcproxy.users.users_file import HASHES, UsersFile

log = Logger()

_NOBODY: Final = {algorithm: secrets.token_hex(digits // 2) for algorithm, digits in HASHES.items()}
"""Hashes of no password: an unknown user costs the same time as a wrong password."""

REFUSALS = (UnauthorizedLogin, LoginFailed, LoginDenied, UnhandledCredentials)
"""How a portal says that it does not know the user, or not with these credentials."""


class NotAvailable(Exception):
    """Those that know the users can't be asked at the moment."""


@implementer(ICredentialsChecker)
class UsersFileChecker:
    """Checks credentials with the hashes of a users file.

    :param file: the file.
    :param domain: whose users are asked for.
    """

    credentialInterfaces = (IDigestHash, IPasswordForHashes)

    def __init__(self, file: UsersFile, domain: str) -> None:
        self._file = file
        self._domain = domain

    def requestAvatarId(self, credentials: IDigestHash | IPasswordForHashes) -> Deferred[bytes | tuple[()]]:
        """Fires with the name of the user; fails with UnauthorizedLogin."""
        self._file.refresh()
        name = credentials.username.decode("utf-8", "surrogateescape")
        try:
            aor = user_from(name, self._domain, {}).aor
        except AttributeRefused:
            aor = ""
        account = self._file.get(aor)
        hashes = {} if account is None else account.hashes
        compared = {**_NOBODY, **hashes}
        if IPasswordForHashes.providedBy(credentials):
            right = credentials.check_hashes(compared) and bool(hashes)
        else:
            right = credentials.check_ha1(compared[credentials.algorithm]) and credentials.algorithm in hashes
        return succeed(credentials.username) if right else fail(UnauthorizedLogin())


@implementer(IRealm)
class UsersRealm:
    """The users of a domain: those of its users file with their attributes, and others that a checker knows.

    :param domain: their domain.
    :param file: None where the domain has none.
    """

    def __init__(self, domain: str, file: UsersFile | None) -> None:
        self._domain = domain
        self._file = file

    def requestAvatar(
        self, avatarId: bytes | tuple[()], mind: object, *interfaces: type[Interface]
    ) -> tuple[type[Interface], User, Callable[[], None]]:
        """The user whose name, or address-of-record, a checker has returned.

        :raises UnauthorizedLogin: there can be no such user of this domain, or `avatarId` is that of anonymous access.
        """
        if IUser not in interfaces:
            raise NotImplementedError("only users log in here")
        if not avatarId:
            raise UnauthorizedLogin("there is no anonymous access")
        name = avatarId.decode("utf-8", "surrogateescape") if isinstance(avatarId, bytes) else str(avatarId)
        name = name.removesuffix(f"@{self._domain}")
        try:
            user = user_from(name, self._domain, {})
        except AttributeRefused as why:
            raise UnauthorizedLogin(str(why)) from why
        account = None if self._file is None else self._file.get(user.aor)
        return IUser, user if account is None else account.user, _logout


class DomainPortals:
    """All that know the users of one domain, in the order in which they are asked.

    :param domain: the domain.
    :param portals: each with whether it looks up whole addresses-of-record, not names.
    """

    def __init__(self, domain: str, portals: Sequence[tuple[ILogin, bool]]) -> None:
        self._domain = domain
        self._portals = tuple(portals)

    def __len__(self) -> int:
        return len(self._portals)

    def login(self, username: str, credentials: SipDigest | Password) -> Deferred[User | None]:
        """Ask for a user.

        :param username: as the credentials have it.
        :returns: fires with the user, with None where nobody knows it with these credentials; fails with NotAvailable
            where none knows it and one could not be asked.
        """
        return Deferred.fromCoroutine(self._login(username, credentials))

    def password_mark(self, username: str) -> bytes | None:
        """Something that changes with the password of a user; None where none of those that can tell knows it.

        :raises NotAvailable: one that can tell could not be asked.
        """
        for portal, whole in self._portals:
            name = self._looked_up(username, whole).encode("utf-8", "surrogateescape")
            for source in (portal, *getattr(portal, "checkers", {}).values()):
                try:
                    mark = _mark_at(source, name)
                except Exception as error:
                    log.failure("Whether a user of {domain} exists can't be asked", domain=self._domain)
                    raise NotAvailable from error
                if mark is not None:
                    return mark
        return None

    def _looked_up(self, username: str, whole: bool) -> str:
        return f"{username}@{self._domain}" if whole else username

    async def _login(self, username: str, credentials: SipDigest | Password) -> User | None:
        failed = False
        for portal, whole in self._portals:
            asked = credentials.looked_up_as(self._looked_up(username, whole))
            try:
                _, avatar, logout = await _asked(portal, asked)
                return self._user(avatar, logout)
            except REFUSALS:
                continue
            except Exception:
                log.failure("Who the users of {domain} are can't be asked", Failure(), domain=self._domain)
                failed = True
        if failed:
            raise NotAvailable
        return None

    def _user(self, avatar: object, logout: object) -> User:
        """The user that an avatar is.

        :raises AttributeRefused: it can't be one.
        :raises UnauthorizedLogin: it is one of another domain.
        """
        if callable(logout):
            logout()  # a user is a value: nothing is attached to it
        if not isinstance(avatar, User):
            if not IUser.providedBy(avatar):
                raise TypeError(f"{type(avatar).__name__} is no IUser")
            attributes = avatar.attributes if IAttributedUser.providedBy(avatar) else {}
            avatar = user_from(avatar.name, avatar.domain, attributes)
        if avatar.domain != self._domain:
            log.error("{aor} is no user of {domain}", aor=avatar.aor, domain=self._domain)
            raise UnauthorizedLogin
        return avatar


def _mark_at(source: object, username: bytes) -> bytes | None:
    """What a checker or a portal says of the password of a user, where it can; None where it knows no such user. Raises
    what it raises, as UnauthorizedLogin for a file that can't be read."""
    if IPasswordMarks.providedBy(source):
        mark: bytes | None = source.password_mark(username)
        return mark
    if isinstance(source, FilePasswordDB):
        try:
            return source.getUser(username)[1]
        except KeyError:
            return None
    if isinstance(source, InMemoryUsernamePasswordDatabaseDontUse):
        password = source.users.get(username)
        return password.encode("utf-8", "surrogateescape") if isinstance(password, str) else password
    return None


async def _asked(portal: ILogin, credentials: SipDigest | Password) -> tuple[object, object, object]:
    """What a portal says, whose fault may come at once or later."""
    interface, avatar, logout = await portal.login(credentials, None, IUser)
    return interface, avatar, logout


def checker_for(text: str) -> ICredentialsChecker:
    """The checker that ``--auth`` names."""
    checker: ICredentialsChecker = makeChecker(text)
    if isinstance(checker, InMemoryUsernamePasswordDatabaseDontUse):
        # Its plugin adds names as text, but credentials have octets, as those of all of Twisted.
        for name, password in {**checker.users}.items():
            if isinstance(name, str):
                checker.addUser(name.encode(), password)
    return checker


def portal_for(checker: object, domain: str, file: UsersFile | None) -> Portal:
    """A portal with one checker."""
    return Portal(UsersRealm(domain, file), [checker])  # type: ignore[list-item]


def _logout() -> None:
    """Do nothing: a user is a value."""
