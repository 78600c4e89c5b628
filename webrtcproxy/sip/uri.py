"""Uri: parses, writes and compares sip, sips and tel URIs (RFC 3261 section 19, RFC 3966); others are kept as text."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import Params, find_param, format_params, parse_host, parse_params
from webrtcproxy.sip.telephone import global_number, plain_number, subscriber, without_separators

SIP_PORT = 5060
"""The default port of SIP over UDP and TCP (RFC 3261 section 19.1.2)."""
SIPS_PORT = 5061
"""The default port of SIP over TLS."""
MAX_URI = 2048
"""Characters of the longest URI that is accepted."""
CACHE_SIZE = 1024
"""Parsed values of each kind that are cached: the messages of a call repeat them."""
MAX_CACHED = 256
"""Characters of the longest text whose value is cached, so that each cache stays within a few megabytes."""


def bracketed(host: str) -> str:
    """A host as it is written in a URI, a Via and the log: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def host_port(host: str, port: int) -> str:
    """``host:port`` of a host without brackets, as it is written in a URI, a Via and the log."""
    return f"{bracketed(host)}:{port}"


_is_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*").fullmatch
_forbidden = re.compile(r'[\x00-\x20\x7f<>"]').search
_is_plain = re.compile(r"[A-Za-z0-9\-_.!~*'()&=+$,;?/:]*").fullmatch
_escaped = re.compile(rb"%([0-9A-Fa-f]{2})")
_odd = re.compile(rb"[^A-Za-z0-9\-_.!~*'()&=+$,;?/:%]|%(?![0-9A-F]{2})")
_unreserved = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()")
_must_agree = ("transport", "user", "ttl", "method", "maddr")
_default_port = {"sip": SIP_PORT, "sips": SIPS_PORT}


@dataclass(init=False, slots=True, unsafe_hash=True)
class Uri:
    """A URI, every part as it was written. Immutable, though not frozen (see headers.py); `aor` and `hostport` are kept
    once they were asked for, as each message of a user asks for them.

    :ivar scheme: lower case.
    :ivar user: with its escapes; the number of a ``tel:`` URI; all after the colon if the scheme is unknown.
    :ivar host: an IPv6 address is in brackets; ``""`` if the scheme is neither ``sip`` nor ``sips``.
    :ivar headers: the text after ``?``, which is never acted on.
    """

    scheme: Final[str]
    user: Final[str | None]
    password: Final[str | None]
    host: Final[str]
    port: Final[int | None]
    params: Final[Params]
    headers: Final[str]
    _aor: str = field(init=False, repr=False, compare=False)
    _hostport: tuple[str, int | None] | None = field(init=False, repr=False, compare=False)

    def __init__(
        self,
        scheme: str,
        user: str | None,
        password: str | None = None,
        host: str = "",
        port: int | None = None,
        params: Params = (),
        headers: str = "",
    ) -> None:
        self.scheme = scheme
        self.user = user
        self.password = password
        self.host = host
        self.port = port
        self.params = params
        self.headers = headers
        self._aor = ""
        self._hostport = None

    @staticmethod
    def parse(text: str) -> Uri:
        """Parse a URI; an unknown scheme is not an error.

        :raises BadMessage: 400 if it is malformed, 513 if it is longer than `MAX_URI`.
        """
        return _parse(text) if len(text) <= MAX_CACHED else _parse.__wrapped__(text)

    @staticmethod
    def drop_cached() -> None:
        """Empty the cache of parsed URIs."""
        _parse.cache_clear()

    def __str__(self) -> str:
        tail = format_params(self.params) + (f"?{self.headers}" if self.headers else "")
        if not self.host:
            return f"{self.scheme}:{self.user}{tail}"
        port = "" if self.port is None else f":{self.port}"
        if self.user is None:
            return f"{self.scheme}:{self.host}{port}{tail}"
        password = "" if self.password is None else f":{self.password}"
        return f"{self.scheme}:{self.user}{password}@{self.host}{port}{tail}"

    def param(self, name: str) -> str | None:
        """The value of a parameter; ``""`` if it has no value, None if it is absent."""
        return find_param(self.params, name)

    @property
    def hostport(self) -> tuple[str, int | None]:
        """The host in lower case and without brackets, and the port."""
        kept = self._hostport
        if kept is None:
            kept = self._hostport = self.host.lower().strip("[]"), self.port
        return kept

    @property
    def aor(self) -> str:
        """``user@host[:port]``, the same for every spelling of an address-of-record (RFC 3261 section 10.3 step 5).

        Without a user it is the host alone; for ``tel:`` the number without visual separators.
        """
        if not self._aor:
            self._aor = self._normal_form()
        return self._aor

    def _normal_form(self) -> str:
        if not self.host:
            return self._normal_number() if self.scheme == "tel" else f"{self.scheme}:{self.user or ''}"
        port = "" if self.port is None or self.port == _default_port[self.scheme] else f":{self.port}"
        user = "" if self.user is None else normal_user(self.user) + "@"
        return f"{user}{_normal_host(self.host)}{port}"

    def _normal_number(self) -> str:
        user = self.user or ""
        number = global_number(user + format_params(self.params))
        return without_separators(user).lower() if number is None else number

    def same_as(self, other: Uri) -> bool:
        """True if the two are equivalent by RFC 3261 section 19.1.4 (RFC 3966 section 4 for ``tel:``)."""
        if self.scheme != other.scheme or self.port != other.port:
            return False
        if not self.host or not other.host:
            return self.host == other.host and self.aor == other.aor and _params_agree(self, other)
        return (
            _users_match(self, other)
            and _normal_or_none(self.password) == _normal_or_none(other.password)
            and _normal_host(self.host) == _normal_host(other.host)
            and _params_match(self, other)
            and _header_set(self.headers) == _header_set(other.headers)
        )


