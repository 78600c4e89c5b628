"""The section of a trunk: a SIP provider, PBX or registrar."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from webrtcproxy.config.addresses import HostPort, Network, network, plain_host, same_hostport
from webrtcproxy.config.headers import header_line, header_pattern
from webrtcproxy.config.ini import Section
from webrtcproxy.config.kinds import custom, each, flag, number, one, password, text, word
from webrtcproxy.config.limits import TrunkLimits
from webrtcproxy.config.media import TrunkMedia
from webrtcproxy.config.number_format import NumberFormat, number_format
from webrtcproxy.config.numbers import NUMBERS, NumberMap, numbers_file, one_number
from webrtcproxy.config.option import group, option
from webrtcproxy.config.rules import NO_RULES, RuleWords, rule_list
from webrtcproxy.config.trunk_transport import PING, STOP_CODES, TRANSPORT, ClientTls, Transport
from webrtcproxy.sip.uri import SIP_PORT, SIPS_PORT

_HOST = "write a host such as sip.example.com or sip.example.com:5080"


def _set(section: Section, key: str, remedy: str) -> tuple[tuple[str, str], ...]:
    return section.each_line(key, remedy, header_line, name=lambda line: line[0].lower())


def _accounts(section: Section, key: str, remedy: str) -> Path:
    path = section.folder / section.text(key, remedy)
    try:
        mode = path.stat().st_mode
        path.open("rb").close()
    except OSError as error:
        raise section.error(key, f"{error.strerror} ({path})", remedy) from error
    if mode & 0o077:
        raise section.error(key, f"others on this machine may read the passwords in {path}", f"chmod 600 {path}")
    return path


@dataclass(frozen=True, slots=True)
class Trunk:
    """A SIP provider, PBX or registrar; one section for each.

    :ivar name: for logs.
    :ivar host: with `port`, the host of the Request-URIs that it serves; lower case.
    :ivar proxy: where to send instead of `host`, in the order of attempts.
    :ivar transport: None for the transport from the DNS, or else UDP.
    :ivar tcp_over_mtu: send requests that are too large for a datagram over TCP (RFC 3261 section 18.1.1).
    :ivar strip: names in lower case; ``x-*`` for all that begin with ``x-``.
    :ivar set: names and values.
    """

    name: str
    host: str = option(
        one(HostPort.parse, _HOST),
        "The host and port of the addresses (``sip:user@host``) that it serves.",
        fills=("host", "port"),
        stand_in=("", None),
    )
    port: int | None = None
    proxy: tuple[HostPort, ...] = option(
        each(HostPort.parse, _HOST),
        "Where to send instead of resolving ``host``; several, in the order of attempts.",
        default=(),
    )
    transport: Transport | None = option(
        TRANSPORT,
        "The transport; ``udp tcp`` is UDP, with TCP for requests of more than 1300 bytes. Each needs a line in ``[sip]"
        " listen``.",
        default=None,
        fills=("transport", "tcp_over_mtu"),
        absent="the one from the DNS (NAPTR, SRV), else udp",
    )
    tcp_over_mtu: bool = False
    username: str | None = option(
        text("write the account's name"),
        "With ``password``, the account with which the proxy answers digest challenges of this trunk, for the browsers"
        " that ``trunk-credentials`` names; other challenges cross to the browser.",
        default=None,
    )
    password: str | None = option(password("write the account's password"), "See ``username``.", default=None)
    accounts: Path | None = option(
        custom(_accounts, "write the path of a file with lines NAME USERNAME PASSWORD"),
        "The accounts of users, where the trunk wants a registration per user: lines ``NAME USERNAME PASSWORD``, the"
        " name as the user part of the address there. Of the users of ``[domain NAME]``, each registers and calls with"
        " the account that its attribute ``account`` names, and no page ever has the password.",
        default=None,
    )
    realm: str | None = option(
        text("write the realm of the provider's challenges"),
        "Answer challenges of this realm only.",
        default=None,
        absent="any",
    )
    also_for: tuple[str, ...] = option(
        each(str, "write names of trunks"),
        "Other trunks whose registered browsers may use this one as well, at the expense of its account.",
        default=(),
    )
    sources: tuple[Network, ...] | None = option(
        each(network, "write networks such as 198.51.100.0/24"),
        "The networks from which the trunk may call.",
        default=None,
        absent="the addresses of ``host`` or ``proxy``",
    )
    numbers: NumberMap = option(
        NUMBERS,
        "Whom the numbers that the trunk calls ring, one a line: ``+4930123* = alice@example.com sales@example.com``;"
        " ``*`` after the beginning of numbers. A whole number is preferred to a beginning, and a longer beginning to a"
        " shorter one. ``registered`` in place of an address stands for the only user that is registered at this"
        " trunk.",
        default=NumberMap(),
        absent="the numbers in the accounts of users whose domain has this trunk",
    )
    numbers_file: Path | None = option(
        custom(numbers_file, "write the path of a file with lines NUMBER = USER@DOMAIN"),
        "A file with such lines, for many: a hundred thousand cost no more at a call than one. It is read again when it"
        " changes. A number that stands in ``numbers`` too rings whom it rings there.",
        default=None,
    )
    called_number: Literal["request-uri", "p-called-party-id", "to"] = option(
        word("request-uri", "p-called-party-id", "to"),
        "Where the trunk writes the number that was called, for ``numbers`` and for the numbers of users.",
        default="request-uri",
    )
    number_format: NumberFormat = option(
        number_format(),
        "How the trunk wants and sends numbers: ``as-dialled``, as users write them; ``+e164``, with ``+`` and the"
        " country code; ``e164``, the same without ``+``; ``national``, as they are dialled in the country, others with"
        " the first of ``international-prefixes``. The country is that of ``[access]``, or named here with what stands"
        " before its national numbers: ``national 49 0``, ``national 34 none``.",
        default=NumberFormat(),
    )
    caller_id: Literal["from", "asserted", "both"] = option(
        word("from", "asserted", "both"),
        "Where the trunk wants the number of a user of a ``[domain]`` that calls: in From, in P-Asserted-Identity with"
        " the account in From, or in both.",
        default="from",
    )
    main_number: str | None = option(
        one(one_number, "write a number such as +4930123456"),
        "The number that is shown for a user that has none of its own.",
        default=None,
        key="number",
    )
    redirects: Literal["pass", "follow"] = option(
        word("pass", "follow"),
        "Whether its 3xx responses cross to the caller, or the proxy follows them, within ``destinations``.",
        default="pass",
    )
    pass_identity: bool = option(
        flag(),
        "Whether headers by which browsers claim an identity, say who is charged, or state a privilege reach it:"
        " P-Asserted-Identity, P-Charge-Info, Resource-Priority and others.",
        default=False,
    )
    strip: tuple[str, ...] = option(
        each(header_pattern, "write header names such as User-Agent or X-*"),
        "Headers that do not cross in either direction; ``X-*`` means all that begin with ``X-``.",
        default=(),
    )
    set: tuple[tuple[str, str], ...] = option(
        custom(_set, "write 'Name: value', one header a line"),
        "Headers to set in each request that crosses to the trunk, replacing the browser's.",
        default=(),
    )
    media: TrunkMedia = group(TrunkMedia)
    refer: Literal["pass", "local"] = option(
        word("pass", "local"),
        "With ``local``, the proxy itself carries out a transfer that the trunk refuses (405, 501 or 603 to REFER).",
        default="pass",
    )
    allow: RuleWords = option(
        rule_list(hosts=False),
        "The only numbers that may be called at it, of those that ``[access]`` permits.",
        default=NO_RULES,
        absent="whatever is not denied",
    )
    deny: RuleWords = option(
        rule_list(hosts=False), "The numbers that may not be called at it, whatever ``[access]`` says.",
        default=NO_RULES,
    )  # fmt: skip
    limits: TrunkLimits = group(TrunkLimits)
    tls: ClientTls = group(ClientTls)
    failover: float = option(
        number(0.5, 32, "seconds"),
        "How long a target may be silent before the next one is tried, if there are several.",
        default=4.0,
    )
    stop_codes: frozenset[int] | None = option(
        STOP_CODES,
        "Final responses after which no further target is tried; challenges and 3xx always end the search.",
        default=None,
        absent="all but 408, 500, 502, 503 and 504",
    )
    ping: float = option(
        PING,
        "The interval of OPTIONS to each of its targets, in seconds, for each worker; a target that is silent or sends"
        " 503 is tried last.",
        default=0.0,
    )

    @property
    def servers(self) -> tuple[HostPort, ...]:
        """The hosts and ports at which the trunk is reached, in the order of attempts."""
        return self.proxy or (HostPort(self.host, self.port),)

    @property
    def may_be_tls(self) -> bool:
        """Whether the trunk is reached over TLS, or may be: if the DNS says so, or, where its section prepares for
        that, a Contact."""
        if self.transport is not None:
            return self.transport == "tls"
        return self.tls != ClientTls() or any(server.port is None for server in self.servers)

    def serves(self, hostport: tuple[str, int | None]) -> bool:
        """True if `hostport` of a Request-URI belongs to this trunk; no port means 5060, and with TLS also 5061."""
        host, port = plain_host(hostport[0]), hostport[1]
        if self.transport == "tls" and None in (port, self.port):
            return host == self.host and (port or self.port) in (None, SIP_PORT, SIPS_PORT)
        return same_hostport((host, port), (self.host, self.port))
