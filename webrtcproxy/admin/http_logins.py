"""HttpLogins: which user has sent an HTTP request, by a password or a token."""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.web.server import Request

from webrtcproxy.access.password_login import PasswordLogins
from webrtcproxy.access.token_logins import TokenLogins
from webrtcproxy.config import TokensConfig
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.transport.wss.handshake import header_values
from webrtcproxy.transport.wss.peer import HttpPeer
from webrtcproxy.users.http_token import token_in
from webrtcproxy.users.portals import NotAvailable
from webrtcproxy.users.session_tokens import LIFETIME, SessionTokens
from webrtcproxy.users.user import User


@dataclass(frozen=True, slots=True)
class HttpLogin:
    """A user who has logged in over HTTP.

    :ivar user: who it is.
    :ivar seconds: how long the login is valid.
    :ivar token: logs the same user in on the WebSocket, for as long.
    """

    user: User
    seconds: float
    token: str


class HttpLogins:
    """Logins by HTTP Basic (RFC 7617), and with a token, as that of a WebSocket.

    :param passwords: checks passwords.
    :param tokens: checks tokens.
    :param config: where tokens may be.
    :param sessions: makes a token for who has logged in, so that a page need not keep a password.
    """

    def __init__(
        self,
        passwords: PasswordLogins,
        tokens: TokenLogins,
        config: TokensConfig,
        sessions: SessionTokens,
    ) -> None:
        self._passwords = passwords
        self._tokens = tokens
        self._config = config
        self._sessions = sessions

    def login(self, request: Request, peer: HttpPeer) -> Deferred[HttpLogin]:
        """Look at the credentials of a request.

        :param peer: the browser that has sent it.
        :returns: fires with the login; fails with Refusal, whose status is one of HTTP: 401 where there are no
            credentials or wrong ones, the same for users that exist and users that do not; 403 for a password that
            others could read; 429 with Retry-After after too many failed logins; 503.
        """
        return Deferred.fromCoroutine(self._login(request, peer))

    async def _login(self, request: Request, peer: HttpPeer) -> HttpLogin:
        values = header_values(request.requestHeaders, "Authorization")
        if len(values) > 1:
            raise Refusal(400, "More Than One Authorization")
        scheme, _, value = values[0].strip().partition(" ") if values else ("", "", "")
        try:
            return await self._logged_in(scheme, value, request, peer)
        except NotAvailable as error:
            raise Refusal(503, "Users Can't Be Looked Up", [("Retry-After", "10")]) from error

    async def _logged_in(self, scheme: str, value: str, request: Request, peer: HttpPeer) -> HttpLogin:
        if scheme.lower() == "basic":
            user = await self._by_password(value, peer)
            blind_life = self._sessions.blind_life(user)
            seconds, blind = LIFETIME if blind_life is None else blind_life, blind_life is not None
        else:
            user, seconds, blind = await self._by_token(request, peer)
        return HttpLogin(user, seconds, self._sessions.issue(user, seconds, blind))

    async def _by_password(self, value: str, peer: HttpPeer) -> User:
        if not peer.is_private:
            raise Refusal(403, "Passwords Go Over TLS Only")
        username, password = _basic(value)
        return await self._passwords.login(peer.host, username, password)

    async def _by_token(self, request: Request, peer: HttpPeer) -> tuple[User, float, bool]:
        # What is only read needs no Origin beside a cookie: the page of another site can't read the answer.
        login = await self._tokens.authenticate(token_in(request, self._config), peer.host, from_page=True)
        if login is None:
            raise Refusal(401, "No Credentials")
        return login.user, min(self._tokens.seconds_of(login), LIFETIME), login.blind


def _basic(value: str) -> tuple[str, str]:
    """The name and the password of Basic credentials, in UTF-8; both empty where they can't be read."""
    try:
        text = b64decode(value.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return "", ""
    username, _, password = text.partition(":")
    return username, password