def is_secure(text: str) -> bool:
    """True for the text of a ``sips:`` URI."""
    return text[:5].lower() == "sips:"


@lru_cache(maxsize=CACHE_SIZE)
def _parse(text: str) -> Uri:
    if len(text) > MAX_URI:
        raise BadMessage("URI Too Long", 513)
    scheme, colon, rest = text.partition(":")
    if not colon or not rest or not _is_scheme(scheme) or _forbidden(rest):
        raise BadMessage("Bad URI")
    scheme = scheme.lower()
    if scheme == "sip" or scheme == "sips":
        return _parse_sip(scheme, rest)
    if scheme == "tel":
        number, semicolon, tail = rest.partition(";")
        if not number:
            raise BadMessage("Bad URI")
        return Uri(scheme, number, params=_params(tail) if semicolon else ())
    return Uri(scheme, rest)


def _parse_sip(scheme: str, rest: str) -> Uri:
    # The first @ ends the userinfo, which has no @ of its own but may have ; and ?.
    before, at, after = rest.partition("@")
    user: str | None = None
    password: str | None = None
    if at:
        user, colon, secret = before.partition(":")
        password = secret if colon else None
        if not user:
            raise BadMessage("Bad URI")
    else:
        after = before
    after, _, headers = after.partition("?")
    hostport, semicolon, tail = after.partition(";")
    host, port = parse_host(hostport)
    return Uri(scheme, user, password, host, port, _params(tail) if semicolon else (), headers)


def _params(text: str) -> Params:
    if text[:1] == ";" or ";;" in text:  # in a header nobody minds, but a URI is repeated as it is
        raise BadMessage("Bad Parameter")
    return parse_params(text)


def normal(text: str) -> str:
    """The normal form of a user part, the same for all equivalent spellings (RFC 3261 section 19.1.4).

    Needless escapes are decoded; escapes of reserved characters and octets outside the grammar (``#``, UTF-8) are
    written as ``%HH`` in upper case.
    """
    if _is_plain(text):
        return text
    data = _escaped.sub(_plain_or_upper, text.encode("utf-8", "surrogateescape"))
    return _odd.sub(_percent, data).decode("ascii")


