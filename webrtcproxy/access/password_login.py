"""PasswordLogins: users of the domains that are served here log in with name and password, over HTTPS.

Each failure is the same for users that exist and users that do not.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from webrtcproxy.access.caller import Authority
from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.access.login_queue import LoginQueue
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.users.attributes import AttributeRefused, user_from
from webrtcproxy.users.credentials import Password
from webrtcproxy.users.domains import Domains, ServedDomain
from webrtcproxy.users.portals import NotAvailable
from webrtcproxy.users.user import User

log = Logger()

MAX_PASSWORD = 1024
"""Characters of the longest password."""

_NOWHERE: Final[Authority] = ("domain", "")
"""Who looks at the credentials of those that can be no users."""


class PasswordLogins:
    """The logins with passwords.

    :param domains: those that are served here.
    :param guard: delays further attempts after failed ones; the same as that of logins by SIP.
    """

    def __init__(self, domains: Domains, guard: LoginGuard) -> None:
        self._domains = domains
        self._queue = LoginQueue(guard, 429)

    def login(self, host: str, username: str, password: str) -> Deferred[User]:
        """Log in.

        :param host: the IP address of the browser.
        :param username: ``alice@example.com``, or ``alice`` where one domain only is served here.
        :returns: fires with the user; fails with Refusal, whose status is one of HTTP: 401 for wrong credentials, 429
            with Retry-After after too many failed logins, 503 where nobody can be asked.
        """
        return Deferred.fromCoroutine(self._login(host, username, password))

    async def _login(self, host: str, username: str, password: str) -> User:
        name, domain, aor = self._claimed(username)
        login = self._queue.begin(host, aor, _NOWHERE if domain is None else domain.authority, "HTTP")
        user, succeeded = None, None
        try:
            if login.turn is not None:
                await login.turn
            user = None if domain is None else await _user(domain, name, password)
            succeeded = user is not None
        except NotAvailable as error:
            raise Refusal(503, "Users Can't Be Looked Up", [("Retry-After", "10")]) from error
        finally:
            if user is not None:
                login.aor = user.aor
            login.end(succeeded)
        if user is None:
            log.info("No login of {aor} from {host}: unknown user or wrong password", aor=aor, host=host)
            raise Refusal(401, "Unknown User Or Wrong Password")
        return user

    def _claimed(self, username: str) -> tuple[str, ServedDomain | None, str]:
        """The name, the domain and the address-of-record that a username stands for; no domain, and an empty
        address-of-record, where there can be no such user."""
        name, at, host = username.rpartition("@")
        if not at:
            name = username
        served = self._domains.of((host, None)) if at else self._only_domain()
        try:
            aor = "" if served is None else user_from(name, served.name, {}).aor
        except AttributeRefused:
            aor = ""
        return name, served if aor else None, aor

    def _only_domain(self) -> ServedDomain | None:
        return next(iter(self._domains)) if len(self._domains) == 1 else None


async def _user(domain: ServedDomain, name: str, password: str) -> User | None:
    if len(password) > MAX_PASSWORD:
        return None
    return await domain.login(name, Password(name, name, domain.config.realm, password))
