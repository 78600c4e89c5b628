"""HttpLogins: which user has sent an HTTP request, by its Authorization."""

from __future__ import annotations

import binascii
from base64 import b64decode

from twisted.internet.defer import Deferred, fail
from twisted.web.server import Request

from webrtcproxy.access.password_login import PasswordLogins
from webrtcproxy.admin.bootstrap import LIFETIME, HttpLogin
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.transport.wss.peer import HttpPeer
from webrtcproxy.users.user import User


class HttpLogins:
    """Logins by HTTP Basic (RFC 7617).

    :param passwords: checks passwords.
    """

    def __init__(self, passwords: PasswordLogins) -> None:
        self._passwords = passwords

    def login(self, request: Request, peer: HttpPeer) -> Deferred[HttpLogin]:
        """As `webrtcproxy.admin.bootstrap.IHttpLogins` has it."""
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
