"""The port of the browsers: WebSockets, the page, the bootstrap document, and the logins of all three."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from twisted.application.service import Service
from twisted.web.resource import IResource

from webrtcproxy.access.bearer import BearerScheme
from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.access.password_login import PasswordLogins
from webrtcproxy.access.proofs import Proofs
from webrtcproxy.access.token_logins import Connections, TokenLogins
from webrtcproxy.admin.bootstrap import Bootstrap
from webrtcproxy.admin.http_logins import HttpLogins
from webrtcproxy.admin.page import phone_resource
from webrtcproxy.admin.upgrade_login import upgrade_login
from webrtcproxy.config import Config, HostPort, TokensConfig
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.transport.flow import Receiver
from webrtcproxy.transport.wss.server import WebSocketServer
from webrtcproxy.users.domains import Domains
from webrtcproxy.users.key_source import UrlKeys, key_source
from webrtcproxy.users.session_tokens import SessionTokens
from webrtcproxy.users.token import TokenVerifier
from webrtcproxy.users.token_users import user_factory
from webrtcproxy.users.turn import IceServers
from webrtcproxy.users.verifiers import AnyTokens

OWN_TOKENS: Final = TokensConfig(audience=(), query="token", on_expiry="keep")
"""Without ``[tokens]``: those of the proxy's own alone, in the address of the WebSocket. They begin connections, and
end none."""


@dataclass(frozen=True, slots=True)
class PortLogins:
    """Who may log in on the port, and with what.

    :ivar domains: those that are served here; where there are none, nobody can log in.
    :ivar tokens: logins with a token.
    :ivar sessions: makes tokens of the proxy's own.
    :ivar by_sip: the scheme of tokens in SIP requests, where there is ``[tokens]``.
    :ivar services: they have to run meanwhile.
    """

    domains: Domains
    tokens: TokenLogins
    sessions: SessionTokens
    by_sip: tuple[BearerScheme, ...] = ()
    services: tuple[Service, ...] = ()


def port_logins(
    config: Config,
    reactor: Any,
    domains: Domains,
    proofs: Proofs,
    guard: LoginGuard,
    connections: Connections,
) -> PortLogins:
    """Prepare the logins.

    :param reactor: also for the keys of an issuer, which may be at an address.
    :param connections: ends what a token has begun.
    """
    tokens = config.tokens
    sessions = SessionTokens(config.session_key, domains, time.time)
    issued: TokenVerifier | None = None
    services: tuple[Service, ...] = ()
    if tokens is not None:
        keys = key_source(tokens, reactor)
        services = (keys,) if isinstance(keys, UrlKeys) else ()
        issued = TokenVerifier(tokens, keys, user_factory(domains))
    verifier = AnyTokens(sessions, issued, time.time)
    by_token = TokenLogins(reactor, tokens or OWN_TOKENS, verifier, proofs, guard, connections)
    by_sip = () if tokens is None else (BearerScheme(tokens, verifier, by_token),)
    return PortLogins(domains, by_token, sessions, by_sip, services)


def browsers_port(
    config: Config,
    reactor: Any,
    receiver: Receiver,
    metrics: Metrics,
    guard: LoginGuard,
    inherited: Sequence[int],
    logins: PortLogins,
) -> WebSocketServer:
    """The service.

    :param receiver: takes the messages.
    :param guard: delays logins after failed ones, and knows who is banned.
    :param inherited: descriptors of sockets that already listen, one for each line of ``listen``.
    """
    wss = config.wss
    page = None
    if wss.page is not None:
        page = phone_resource(wss.page, websocket=wss.path, **_page_settings(config))
    resources: dict[str, IResource] = {}
    if wss.bootstrap is not None and len(logins.domains):
        resources[wss.bootstrap] = _bootstrap(config, logins, guard, metrics)
    return WebSocketServer(
        reactor,
        receiver,
        wss,
        page=page,
        resources=resources,
        advertise=config.sip.advertise,
        metrics=metrics,
        is_banned=guard.is_banned,
        inherited=inherited,
        login=upgrade_login(config.tokens or OWN_TOKENS, logins.tokens) if len(logins.domains) else None,
    )


def _bootstrap(config: Config, logins: PortLogins, guard: LoginGuard, metrics: Metrics) -> Bootstrap:
    tokens = config.tokens or OWN_TOKENS
    passwords = PasswordLogins(logins.domains, guard)
    by_http = HttpLogins(passwords, logins.tokens, tokens, logins.sessions)
    ice = IceServers(config.turn, time.time)
    return Bootstrap(config.wss, by_http, ice, metrics, cookies=tokens.cookie is not None)


def _page_settings(config: Config) -> dict[str, str]:
    """The defaults of the phone page: the first domain that is served here, and where its users log in; else the first
    trunk's; the demo's user."""
    if config.domains:
        settings = {"domain": config.domains[0].name, "bootstrap": config.wss.bootstrap or ""}
    else:
        settings = {"domain": str(HostPort(config.trunks[0].host, config.trunks[0].port)) if config.trunks else ""}
    if config.demo is None:
        return settings
    return {
        **settings,
        "password": config.demo.password,
        "hint": "Dial echo to hear yourself, or call a second tab that goes by another name.",
    }
