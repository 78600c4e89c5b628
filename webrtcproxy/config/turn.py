"""The section [turn]: the STUN and TURN servers that browsers are told of, and the secret shared with them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from webrtcproxy.config.addresses import HostPort
from webrtcproxy.config.ini import Secret, Section
from webrtcproxy.config.kinds import Kind, each, whole
from webrtcproxy.config.option import option

MIN_SECRET: Final = 16
"""The shortest secret, in characters. Each user gets what was made with it, and may guess it at leisure."""

_URI: Final = re.compile(r"(stuns?|turns?):([^?]*)(?:\?transport=(udp|tcp))?", re.ASCII | re.IGNORECASE)


def _server(text: str) -> str:
    """Check the URI of a server (RFC 7064, RFC 7065).

    :returns: the URI in lower case.
    :raises ValueError: says what is wrong.
    """
    found = _URI.fullmatch(text)
    if found is None:
        raise ValueError("this is no stun:, stuns:, turn: or turns: URI")
    scheme, server, transport = found.groups()
    if server.startswith("//"):
        raise ValueError("no // stands after the colon")
    HostPort.parse(server)
    if transport is not None and scheme.lower().startswith("stun"):
        raise ValueError("STUN has no transport parameter")
    return text.lower()


def _secret(section: Section, key: str) -> Secret:
    secret = section.text(key, _LONG)
    if len(secret) < MIN_SECRET:
        raise section.error(key, "every user could guess it from the credentials that it makes", _LONG)
    return Secret(secret)


_LONG: Final = f"write the static-auth-secret of the TURN servers, of {MIN_SECRET} characters or more"


@dataclass(frozen=True, slots=True)
class TurnConfig:
    """STUN and TURN servers, for browsers that reach rtpengine in no other way; handed out with the bootstrap document.

    :ivar servers: their URIs, in lower case.
    """

    servers: tuple[str, ...] = option(
        each(_server, "write URIs such as turn:turn.example.com:3478?transport=udp"),
        "The URIs of the servers: ``turn:host:port?transport=udp`` (or tcp), ``turns:host:port`` (TLS),"
        " ``stun:host:port``.",
        default=(),
    )
    secret: Secret | None = option(
        Kind(_secret, _LONG, secret=True),
        "The secret that the proxy shares with the TURN servers (coturn: ``use-auth-secret`` and"
        " ``static-auth-secret``); the credentials of each user are made with it.",
        default=None,
    )
    lifetime: int = option(
        whole(60, 86400, "seconds"),
        "How long credentials are valid; what was allocated with them in time goes on.",
        default=3600,
    )


def check_turn(section: Section, turn: TurnConfig) -> None:
    """Note where there is a TURN server without a secret, or a secret without a TURN server."""
    if any(uri.startswith("turn") for uri in turn.servers):
        if turn.secret is None:
            section.note("secret", "it is missing beside a turn: server", _LONG)
    elif turn.secret is not None:
        remedy = "write turn: or turns: URIs there, or take the secret out"
        section.note("servers", "there is no TURN server for the secret", remedy)
