"""Reads the sections of the trunks, and checks what they say together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from webrtcproxy.config.access import AccessConfig
from webrtcproxy.config.ini import Section, did_you_mean
from webrtcproxy.config.number_format import NATIONAL, NumberFormat
from webrtcproxy.config.option import read_section
from webrtcproxy.config.trunk import Trunk
from webrtcproxy.config.trunk_transport import check_client_tls


def read_trunks(sections: Iterable[Section], kinds: Collection[str] | None) -> tuple[Trunk, ...]:
    """The trunks. Mistakes are noted.

    :param sections: those of trunks.
    :param kinds: the transports that ``[sip] listen`` has; None where it can't be read.
    """
    read = [(section, _trunk(section, kinds)) for section in sections]
    trunks = [trunk for _, trunk in read]
    for index, (section, trunk) in enumerate(read):
        for other in trunks[:index]:
            if other.name == trunk.name:
                section.note("", "another trunk has this name", "give each trunk a name of its own")
            if trunk.host and other.serves((trunk.host, trunk.port)):
                section.note("host", f"[trunk {other.name}] has it too", "give each trunk a host of its own")
            _check_same_tls(section, trunk, other)
        _check_also_for(section, trunk, trunks)
    return tuple(trunks)


def with_number_formats(
    sections: Iterable[Section], trunks: Iterable[Trunk], access: AccessConfig
) -> tuple[Trunk, ...]:
    """The trunks, whose formats of numbers know where the proxy is. Mistakes are noted.

    :param sections: those of trunks.
    """
    found = []
    for section, trunk in zip(sections, trunks, strict=True):
        wanted = trunk.number_format
        if section.is_right("number-format"):
            _check_number_format(section, wanted, access)
        resolved = wanted.at(access.country, access.international_prefixes, access.dial_prefixes)
        found.append(replace(trunk, number_format=resolved))
    return tuple(found)


def _check_number_format(section: Section, wanted: NumberFormat, access: AccessConfig) -> None:
    code = wanted.country.code
    if not access.country and (code or wanted.style == NATIONAL):
        problem = "it is not known how national numbers are dialled, so that a rule could be dodged by another spelling"
        section.note("number-format", problem, f"write country = {code or '49'} in [access]")
    elif code not in ("", access.country) and wanted.style != NATIONAL:
        problem = f"[access] country is {access.country}, and only national numbers may be another country's"
        section.note("number-format", problem, f"write {wanted.style}")


def _trunk(section: Section, kinds: Collection[str] | None) -> Trunk:
    name = section.name.partition(" ")[2].strip()
    if not name:
        section.note("", "the trunk has no name", "write [trunk NAME]")
    trunk = read_section(Trunk, section, name=name)
    _check_account(section, trunk)
    if kinds is not None:
        _check_transport(section, trunk, kinds)
    check_client_tls(section, trunk.tls)
    return trunk


def _check_transport(section: Section, trunk: Trunk, kinds: Collection[str]) -> None:
    for transport in ("tcp", "tls", "udp"):
        if transport not in kinds and (transport == trunk.transport or (transport == "tcp" and trunk.tcp_over_mtu)):
            remedy = f"add a {transport}: line there, the trunk has to reach us as we reach it"
            section.note("transport", f"there is no {transport}: line in [sip] listen", remedy)


def _check_account(section: Section, trunk: Trunk) -> None:
    if trunk.username is None and trunk.password is None:
        if trunk.realm is not None and section.is_right("username", "password"):
            section.note("realm", "it says nothing without an account", "write username and password too")
    elif trunk.password is None:
        section.note("password", "it is missing beside username", "write both, or neither")
    elif trunk.username is None:
        section.note("username", "it is missing beside password", "write both, or neither")


def _check_also_for(section: Section, trunk: Trunk, trunks: Sequence[Trunk]) -> None:
    known = {other.name for other in trunks}
    for name in trunk.also_for:
        if name not in known:
            section.note("also-for", "there is no such trunk", did_you_mean(name, known), name)


def _check_same_tls(section: Section, trunk: Trunk, other: Trunk) -> None:
    """Check that trunks at the same server have the same TLS options, since they share one connection."""
    shared = {server.host for server in trunk.servers if server.host}.intersection(
        server.host for server in other.servers
    )
    if shared and trunk.tls != other.tls and trunk.may_be_tls and other.may_be_tls:
        key = "proxy" if trunk.proxy else "host"
        problem = f"[trunk {other.name}] is at {min(shared)} too, with other tls- files"
        section.note(key, problem, "write the same tls-ca, tls-certificate and tls-key in both")
