"""Logins by token when a browser connects: between the port of the browsers and those who know about tokens."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail
from twisted.web.server import Request

from webrtcproxy.access.token_logins import TokenLogins
from webrtcproxy.config import TokensConfig
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.transport.wss.server import Opened, UpgradeLogin
from webrtcproxy.users.http_token import token_in
from webrtcproxy.users.token import TokenLogin


def upgrade_login(config: TokensConfig, tokens: TokenLogins) -> UpgradeLogin:
    """A function that logs browsers in by the tokens in their requests for a WebSocket."""

    def opener(login: TokenLogin | None) -> Opened:
        return lambda flow: None if login is None else tokens.logged_in(flow, login)

    def log_in(request: Request, host: str, from_page: bool) -> Deferred[Opened]:
        try:
            token = token_in(request, config)
        except Refusal:
            return fail()
        return tokens.authenticate(token, host, from_page).addCallback(opener)

    return log_in
