"""What a configuration opens to others, or leaves undone: a rule for each option that can. ``--check`` prints what they
say, and the log has it at the start.

A rule is a function with `rule` in front of it. It yields a `warning` for each value that opens something, and nothing
for the values of etc/proxy.ini but its self-signed certificate.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from itertools import islice
from pathlib import Path
from typing import Final

from webrtcproxy.config.addresses import Network, ip
from webrtcproxy.config.bans import SCANNERS
from webrtcproxy.config.dialling import possible_prefixes
from webrtcproxy.config.endpoints import self_signed_files, split, unescape
from webrtcproxy.config.limits import LimitsConfig, TrunkLimits
from webrtcproxy.config.mistakes import ConfigError
from webrtcproxy.config.option import options_of
from webrtcproxy.config.ranges import RANGES
from webrtcproxy.config.rules import normal_prefix
from webrtcproxy.config.sections import SECTIONS, SPAWN, Config

Rule = Callable[[Config], Iterator[str]]
"""Yields the warnings about one option."""

_LOCAL: Final = tuple(
    map(
        ip_network,
        (
            "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
            "::1/128", "fc00::/7", "fe80::/10",
        ),
    )
)  # fmt: skip
"""The networks that nobody from elsewhere reaches or comes from (RFC 1918, 6598, 1122, 3927, 4193, 4291)."""

_WIDE: Final = {4: 16, 6: 32}
"""For each IP version, the shortest prefix that one company usually has; a shorter one takes in others."""

_OF_NO_COUNTRY: Final = ("+800", "+808", "+87", "+88", "+979")
"""The codes of services and networks that belong to no country (E.164.D)."""

_RULES: Final[list[Rule]] = []


def warnings_of(config: Config) -> list[str]:
    """What the configuration opens.

    :returns: one line for each option that opens something: section, key, value, what it opens, and the remedy. No
        secret is in it.
    """
    return [line for one in _RULES for line in one(config)]


def rule(check: Rule) -> Rule:
    """Add a rule to those that `warnings_of` asks, in the order of the source."""
    _RULES.append(check)
    return check


def warning(section: str, key: str, value: str | None, opens: str, remedy: str) -> str:
    """The line of a warning, written as a `ConfigError` is.

    :param value: the value in the file; None if there is none, or if it must not be shown.
    :param opens: what it opens, and to whom.
    :param remedy: what to write or do instead.
    """
    return str(ConfigError(section, key, value, remedy, opens))


def is_public(host: str) -> bool:
    """Whether an address is one of the internet; false for a name, which is not resolved here."""
    address = ip(host)
    return address is not None and address.is_global


def is_open(line: str) -> bool:
    """Whether an endpoint string listens on an address of the internet, or on all addresses; false for sockets of
    other kinds than TCP and UDP."""
    kind, *parts = split(line)
    if kind not in ("udp", "tcp", "tcp6", "ssl", "tls"):
        return False
    hosts = [unescape(part.partition("=")[2]) for part in parts if part.startswith("interface=")]
    address = ip(hosts[0]) if hosts else None
    return address is None or address.is_unspecified or address.is_global


def is_wide(network: Network) -> bool:
    """Whether a network has addresses of the internet that can't all be one company's."""
    local = any(network[0] in one and network[-1] in one for one in _LOCAL)
    return not local and network.prefixlen < _WIDE[network.version]


@rule
def _wss_listen(config: Config) -> Iterator[str]:
    for line in config.wss.listen:
        if split(line)[0] in ("tcp", "tcp6") and is_open(line):
            opens = "without TLS, whoever is on the way reads and changes what browsers send"
            yield warning("wss", "listen", line, opens, "write ssl:, or :interface=127.0.0.1 behind a web server")


@rule
def _self_signed(config: Config) -> Iterator[str]:
    key, _ = self_signed_files(config.path.parent)
    for line in config.wss.listen:
        if any(part == f"privateKey={key}" for part in map(unescape, split(line))):
            opens = "browsers can't tell its self-signed certificate from one of whoever is on the way, and warn of it"
            remedy = "write privateKey= and certKey= of a certificate that browsers trust"
            yield warning("wss", "listen", line.partition(":privateKey=")[0], opens, remedy)


@rule
def _origins(config: Config) -> Iterator[str]:
    words = {
        "*": "the pages of any site may use the browsers of its visitors here",
        "file://": "whatever is opened from a file, an attachment say, may use the browser of who opens it here",
        "null": "any site may pass for a local file, by a frame in a sandbox",
    }
    for origin in config.wss.origins or ():
        if origin in words:
            yield warning("wss", "origins", origin, words[origin], "name the sites of your pages")


@rule
def _hsts(config: Config) -> Iterator[str]:
    if config.wss.hsts == 0 and any(split(line)[0] == "ssl" for line in config.wss.listen):
        opens = "whoever is on the way may have a browser come without TLS, and read and change its page"
        yield warning("wss", "hsts", "0", opens, "leave the default, once the certificate is one that browsers trust")


@rule
def _trusted_proxies(config: Config) -> Iterator[str]:
    for network in config.wss.trusted_proxies:
        if is_wide(network):
            opens = "whoever is in it may claim any address for itself"
            yield warning("wss", "trusted-proxies", str(network), opens, "name the addresses of your web servers")


@rule
def _nodes(config: Config) -> Iterator[str]:
    for node in () if config.rtpengine.nodes == SPAWN else config.rtpengine.nodes:
        if is_public(node.host):
            opens = "the commands for it cross the internet, where anybody may send others"
            remedy = "give rtpengine an address of your own network for --listen-ng"
            yield warning("rtpengine", "nodes", str(node), opens, remedy)


@rule
def _destinations(config: Config) -> Iterator[str]:
    access = config.access
    if access.destinations.anywhere:
        who = "whoever connects" if access.trunk_credentials == "anyone" else "a browser"
        opens = f"{who} may call and register at any host that this machine reaches, those of your own network too"
        yield warning("access", "destinations", "*", opens, "write trunks, or the hosts that are called")
    for network in filter(is_wide, access.destinations.networks):
        opens = "a browser may call and register at any address in it"
        yield warning("access", "destinations", str(network), opens, "name the networks that are called")


@rule
def _deny(config: Config) -> Iterator[str]:
    deny, missing = config.access.deny, _undenied(config)
    if missing and not config.access.denies_others:
        opens = f"browsers may call {' and '.join(missing)} numbers, at the expense of whoever pays for the trunks"
        yield warning("access", "deny", " ".join(deny.words), opens, f"add {' '.join(missing)}")


@rule
def _allow(config: Config) -> Iterator[str]:
    access, missing = config.access, _undenied(config)
    words: dict[str, list[str]] = {}
    for name in RANGES:
        if access.denies_others or name not in missing:  # else the warning of deny says it
            for word in access.allowed_in(name):
                words.setdefault(word, []).append(name)
    for word, names in words.items():
        opens = f"browsers may call {' and '.join(names)} numbers by it, at the expense of whoever pays for the trunks"
        absent = [name for name in names if name in missing]
        yield warning("access", "allow", word, opens, f"add {' '.join(absent)} to deny" if absent else "leave it out")


@rule
def _country(config: Config) -> Iterator[str]:
    access = config.access
    if access.country:
        return
    opens = {
        "allow": "without a country, numbers that are dialled as within it (0…) are not among those that it allows",
        "deny": "without a country, numbers that are dialled as within it (0…) may be called all the same",
    }
    lists = [("access", "allow", access.allow), ("access", "deny", access.deny)]
    for trunk in config.trunks:
        section = f"trunk {trunk.name}"
        lists += [(section, "allow", trunk.allow), (section, "deny", trunk.deny)]
    for section, key, words in lists:
        found = [word for number, word in (*words.prefixes, *words.numbers) if _has_country(number, word, config)]
        if found:
            written = " ".join(dict.fromkeys(found))
            yield warning(section, key, written, opens[key], "write your country code as [access] country")


def _has_country(number: str, word: str, config: Config) -> bool:
    """Whether a word of a rule is about numbers of a country, as they are dialled from elsewhere."""
    international = normal_prefix(number, "", possible_prefixes("", config.access.international_prefixes))
    is_one = len(international) > 1 and international[0] == "+" and word not in RANGES
    return is_one and not international.startswith(_OF_NO_COUNTRY)


@rule
def _national_numbers(config: Config) -> Iterator[str]:
    for trunk in config.trunks:
        wanted = trunk.number_format
        for country in dict.fromkeys((wanted.home, wanted.country) if wanted.converts else ()):
            if not country.is_plain:
                why = f"nothing stands before national numbers of country {country.code}, and it is not plain which"
                why += " digits are one: they are not converted"
                remedy = f"dial +{country.code} first, or write {wanted.style} {country.code} none if all long ones are"
                yield warning(f"trunk {trunk.name}", "number-format", wanted.style, why, remedy)


def _undenied(config: Config) -> list[str]:
    """The ranges that `deny` does not name."""
    return [name for name in RANGES if name not in config.access.deny.words]


@rule
def _limit_unregistered(config: Config) -> Iterator[str]:
    limit = config.calls.limit_unregistered
    if limit > 0 and config.access.trunk_credentials != "anyone":  # else the warning of that says more
        opens = "what whoever connects sends reaches the trunks, without a password"
        yield warning("calls", "limit-unregistered", str(limit), opens, "write 0")


@rule
def _limits(config: Config) -> Iterator[str]:
    for key in _switched_off(config.limits):
        whose = key.partition("-")[0]
        opens = f"one {whose} may have as many calls as `share` leaves it"
        if key.endswith("-per-minute"):
            opens = f"one {whose} may send as many as it can, and guess passwords with them"
        yield warning("limits", key, "0", opens, "write a number, or leave the default")
    if config.limits.share == 100:
        opens = "the calls from one address or one trunk may be all that there are"
        yield warning("limits", "share", "100", opens, "write 80")


@rule
def _trunk_limits(config: Config) -> Iterator[str]:
    for trunk in config.trunks:
        for key in _switched_off(trunk.limits):
            opens = "the trunk may send as many calls as it can, and keep the proxy busy with them"
            if key == "messages-to-per-minute":
                opens = "whoever has an account may send as many messages to numbers as the limits of users let it"
            yield warning(f"trunk {trunk.name}", key, "0", opens, "write a number, or leave the default")


def _switched_off(limits: LimitsConfig | TrunkLimits) -> Iterator[str]:
    """The keys of limits that are none, although there are such by default."""
    for option in options_of(type(limits)):
        if getattr(limits, option.fills[0]) == 0 != option.default:
            yield option.key


@rule
def _trunk_credentials(config: Config) -> Iterator[str]:
    if config.access.trunk_credentials == "anyone":
        accounts = [f"[trunk {trunk.name}]" for trunk in config.trunks if trunk.username is not None]
        opens = f"whoever connects may call at the expense of {', '.join(accounts) or 'the trunks that know this host'}"
        yield warning("access", "trunk-credentials", "anyone", opens, "write registered")


@rule
def _also_for(config: Config) -> Iterator[str]:
    for trunk in config.trunks:
        if trunk.also_for:
            others = " and ".join(f"[trunk {name}]" for name in trunk.also_for)
            opens = f"who has registered at {others} may call at the expense of this trunk's account"
            remedy = "leave it out, unless whoever pays for it pays for them"
            yield warning(f"trunk {trunk.name}", "also-for", " ".join(trunk.also_for), opens, remedy)


@rule
def _pass_identity(config: Config) -> Iterator[str]:
    for trunk in config.trunks:
        if trunk.pass_identity:
            opens = "a browser may give any number as its own, and have others charged"
            yield warning(f"trunk {trunk.name}", "pass-identity", "yes", opens, "write no")


@rule
def _media_nat(config: Config) -> Iterator[str]:
    for trunk in config.trunks:
        if trunk.media.nat:
            opens = "whoever sends RTP to the port of a call within 3 seconds of an answer may hear it and be heard"
            yield warning(f"trunk {trunk.name}", "media-nat", "yes", opens, "write no, unless the trunk is behind NAT")


@rule
def _sources(config: Config) -> Iterator[str]:
    for trunk in config.trunks:
        for network in trunk.sources or ():
            if is_wide(network):
                opens = "whoever is in it may call your browsers as this trunk"
                yield warning(f"trunk {trunk.name}", "sources", str(network), opens, "name the networks of the trunk")


@rule
def _bans(config: Config) -> Iterator[str]:
    if config.bans.after == 0:
        opens = "whoever connects may guess passwords for as long as he likes, only slower"
        yield warning("bans", "after", "0", opens, "write how many failed logins are enough, such as 10")
    for network in filter(is_wide, config.bans.trusted):
        opens = "whoever is in it may guess the passwords of many users, and is never banned"
        yield warning("bans", "trusted", str(network), opens, "name the networks of your own")
    agents = config.bans.user_agents
    missing = [scanner for scanner in SCANNERS if not scanner.startswith(agents)]
    if missing:
        opens = f"scanners get responses that are known by {' '.join(missing)}"
        yield warning("bans", "user-agents", " ".join(agents), opens, "add these, or leave the default")


@rule
def _web_listen(config: Config) -> Iterator[str]:
    for line in config.web.listen:
        if is_open(line):
            opens = "anybody may read how many calls and browsers there are, and which trunks"
            yield warning("web", "listen", line, opens, "write :interface=127.0.0.1, or an address of your own network")


@rule
def _demo(config: Config) -> Iterator[str]:
    if config.demo is not None and is_open(config.demo.listen):
        opens = "anybody may register there, and send with its echo"
        yield warning("demo", "listen", config.demo.listen, opens, "write :interface=127.0.0.1")


@rule
def _key_files(config: Config) -> Iterator[str]:
    lines = [("wss", line) for line in config.wss.listen] + [("sip", line) for line in config.sip.listen]
    for section, line in [*lines, *(("web", line) for line in config.web.listen)]:
        for part in split(line):
            if part.startswith("privateKey="):
                yield from _readable(section, "listen", Path(unescape(part.partition("=")[2])), 0o077)
    for trunk in config.trunks:
        if trunk.tls.key is not None:
            yield from _readable(f"trunk {trunk.name}", "tls-key", trunk.tls.key, 0o077)


@rule
def _secrets(config: Config) -> Iterator[str]:
    for section, key in islice(_options_with_secrets(config), 1):  # all of them are in the same file
        yield from _readable(section, key, config.path, 0o007)


def _options_with_secrets(config: Config) -> Iterator[tuple[str, str]]:
    """Section and key of each option that has a secret of the file."""
    parts = [(name, getattr(config, name, None)) for name in SECTIONS]
    for name, part in [*parts, *((f"trunk {trunk.name}", trunk) for trunk in config.trunks)]:
        for option in options_of(type(part)) if part is not None else ():
            if option.kind.secret and getattr(part, option.fills[0]) not in (None, option.default):
                yield name, option.key


@rule
def _users_files(config: Config) -> Iterator[str]:
    for domain in config.domains:
        if domain.users is not None:
            yield from _readable(f"domain {domain.name}", "users", domain.users, 0o007)


@rule
def _tokens(config: Config) -> Iterator[str]:
    tokens = config.tokens
    if tokens is None:
        return
    if tokens.any_audience:
        opens = "a token that its user has got for any other service logs in here"
        yield warning(
            "tokens", "audience", "*", opens, "write the audience that the issuer gives to tokens for this proxy"
        )
    if tokens.query is not None:
        opens = "web servers in front may write tokens into their logs, where they can be read while they are valid"
        yield warning(
            "tokens", "query", tokens.query, opens, "let the page send a subprotocol token.JWT, or issue short ones"
        )
    if tokens.on_expiry == "keep":
        opens = "who has a token once is logged in for as long as the connection lasts"
        yield warning("tokens", "on-expiry", "keep", opens, "write close or logout")
    if tokens.secret_file is not None:
        yield from _readable("tokens", "secret-file", tokens.secret_file, 0o077)


def _readable(section: str, key: str, path: Path, others: int) -> Iterator[str]:
    """Warn of a file with a secret.

    :param others: the permissions that it must not give, as bits of its mode.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return  # it was there a moment ago, or is not this user's to see: the start tells
    if mode & others:
        who = "everybody" if mode & others & 0o007 else "its group"
        opens = f"{who} on this machine may read or change {path} (mode {mode:03o}), and what is confidential in it"
        yield warning(section, key, None, opens, f"chmod {mode & ~others:03o} {path}")
