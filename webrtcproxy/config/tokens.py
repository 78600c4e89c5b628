"""The section [tokens]: logging in with a JSON Web Token (RFC 7519) that another service issues."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from webrtcproxy.config.addresses import host_name, ip
from webrtcproxy.config.ini import Secret, Section, did_you_mean
from webrtcproxy.config.key_set import ASYMMETRIC, SYMMETRIC, parse_key_set
from webrtcproxy.config.kinds import Kind, custom, each, flag, number, one, text, whole, word
from webrtcproxy.config.option import option
from webrtcproxy.sip.uri import bracketed

MIN_SECRET: Final = 32
"""Octets of the shortest secret: those of the hash (RFC 7518 section 3.2)."""
MAX_SIZE: Final = 12_288
"""Characters of the longest token: all headers of an HTTP request may have 16,384 octets."""

_FILE: Final = "write the path of a file; a relative one starts at the configuration file"
_KEYS: Final = "write the path of a JSON Web Key Set, or its https:// address"
_CLAIMS: Final = "write ATTRIBUTE=CLAIM, such as numbers=phone_numbers, one a line"
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
"""A token of RFC 7230: the name of a cookie (RFC 6265) or of a query parameter."""
_DEFAULT: Final = ("EdDSA", "ES256", "RS256", "HS256")


def _key_source(section: Section, key: str, remedy: str) -> Path | str:
    value = section.text(key, remedy)
    if "://" in value:
        return _url(section, key, value)
    path = section.folder / value
    try:
        parse_key_set(path.read_bytes())
    except OSError as error:
        raise section.error(key, f"{error.strerror} ({path})", remedy) from error
    except ValueError as error:
        raise section.error(key, f"{path}: {error}", "write the path of a JSON Web Key Set (RFC 7517)") from error
    return path


def _url(section: Section, key: str, value: str) -> str:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise section.error(key, "this is no address", _KEYS) from error
    if parts.scheme not in ("https", "http") or not host or "@" in parts.netloc or parts.fragment:
        raise section.error(key, "this is no https:// address", _KEYS)
    address = ip(host)
    if parts.scheme == "http" and host != "localhost" and (address is None or not address.is_loopback):
        raise section.error(key, "whoever is on the way could put a key of his own there", "write https://")
    return value


def _secret(section: Section, key: str, remedy: str) -> tuple[Path, Secret]:
    path = section.folder / section.text(key, remedy)
    try:
        secret = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise section.error(key, f"{error.strerror} ({path})", remedy) from error
    if len(secret) < MIN_SECRET:
        longer = f"write a random secret there, as from: openssl rand -hex {MIN_SECRET}"
        raise section.error(key, f"the secret in {path} is shorter than {MIN_SECRET} octets", longer)
    return path, Secret(secret.decode("latin-1"))


def _algorithm(name: str) -> str:
    if name.lower() == "none":
        raise ValueError("a token without signature proves nothing")
    if name not in SYMMETRIC | ASYMMETRIC:
        raise ValueError("not known here")
    return name


def _certificates(section: Section, key: str, remedy: str) -> Path:
    path = section.folder / section.text(key, remedy)
    try:
        found = b"-----BEGIN CERTIFICATE-----" in path.read_bytes()
    except OSError as error:
        raise section.error(key, f"{error.strerror} ({path})", remedy) from error
    if not found:
        raise section.error(key, f"there is no certificate in {path}", remedy)
    return path


def _claims(section: Section, key: str, remedy: str) -> tuple[tuple[str, str], ...]:
    return section.each_line(key, remedy, _claim, name=itemgetter(0))


def _claim(line: str) -> tuple[str, str]:
    attribute, equals, claim = (part.strip() for part in line.partition("="))
    if not equals or not attribute or not claim:
        raise ValueError("this is no ATTRIBUTE=CLAIM")
    return attribute, claim


def _parameter(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("this can't be the name of a cookie or of a query parameter")
    return value


def _authz_server(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or any(sign in value for sign in '"\\ '):
        raise ValueError("this is no https:// address")
    return value


def _scope(value: str) -> str:
    if any(sign in value or not sign.isprintable() for sign in '"\\') or not value.isascii():
        raise ValueError("a scope has printable ASCII without quotes")
    return value


@dataclass(frozen=True, slots=True)
class TokensConfig:
    """Tokens that log a browser in.

    :ivar keys: the file or the address of the public keys; None without.
    :ivar secret: that of the HS algorithms, its octets as Latin-1; None without.
    :ivar secret_file: where that stands.
    :ivar algorithms: None for what fits the keys; see `allowed`.
    :ivar audience: empty for any.
    :ivar claims: attributes of users, each with the claim that has it.
    """

    audience: tuple[str, ...] = option(
        each(str, "write the value of aud that the issuer gives to tokens for this proxy, or * for any"),
        "The audience (``aud``): a token has one of these, so that those for other services do not log in here; ``*``"
        " for any.",
        stand_in=(),
    )
    keys: Path | str | None = option(
        custom(_key_source, _KEYS),
        "The issuer's public keys: a JSON Web Key Set, by file (read again when it changes) or by ``https`` address."
        " While an address can't be reached, the keys that it had before stay.",
        default=None,
    )
    keys_ca: Path | None = option(
        custom(_certificates, _FILE),
        "The authorities that may have issued the certificate of that address (PEM).",
        default=None,
        absent="those that the system trusts",
    )
    cache: int = option(
        whole(60, 86400, "seconds"),
        "How long the keys of an address are used before they are read again, where its Cache-Control says nothing.",
        default=600,
    )
    secret_file: Path | None = option(
        custom(_secret, _FILE),
        f"The file with the secret of the HS algorithms, {MIN_SECRET} octets or more; only the issuer has it, too.",
        default=None,
        fills=("secret_file", "secret"),
    )
    secret: Secret | None = None
    algorithms: tuple[str, ...] | None = option(
        each(_algorithm, "write algorithms such as EdDSA ES256 RS256 HS256"),
        "The algorithms of tokens that are accepted; HS ones are verified with ``secret-file`` only, all others with"
        " ``keys`` only.",
        default=None,
        absent="with ``keys``: ``EdDSA ES256 RS256``; with ``secret-file``: ``HS256``",
    )
    issuer: str | None = option(text("write the value of iss"), "The issuer (``iss``).", default=None, absent="any")
    leeway: float = option(
        number(0, 300, "seconds"), "By how much the clocks of issuer and proxy may differ.", default=30.0
    )
    max_size: int = option(whole(256, MAX_SIZE, "characters"), "The longest token.", default=8192)
    user_claim: str = option(
        text("write the name of a claim"),
        "The claim that names the user: the user part of the SIP address, or the whole address.",
        default="sub",
    )
    domain: str | None = option(
        one(lambda name: bracketed(host_name(name)), "write the name of a [domain]"),
        "The domain of the users.",
        default=None,
        absent="the one in the user's claim",
    )
    claims: tuple[tuple[str, str], ...] = option(
        Kind(partial(_claims, remedy=_CLAIMS), _CLAIMS, show=lambda pairs: "\n".join(map("=".join, pairs))),
        "Attributes of users and the claims that have them, ``ATTRIBUTE=CLAIM``, one a line; ``a.b`` is the member"
        " ``b`` of the claim ``a``.",
        default=(("name", "name"),),
        absent="the display name from ``name``, and nothing else",
    )
    query: str | None = option(
        one(_parameter, "write the name of a query parameter, such as token"),
        "The parameter of the WebSocket's address that has the token; web servers in front may write it into their"
        " logs.",
        default=None,
        absent="not from the address",
    )
    cookie: str | None = option(
        one(_parameter, "write the name of a cookie"),
        "The cookie that has the token; it counts only with the Origin of a page that ``origins`` of ``[wss]`` admits.",
        default=None,
        absent="not from a cookie",
    )
    required: bool = option(
        flag(),
        "Whether a WebSocket without a token is refused; else its browser may log in by SIP, with a token or a"
        " password.",
        default=False,
    )
    on_expiry: Literal["close", "logout", "keep"] = option(
        word("close", "logout", "keep"),
        "What the end of a token means, where no newer one has come: the WebSocket is closed, as soon as no call is up"
        " on it; or its user is logged out; or nothing, until the connection ends. It never ends a call.",
        default="close",
    )
    authz_server: str | None = option(
        one(_authz_server, "write the https:// address of the authorization server"),
        "The ``authz_server`` of challenges (RFC 8898 section 4), from which a browser may get a token.",
        default=None,
    )
    scope: str | None = option(
        one(_scope, "write the scope of tokens for this proxy"), "The ``scope`` of challenges.", default=None
    )

    @property
    def allowed(self) -> frozenset[str]:
        """The algorithms that are accepted: those that are configured, where there is a key for them."""
        named = self.algorithms or _DEFAULT
        able = (ASYMMETRIC if self.keys else frozenset()) | (SYMMETRIC if self.secret else frozenset())
        return able.intersection(named)

    @property
    def secret_octets(self) -> bytes:
        """The secret; empty without."""
        return (self.secret or "").encode("latin-1")

    @property
    def any_audience(self) -> bool:
        """Whether tokens for other services are accepted, too."""
        return "*" in self.audience


def check_tokens(
    section: Section, tokens: TokensConfig, origins: tuple[str, ...] | None, domains: Collection[str]
) -> None:
    """Check what the options say together. Noted is that there is no key, or none for an algorithm; or no domain for
    the users; or that a cookie would log in the page of any site.

    :param origins: ``[wss] origins``.
    :param domains: those that are served here.
    """
    if not domains:
        section.note("domain", "no domain is served here, so its users have none", "add a [domain NAME]")
    elif tokens.domain is not None and tokens.domain not in domains:
        section.note("domain", "it is not served here", did_you_mean(tokens.domain, domains))
    if section.is_right("keys", "secret-file"):
        _check_keys(section, tokens)
    for origin in {"*", "null", "file://"}.intersection(origins or ()) if tokens.cookie is not None else ():
        remedy = "write the sites in [wss] origins, or take cookie out"
        section.note("cookie", f"with origins = {origin} the page of any site could call as its reader", remedy)


def _check_keys(section: Section, tokens: TokensConfig) -> None:
    if tokens.keys is None and tokens.secret is None:
        section.note("keys", "there is no key to verify tokens with", "write keys or secret-file")
        return
    for name in tokens.algorithms or ():
        if name not in tokens.allowed:
            key = "secret-file" if name in SYMMETRIC else "keys"
            section.note("algorithms", f"there is no {key} for it", f"write {key}, or leave it out", name)
        elif name in SYMMETRIC and len(tokens.secret_octets) < int(name[2:]) // 8:
            remedy = f"write a secret of {int(name[2:]) // 8} octets or more there, or leave {name} out"
            section.note("secret-file", f"its secret is too short for {name} (RFC 7518)", remedy)
