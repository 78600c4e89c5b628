"""BearerScheme: logins with a token in a SIP request (RFC 8898)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from twisted.internet.defer import Deferred

from webrtcproxy.access.login import WrongCredentials
from webrtcproxy.access.token_logins import TokenLogins, TooManyUsers
from webrtcproxy.config import TokensConfig
from webrtcproxy.sip.authentication import Challenge, Credentials
from webrtcproxy.sip.message import Request
from webrtcproxy.transport.flow import Flow
from webrtcproxy.users.domains import ServedDomain
from webrtcproxy.users.portals import NotAvailable
from webrtcproxy.users.token import KeysUnavailable, TokenRefused, fingerprint_of
from webrtcproxy.users.user import User
from webrtcproxy.users.verifiers import ITokenVerifier


class BearerScheme:
    """Tokens. One that has logged in is a login for the whole connection, until it expires.

    :param config: the section.
    :param verifier: verifies them.
    :param logins: keeps who has logged in.
    """

    name: ClassVar[str] = "bearer"
    guessable: ClassVar[bool] = False

    def __init__(self, config: TokensConfig, verifier: ITokenVerifier, logins: TokenLogins) -> None:
        self._config = config
        self._verifier = verifier
        self._logins = logins

    def challenges(self, domain: ServedDomain, flow: Flow, wrong: WrongCredentials | None) -> Iterable[str]:
        """One, where users of the domain may have tokens (RFC 8898 section 4)."""
        config = self._config
        if config.domain not in (None, domain.name):
            return []
        params = {"realm": domain.config.realm}
        if config.scope is not None:
            params["scope"] = config.scope
        if config.authz_server is not None:
            params["authz_server"] = config.authz_server
        if wrong is not None and wrong.scheme == self.name:
            params["error"] = "invalid_token"
        return [str(Challenge("Bearer", params))]

    def is_for(self, domain: ServedDomain, credentials: Credentials) -> bool:
        """A token does not name its realm: it is for any domain whose users may have tokens."""
        return self._config.domain in (None, domain.name)

    def claimed(self, domain: ServedDomain, credentials: Credentials) -> str:
        return self._verifier.claimed(_token(credentials))

    def renews(self, credentials: Credentials, flow: Flow) -> bool:
        """Whether it is another token than the one that has logged in on this connection."""
        return not self._logins.is_known(flow, fingerprint_of(_token(credentials)))

    def login(self, domain: ServedDomain, credentials: Credentials, request: Request, flow: Flow) -> Deferred[User]:
        return Deferred.fromCoroutine(self._login(domain, credentials, flow))

    async def _login(self, domain: ServedDomain, credentials: Credentials, flow: Flow) -> User:
        try:
            login = await self._verifier.verify(_token(credentials))
        except TokenRefused as refused:
            raise WrongCredentials(refused.why, guess=not refused.genuine, scheme=self.name) from None
        except KeysUnavailable as error:
            raise NotAvailable("no key to verify tokens with could be read") from error
        if login.user.domain != domain.name:
            raise WrongCredentials("the token is for another domain", guess=False, scheme=self.name)
        try:
            self._logins.logged_in(flow, login)
        except TooManyUsers as error:
            raise WrongCredentials("too many users on this connection", guess=False, scheme=self.name) from error
        return login.user


def _token(credentials: Credentials) -> str:
    return credentials.params.get("", "")
