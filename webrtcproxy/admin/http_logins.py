"""HttpLogins: which user has sent an HTTP request, by a token or by its Authorization."""

from __future__ import annotations

import binascii
from base64 import b64decode

from twisted.internet.defer import Deferred, fail
from twisted.web.server import Request

from webrtcproxy.access.password_login import PasswordLogins
from webrtcproxy.access.token_logins import TokenLogins
from webrtcproxy.admin.bootstrap import LIFETIME, HttpLogin
from webrtcproxy.config import TokensConfig
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.transport.wss.peer import HttpPeer
from webrtcproxy.users.http_token import token_in
from webrtcproxy.users.token import TokenLogin
from webrtcproxy.users.user import User


class HttpLogins:
    """Logins by token, in each place where a request for a WebSocket may have one, and by HTTP Basic (RFC 7617).

    :param passwords: checks passwords.
    :param tokens: verifies tokens; None where nobody has one.
    :param config: where tokens stand; None as for `tokens`.
    """

    def __init__(
        self, passwords: PasswordLogins, tokens: TokenLogins | None = None, config: TokensConfig | None = None
    ) -> None:
        self._passwords = passwords
        self._tokens = tokens
        self._config = config

    def login(self, request: Request, peer: HttpPeer) -> Deferred[HttpLogin]:
        """As `webrtcproxy.admin.bootstrap.IHttpLogins` has it."""
        if self._tokens is not None and self._config is not None:
            try:
                token = token_in(request, self._config)
            except Refusal:
                return fail()
            if token is not None:
                # A page reads the response only where its origin is admitted, so a cookie needs no Origin here: a
                # request of the page's own origin has none.
                login = self._tokens.authenticate(token, peer.host, from_page=True)
                return login.addCallback(self._with_token, self._tokens)
        return self._with_password(request, peer)

    def _with_token(self, login: TokenLogin | None, tokens: TokenLogins) -> HttpLogin:
        assert login is not None  # there was a token
        return HttpLogin(login.user, tokens.seconds_of(login))

    def _with_password(self, request: Request, peer: HttpPeer) -> Deferred[HttpLogin]:
        values = request.requestHeaders.getRawHeaders("Authorization") or []
        scheme, _, value = values[0].strip().partition(" ") if len(values) == 1 else ("", "", "")
        if scheme.lower() != "basic":
            return fail(Refusal(401, "No Credentials"))
        if not peer.is_private:
            return fail(Refusal(403, "Passwords Go Over TLS Only"))
        username, password = _basic(value)
        return self._passwords.login(peer.host, username, password).addCallback(self._logged_in)

    def _logged_in(self, user: User) -> HttpLogin:
        return HttpLogin(user, LIFETIME)


def _basic(value: str) -> tuple[str, str]:
    """The name and the password of Basic credentials, in UTF-8; both empty where they can't be read."""
    try:
        text = b64decode(value.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return "", ""
    username, _, password = text.partition(":")
    return username, password
