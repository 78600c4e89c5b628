"""PasswordLogins: users of the domains that are served here log in with name and password, over HTTPS.

Each failure is the same for users that exist and users that do not.
"""

from __future__ import annotations

import math

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.users.attributes import AttributeRefused, user_from
from webrtcproxy.users.credentials import Password
from webrtcproxy.users.domains import Domains, ServedDomain
from webrtcproxy.users.portals import NotAvailable
from webrtcproxy.users.user import User

log = Logger()

MAX_PASSWORD = 1024
"""Characters of the longest password."""


class PasswordLogins:
    """The logins with passwords.

    :param domains: those that are served here.
    :param guard: delays further attempts after failed ones; the same as that of logins by SIP.
    """

    def __init__(self, domains: Domains, guard: LoginGuard) -> None:
        self._domains = domains
        self._guard = guard

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
        delay = self._guard.delay(host, aor)
        if delay > 0:
            log.info("A login of {aor} from {host} has to wait after failed ones", aor=aor, host=host)
            raise Refusal(429, "Too Many Failed Logins", [("Retry-After", str(math.ceil(delay)))])
        try:
            user = None if domain is None else await _user(domain, name, password)
        except NotAvailable as error:
            raise Refusal(503, "Users Can't Be Looked Up", [("Retry-After", "10")]) from error
        if user is None:
            log.info("No login of {aor} from {host}: unknown user or wrong password", aor=aor, host=host)
            self._guard.failed(host, aor)
            raise Refusal(401, "Unknown User Or Wrong Password")
        self._guard.succeeded(host, user.aor)
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
