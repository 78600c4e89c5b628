"""Checks WebSocket upgrade requests (RFC 6455 section 4.2, RFC 7118 section 4), including their origin."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import urlsplit

from twisted.web.http_headers import Headers

from webrtcproxy.config.addresses import ip
from webrtcproxy.runtime.metrics import Reason

SUBPROTOCOL = "sip"

Network = IPv4Network | IPv6Network

_DEFAULT_PORTS = {"https": 443, "http": 80, "wss": 443, "ws": 80}


class HandshakeRejected(Exception):
    """An upgrade request is refused.

    :param status: the HTTP status code.
    :param why: for the peer and the log; contains nothing that the peer sent.
    :param headers: names and values that the response has in addition.
    :param reason: how it is counted.
    """

    def __init__(
        self, status: int, why: str, headers: Iterable[tuple[str, str]] = (), reason: Reason = "handshake"
    ) -> None:
        super().__init__(status, why)
        self.status = status
        self.why = why
        self.headers = tuple(headers)
        self.reason = reason


def for_autobahn(key: str) -> bytes:
    """A minimal request for Autobahn: headers that were checked here need not be parsed, checked and stored again."""
    return (
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
    ).encode()


class Origins:
    """The origins whose pages may connect.

    A request without Origin does not come from a browser (RFC 6455 section 10.2), so there is no user to protect from a
    page, and it is accepted. Softphones and monitoring connect in this way.

    :param allowed: ``https://host[:port]``, ``https://*.host``, ``null``, ``*`` for any; None for pages from the host
        and port that they connect to.
    """

    def __init__(self, allowed: Iterable[str] | None) -> None:
        texts = None if allowed is None else {text.lower() for text in allowed}
        self._same_host = texts is None
        self._any = texts is not None and "*" in texts
        self._exact = {_origin(text) or text for text in texts or () if "*" not in text}
        self._below = [
            parts for text in texts or () if "//*." in text and (parts := _origin(text.replace("//*.", "//")))
        ]

    def admit(self, origin: str, host: str) -> bool:
        """True if a page of this origin may connect.

        :param host: the Host header.
        """
        origin = origin.lower()
        parts = _origin(origin)
        if self._same_host:
            return parts is not None and _same_origin(parts, host.lower())
        if self._any or (parts or origin) in self._exact:
            return True
        return parts is not None and any(
            parts[0] == scheme and parts[2] == port and parts[1].endswith("." + domain)
            for scheme, domain, port in self._below
        )


def check(headers: Headers, origins: Origins) -> str:
    """Check an upgrade request.

    :returns: its Sec-WebSocket-Key.
    :raises HandshakeRejected: 400, 403, 426.
    """
    host = _one(headers, "host")
    if not host:
        raise HandshakeRejected(400, "Host is missing")
    if "upgrade" not in _tokens(headers, "connection"):
        raise HandshakeRejected(400, "Connection does not say Upgrade")
    if _one(headers, "sec-websocket-version") != "13":
        version = [("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
        raise HandshakeRejected(426, "The version of WebSocket is not 13", version)
    key = _one(headers, "sec-websocket-key") or ""
    if not _is_key(key):
        raise HandshakeRejected(400, "Sec-WebSocket-Key is missing or broken")
    origin = _one(headers, "origin")
    if origin is not None and not origins.admit(origin, host):
        raise HandshakeRejected(403, "Pages of this origin may not connect", reason="origin")
    if SUBPROTOCOL not in _list(headers, "sec-websocket-protocol"):
        raise HandshakeRejected(400, "The subprotocol sip is not offered")
    return key


def is_upgrade(headers: Headers) -> bool:
    """True if a request asks for a WebSocket."""
    return "websocket" in _tokens(headers, "upgrade")


def forwarded_for(headers: Headers, peer: str, trusted: Iterable[Network]) -> str:
    """The address of the client of trusted reverse proxies, each of which appends the address of its peer.

    :param peer: the address of the peer at the socket.
    :param trusted: the proxies whose X-Forwarded-For counts.
    """
    networks = list(trusted)
    if not networks:
        return peer
    hops = _list(headers, "x-forwarded-for")
    while hops and (address := ip(peer)) is not None and any(address in network for network in networks):
        hop = hops.pop()
        if ip(hop) is None:
            break
        peer = str(ip(hop))
    return peer


def _origin(text: str) -> tuple[str, str, int | None] | None:
    """Scheme, host, and port or the scheme's default; None for anything but ``scheme://host[:port]``."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    rest = parts.path or parts.query or parts.fragment or "@" in parts.netloc
    if not parts.scheme or not parts.hostname or rest or text.split("://")[0] != parts.scheme:
        return None
    return parts.scheme, parts.hostname, _DEFAULT_PORTS.get(parts.scheme) if port is None else port


def _same_origin(origin: tuple[str, str, int | None], host: str) -> bool:
    scheme, name, port = origin
    own = _origin(f"{scheme}://{host}")
    return scheme in ("https", "http") and own is not None and (name, port) == own[1:]


def _one(headers: Headers, name: str) -> str | None:
    """The value of a header that may appear only once.

    :raises HandshakeRejected: 400 if it appears more often.
    """
    values = header_values(headers, name)
    if len(values) > 1:
        raise HandshakeRejected(400, f"{name.title()} is there more than once")
    return values[0].strip() if values else None


def header_values(headers: Headers, name: str) -> list[str]:
    """The values of a header; any octets are decoded, which Twisted itself does with UTF-8 only."""
    return [value.decode("latin-1") for value in headers.getRawHeaders(name.encode()) or []]


def _list(headers: Headers, name: str) -> list[str]:
    return [item.strip() for value in header_values(headers, name) for item in value.split(",") if item.strip()]


def _tokens(headers: Headers, name: str) -> list[str]:
    return [item.lower() for item in _list(headers, name)]


def _is_key(text: str) -> bool:
    try:
        return len(b64decode(text, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False