def normal_user(text: str) -> str:
    """The user part of an address-of-record in its normal form: that of a global telephone number, else `normal`. Other
    digits with separators between them may be names, and stay as they are."""
    number = global_number(text)
    return normal(text) if number is None else number


def without_params(uri: Uri, names: Container[str]) -> Uri:
    """The URI without its parameters of these names, also where escapes stand in a name (RFC 3261 section 25.1).

    :param names: in lower case.
    """
    kept = tuple([param for param in uri.params if normal(param[0]).lower() not in names])
    return uri if len(kept) == len(uri.params) else replace(uri, params=kept)


def without_websocket(uri: Uri) -> Uri:
    """The URI without a ``transport`` of ``ws`` or ``wss`` (RFC 7118 section 5.2), in any spelling: that says nothing
    to a peer that has no WebSocket, and some refuse it."""
    if not uri.params:
        return uri
    kept = tuple([param for param in uri.params if not _is_websocket(param)])
    return uri if len(kept) == len(uri.params) else replace(uri, params=kept)


def with_plain_number(uri: Uri) -> Uri:
    """The URI without the visual separators of the telephone number that its user part is: where ``user=phone`` says
    so, and where it has digits only (RFC 3966 section 5.1.1). Names stay as they are."""
    if not uri.user or not uri.host:
        return uri
    user = plain_number(uri.user, _is_phone(uri))
    return uri if user == uri.user else replace(uri, user=user)


def _is_websocket(param: tuple[str, str | None]) -> bool:
    name, value = param
    return normal(name).lower() == "transport" and normal(value or "").lower() in ("ws", "wss")


def _plain_or_upper(found: re.Match[bytes]) -> bytes:
    octet = bytes.fromhex(found[1].decode("ascii"))
    return octet if octet[0] in _unreserved else found[0].upper()


def _percent(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]


def _normal_or_none(text: str | None) -> str | None:
    return None if text is None else normal(text)


def _normal_host(host: str) -> str:
    return f"[{IPv6Address(host[1:-1]).compressed}]" if host[0] == "[" else host.lower()


def _all_params(uri: Uri) -> dict[str, str | None]:
    return {normal(name).lower(): value and normal(value).lower() for name, value in uri.params}


def _users_match(one: Uri, other: Uri) -> bool:
    """Whether two user parts are the same; those that are telephone numbers, as ``user=phone`` or a ``+`` says, by RFC
    3966 section 4."""
    if one.user is None or other.user is None:
        return one.user is other.user
    if normal(one.user) == normal(other.user):
        return True
    if not all(global_number(uri.user or "") or _is_phone(uri) for uri in (one, other)):
        return False
    ours = subscriber(one.user)
    return ours is not None and ours == subscriber(other.user)


def _is_phone(uri: Uri) -> bool:
    return (find_param(uri.params, "user") or "").lower() == "phone"


def _params_agree(one: Uri, other: Uri) -> bool:
    """Whether the parameters of two URIs without a host are the same."""
    if one.scheme == "tel":
        ours = subscriber(f"{one.user}{format_params(one.params)}")
        if ours is not None:
            return ours == subscriber(f"{other.user}{format_params(other.params)}")
    return _all_params(one) == _all_params(other)


def _params_match(one: Uri, other: Uri) -> bool:
    if one.params == other.params:
        return True
    ours, theirs = _all_params(one), _all_params(other)
    if any((name in ours) != (name in theirs) for name in _must_agree):
        return False
    return all(theirs[name] == value for name, value in ours.items() if name in theirs)


def _header_set(text: str) -> list[tuple[str, str]]:
    pairs = (part.partition("=") for part in text.split("&") if part)
    return sorted((normal(name).lower(), normal(value)) for name, _, value in pairs)
