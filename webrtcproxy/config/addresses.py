"""Hosts, networks and origins in the configuration: their syntax, and what they match."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import AF_INET, AF_INET6, AddressFamily
from typing import NamedTuple, Protocol

from webrtcproxy.sip.uri import SIP_PORT, bracketed

Network = IPv4Network | IPv6Network

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*", re.ASCII)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?", re.ASCII)


def family_of(host: str) -> AddressFamily:
    """The address family of an IP address without brackets; IPv4 for an empty one."""
    return AF_INET6 if ":" in host else AF_INET


class HostPort(NamedTuple):
    """A host, in lower case and without brackets, and a port or None."""

    host: str
    port: int | None

    def __str__(self) -> str:
        host = bracketed(self.host)
        return host if self.port is None else f"{host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> HostPort:
        """Parse ``host``, ``host:port``, ``[v6]`` or ``[v6]:port``.

        :raises ValueError: says what is wrong.
        """
        host, port = text, ""
        if text.startswith("["):
            host, bracket, port = text[1:].partition("]")
            if not bracket or (port and not port.startswith(":")) or ":" not in host:
                raise ValueError("the brackets are wrong")
            port = port[1:] if port else ""
        elif text.count(":") == 1:
            host, _colon, port = text.partition(":")
            if not port:
                raise ValueError("there is no port after the ':'")
        return cls(host_name(host), port_number(port) if port else None)


class Served(Protocol):
    """Something that serves hosts and ports: a trunk."""

    def serves(self, hostport: tuple[str, int | None]) -> bool:
        """Whether the host and port of a Request-URI belong to it."""


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where browsers may call and register.

    :param anywhere: any destination (``*``).
    :param trunks: the hosts and ports that the trunks of the configuration serve.
    :param hosts: hosts; without a port, any port of that host.
    :param domains: each ``.example.com`` stands for ``*.example.com``.
    :param networks: match hosts that are IP addresses; names are not resolved.
    """

    anywhere: bool = False
    trunks: bool = False
    hosts: frozenset[HostPort] = frozenset()
    domains: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    def __or__(self, other: Destinations) -> Destinations:
        return Destinations(
            self.anywhere or other.anywhere,
            self.trunks or other.trunks,
            self.hosts | other.hosts,
            self.domains + other.domains,
            self.networks + other.networks,
        )

    def allows(self, host: str, port: int | None, trunks: Sequence[Served]) -> bool:
        """True if a browser may call or register at `host` and `port`.

        :param host: in any case, IPv6 with or without brackets.
        :param trunks: all trunks of the configuration.
        """
        if self.anywhere:
            return True
        host = plain_host(host)
        if self.trunks and any(trunk.serves((host, port)) for trunk in trunks):
            return True
        if HostPort(host, None) in self.hosts or any(same_hostport((host, port), allowed) for allowed in self.hosts):
            return True
        address = ip(host)
        if address is not None:
            return any(address in network for network in self.networks)
        return any(host.endswith(domain) for domain in self.domains)


def ip(host: str) -> IPv4Address | IPv6Address | None:
    """`host` as an IP address; None for a name. An IPv4-mapped IPv6 address becomes IPv4."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=1024)
def literal(host: str) -> str | None:
    """A host that is an IP address, in its shortest form; None for a name. IPv6 may have brackets."""
    address = ip(host.strip("[]"))
    return None if address is None else str(address)


def network_of(host: str) -> str:
    """The unit that is counted as one address: an IPv4 address, or the /64 network of an IPv6 address; anything else
    unchanged."""
    if ":" not in host:
        return host
    try:
        return str(IPv6Network((int(IPv6Address(host.partition("%")[0])) >> 64 << 64, 64)))
    except ValueError:
        return host


def site_of(host: str) -> str:
    """The /48 network of an IPv6 address, which is what one site may have of networks (RFC 6177); empty for others."""
    address = ip(host.partition("%")[0])
    return str(IPv6Network((int(address) >> 80 << 80, 48))) if isinstance(address, IPv6Address) else ""


def plain_literal(host: str) -> str | None:
    """The same, with an IPv4-mapped address as the IPv4 address that its packets come from."""
    address = ip(host.strip("[]"))
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return None if address is None else str(mapped or address)


def plain_host(host: str) -> str:
    """`host` in lower case, without brackets and final dot, an IP address in its shortest form."""
    host = host.lower().removeprefix("[").removesuffix("]")
    if ":" in host:
        return str(ip(host) or host)
    return host.removesuffix(".")


def same_hostport(one: tuple[str, int | None], other: tuple[str, int | None]) -> bool:
    """True if two plain hosts and ports are the same; no port means 5060."""
    return one[0] == other[0] and (one[1] or SIP_PORT) == (other[1] or SIP_PORT)


def host_name(text: str) -> str:
    """Check a host name or IP address.

    :returns: its `plain_host`.
    :raises ValueError: says what is wrong.
    """
    host = plain_host(text)
    if "/" in host:
        raise ValueError("this is no host but has a '/'")
    if not text.isascii():
        raise ValueError("letters outside ASCII; write the name in its xn-- form")
    if ip(host) is None:
        labels = host.split(".")
        if not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit() or len(host) > 253:
            raise ValueError("this is no host name and no IP address")
    return host


def port_number(text: str) -> int:
    """Check a port, 1 to 65535.

    :raises ValueError: says what is wrong.
    """
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise ValueError("the port is no number from 1 to 65535")
    return int(text)


def network(text: str) -> Network:
    """Parse a network such as ``198.51.100.0/24`` or a single address.

    :raises ValueError: says what is wrong, with the network that was probably meant.
    """
    try:
        return ip_network(text)
    except ValueError:
        pass
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        raise ValueError("this is no network") from None
    raise ValueError(f"there are address bits outside the mask, {meant} is the network")


def destination(word: str) -> Destinations:
    """Parse one word of ``destinations``.

    :raises ValueError: says what is wrong.
    """
    if word == "*":
        return Destinations(anywhere=True)
    if word == "trunks":
        return Destinations(trunks=True)
    if word == "trunk":
        raise ValueError("a host that is called 'trunk'? All trunks are 'trunks'")
    if word.startswith(("sip:", "sips:")):
        raise ValueError("a host stands here without sip: in front")
    if word.startswith("*."):
        return Destinations(domains=("." + host_name(word[2:]),))
    if "/" in word:
        return Destinations(networks=(network(word),))
    return Destinations(hosts=frozenset({HostPort.parse(word)}))


def origin(text: str) -> str:
    """Check an origin of a page: ``https://host[:port]``, ``https://*.example.org``, ``*``, ``null``; or that of an
    app, whose pages have a scheme of their own and perhaps no host (RFC 6454 section 4): ``capacitor://localhost``,
    ``app://.``, ``file://``.

    :returns: the origin in lower case.
    :raises ValueError: says what is wrong.
    """
    if text.lower() in ("*", "null"):
        return text.lower()
    scheme, colon, rest = text.lower().partition("://")
    if not colon:
        raise ValueError(f"the scheme is missing, write https://{text}")
    if not _SCHEME.fullmatch(scheme):
        raise ValueError("this is no scheme before the ://")
    if scheme == "file" and rest == "/":  # as the address of such a page begins
        rest = ""
    host = re.split("[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
    if host != rest:
        raise ValueError(f"an origin ends after the host and port, write {scheme}://{host}")
    if scheme in ("http", "https"):
        HostPort.parse(host.removeprefix("*."))
    elif "*" in host or not host.isascii() or not host.isprintable():
        raise ValueError("the origin of an app is written in ASCII and without *")
    return f"{scheme}://{host}"
