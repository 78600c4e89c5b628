"""The section of a domain that is served here."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from webrtcproxy.config.addresses import host_name
from webrtcproxy.config.ini import Section, did_you_mean
from webrtcproxy.config.kinds import custom, each, text, whole, word
from webrtcproxy.config.option import option, read_section
from webrtcproxy.config.trunk import Trunk
from webrtcproxy.sip.uri import bracketed

MAX_EXPIRES = 7 * 86_400
"""The longest registration in seconds."""

_ALGORITHMS = {"sha-256": "SHA-256", "sha-512-256": "SHA-512-256", "md5": "MD5"}


def _users(section: Section, key: str, remedy: str) -> Path:
    path = section.folder / section.text(key, remedy)
    try:
        path.open("rb").close()
    except OSError as error:
        problem = f"{error.strerror} ({path})"
        raise section.error(key, problem, f"make it with: webrtcproxy passwd -f {path} USER@DOMAIN") from error
    return path


def _algorithm(text: str) -> str:
    if text.lower() not in _ALGORITHMS:
        raise ValueError("it is not known here")
    return _ALGORITHMS[text.lower()]


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain that is served here: browsers register at the proxy itself as its users. One section for each.

    :ivar name: lower case; an IPv6 address in brackets.
    :ivar realm: never empty, once it is read.
    """

    name: str
    users: Path | None = option(
        custom(_users, "write the path of a users file"),
        "The file of its users, made by ``webrtcproxy passwd``; read again when it changes.",
        default=None,
    )
    auth: Literal["name", "address", "no"] = option(
        word("name", "address", "no"),
        "Whether the checkers that ``--auth`` names are asked for its users, and for which username: ``alice``, or"
        " ``alice@example.com``.",
        default="name",
    )
    portal: str | None = option(
        text("write the name of a plugin, or NAME:ARGUMENT"),
        "A plugin that says who its users are (``users/plugin.py: IPortalPlugin``), with an argument for it.",
        default=None,
    )
    trunks: tuple[str, ...] = option(
        each(str, "write names of trunks"),
        "The trunks that its users may use at the expense of their accounts. The first one gets the numbers that they"
        " dial, and each may call its users by their addresses.",
        default=(),
        key="trunk",
    )
    realm: str = option(
        text("write a text such as example.com"),
        "The realm of its challenges. It is part of every hash in the users file.",
        default="",
        absent="the domain",
    )
    algorithms: tuple[str, ...] = option(
        each(_algorithm, "write SHA-256, SHA-512-256 or MD5"),
        "What its challenges offer, the preferred one first (RFC 8760). JsSIP and SIP.js know MD5 only.",
        default=("SHA-256", "MD5"),
    )
    min_expires: int = option(
        whole(10, MAX_EXPIRES, "seconds"),
        "The shortest registration; who asks for a shorter one gets 423.",
        default=60,
    )
    max_expires: int = option(whole(10, MAX_EXPIRES, "seconds"), "The longest registration.", default=3600)
    token_life: int = option(
        whole(60, 43_200, "seconds"),
        "How long the token of the bootstrap document keeps a user logged in who has logged in with a password, where"
        " neither a users file nor a checker or portal can tell meanwhile whether the user still exists.",
        default=3600,
    )


def read_domains(sections: Iterable[Section], trunks: Collection[Trunk]) -> tuple[Domain, ...]:
    """The domains. Mistakes are noted.

    :param sections: those of domains.
    """
    domains: dict[str, Domain] = {}
    for section in sections:
        domain = _domain(section, trunks)
        if domain.name in domains:
            section.note("", "another section has this domain", "join the two")
        domains[domain.name] = domain
    return tuple(domains.values())


def _domain(section: Section, trunks: Collection[Trunk]) -> Domain:
    written = section.name.partition(" ")[2].strip()
    try:
        name = bracketed(host_name(written))
    except ValueError as error:
        section.note("", str(error) if written else "it has no name", "write [domain example.com]")
        name = written
    domain = read_section(Domain, section, name=name)
    known = {trunk.name: trunk for trunk in trunks}
    for wanted in domain.trunks:
        if wanted not in known:
            remedy = did_you_mean(wanted, known) if known else f"add [trunk {wanted}]"
            section.note("trunk", "there is no such trunk", remedy, wanted)
    for trunk in known.values():
        if bracketed(trunk.host) == name:
            remedy = f"rename one of them, since {name} is served either here or by [trunk {trunk.name}]"
            section.note("", f"[trunk {trunk.name}] has this host", remedy)
    if domain.min_expires > domain.max_expires and section.is_right("max-expires"):
        section.note("min-expires", "it is longer than max-expires", "write a shorter one")
    return replace(domain, realm=domain.realm or name)
