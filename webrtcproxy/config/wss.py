"""The section [wss]: where browsers connect, what the port serves, and who may be there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from webrtcproxy.config.addresses import HostPort, Network, network, origin
from webrtcproxy.config.endpoints import check_public
from webrtcproxy.config.ini import Section, is_flag
from webrtcproxy.config.kinds import custom, each, endpoints, number, one, whole
from webrtcproxy.config.limits import MAX_LIMIT
from webrtcproxy.config.option import option
from webrtcproxy.config.trunk_transport import CERTIFICATE_FILE

PHONE_PAGE: Final = Path(__file__).parents[1] / "phone" / "dist"
"""The folder of the package's phone page; it exists once the page is built."""

YEAR: Final = 31_536_000
"""Seconds of 365 days."""


def _path(value: str) -> str:
    if not value.startswith("/") or any(sign in value for sign in "?# "):
        raise ValueError("a path starts with / and has no ? and #")
    return value


def _websocket_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("wss", "ws") or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("this is no wss:// address")
    HostPort.parse(parts.netloc)
    return f"{parts.scheme}://{parts.netloc}{_path(parts.path or '/')}"


def _bootstrap(section: Section, key: str, remedy: str) -> str | None:
    value = section.text(key, remedy)
    return None if value.lower() == "no" else section.one(key, remedy, _path)


def _page(section: Section, key: str, remedy: str) -> Path | None:
    value = section.text(key, remedy)
    if is_flag(value):
        return PHONE_PAGE if section.flag(key) else None
    page = section.folder / value
    if not (page / "index.html").is_file():
        raise section.error(key, f"there is no {page / 'index.html'}", remedy)
    return page


@dataclass(frozen=True, slots=True)
class WssConfig:
    """Where browsers connect.

    :ivar origins: None for pages from the same host only.
    :ivar page: the folder of files, or None.
    """

    listen: tuple[str, ...] = option(
        endpoints(check_public, "write an endpoint such as ssl:443:privateKey=tls/key.pem:certKey=tls/cert.pem"),
        "Twisted server endpoints, one a line. With a web server in front that terminates TLS:"
        " ``tcp:8080:interface=127.0.0.1``. ``ssl:8443`` alone, to begin with: the proxy makes a self-signed"
        " certificate, in ``self-signed/`` beside the file, of which browsers warn.",
        stand_in=(),
    )
    origins: tuple[str, ...] | None = option(
        each(origin, "write origins such as https://phone.example.com, or *"),
        "The sites whose pages may connect: ``https://host[:port]``, ``https://*.domain``, those of apps as they send"
        " them (``app://.``, ``capacitor://localhost``, ``file://``), ``null``, or ``*`` for any.",
        default=None,
        absent="pages that come from the host and port that they connect to",
    )
    path: str = option(one(_path, "write a path such as /sip"), "The path of the WebSocket.", default="/")
    url: str | None = option(
        one(_websocket_url, "write the address of the WebSocket, such as wss://phone.example.com/"),
        "The address by which browsers reach the WebSocket, for the bootstrap document.",
        default=None,
        absent="the host and port by which the document was fetched, and ``path``",
    )
    bootstrap: str | None = option(
        custom(_bootstrap, "write a path such as /bootstrap.json, or no"),
        "The path of the bootstrap document: what a page needs to know to be a phone, for users who have logged in."
        " There is none without a ``[domain]``; ``no`` for none at all.",
        default="/bootstrap.json",
    )
    page: Path | None = option(
        custom(_page, "write yes, no or a folder with an index.html"),
        "What else the port serves: the phone of the demo, nothing, or a folder of files.",
        default=PHONE_PAGE,
        absent="``yes``",
    )
    trusted_proxies: tuple[Network, ...] = option(
        each(network, "write addresses or networks of your web servers"),
        "The reverse proxies in front whose X-Forwarded-For has the address of a browser.",
        default=(),
    )
    max_message: int = option(
        whole(1024, 1 << 20, "bytes"), "The longest SIP message; a longer one closes the connection.", default=65536
    )
    ping: float = option(number(0, 3600, "seconds"), "The interval of pings to a browser, 0 for none.", default=30.0)
    ping_timeout: float = option(
        number(1, 3600, "seconds"), "How long a ping may stay without a response before the connection is cut.",
        default=10.0,
    )  # fmt: skip
    connections_per_address: int = option(
        whole(1, MAX_LIMIT), "Connections that one IP address may have open at once.", default=250
    )
    connections: int = option(whole(1, MAX_LIMIT), "Connections that may be open at once in total.", default=20_000)
    client_ca: Path | None = option(
        CERTIFICATE_FILE,
        "The authorities that must have issued the certificate of each client at an ``ssl:`` line, a browser or a web"
        " server in front; without one the handshake fails.",
        default=None,
        absent="clients need no certificate",
    )
    hsts: int = option(
        whole(0, 2 * YEAR, "seconds"),
        "How long browsers are to use nothing but TLS with this host (RFC 6797), 0 not to ask for it.",
        default=YEAR,
    )
