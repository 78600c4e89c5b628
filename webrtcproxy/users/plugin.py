"""What a plugin provides that says who the users of a domain are.

Two kinds of plugins of Twisted are known. A *checker* (``twisted.cred.strcred.ICheckerFactory``) says whether
credentials are right; ``twistd webrtcproxy --auth`` names it. A *portal* also says what belongs to the user;
``portal = NAME:ARGUMENT`` of a ``[domain]`` names it. docs/users.rst has an example of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.plugin import getPlugins
from zope.interface import Attribute, Interface

from webrtcproxy.users.user import IUser


class IAttributedUser(IUser):
    """An avatar that is no `User`, but has attributes of one."""

    attributes: Mapping[str, object] = Attribute("By the names of a users file: see users/attributes.py.")


class ILogin(Protocol):
    """What is needed of a portal; ``twisted.cred.portal.Portal`` is one."""

    def login(self, credentials: Any, mind: object, *interfaces: type[Interface]) -> Deferred[Any]:
        """As ``Portal.login``: fires with interface, avatar and logout. The avatar is an `IUser`, perhaps an
        `IAttributedUser`. Fails with ``UnauthorizedLogin`` where the credentials are wrong or the user is unknown, and
        with ``UnhandledCredentials`` where it does not know such credentials; then the next one is asked."""


class IPasswordMarks(Interface):
    """A checker or a portal that can tell, without credentials, whether a user still exists. It may be asked at any
    time."""

    def password_mark(username: bytes) -> bytes | None:
        """Something that changes with the password of a user; None where there is no such user.

        :param username: as it is looked up: the name, or the whole address-of-record.
        """


class IPortalPlugin(Interface):
    """A plugin that makes the portal of a domain."""

    name: str = Attribute("As ``portal`` of a ``[domain]`` names it.")

    def portal(domain: str, argument: str) -> ILogin:
        """The portal of a domain. Called once in each process.

        :param domain: whose users log in there.
        :param argument: what stands after the name and a colon; empty where there is none.
        :raises ValueError: the argument can't be used; its text says why.
        """


class NoSuchPlugin(ValueError):
    """There is no plugin of this name, or it refuses its argument."""


def portal_named(text: str, domain: str) -> ILogin:
    """The portal that a ``[domain]`` names.

    :param text: ``NAME`` or ``NAME:ARGUMENT``.
    :param domain: of the section.
    :raises NoSuchPlugin: there is none.
    """
    name, _, argument = text.partition(":")
    plugins = {plugin.name: plugin for plugin in getPlugins(IPortalPlugin)}
    if name not in plugins:
        known = ", ".join(sorted(plugins)) or "none"
        raise NoSuchPlugin(f"there is no plugin '{name}' for portals; installed are: {known}")
    try:
        made: ILogin = plugins[name].portal(domain, argument)
    except ValueError as error:
        raise NoSuchPlugin(f"the plugin '{name}' refuses its argument: {error}") from error
    return made
