"""The header values that the proxy acts on: parsing and writing of addresses, Via, CSeq, challenges and credentials.

They are immutable. The classes that every message needs have final attributes, which mypy checks, instead of being
frozen, which would make them ten times as expensive to create. What is asked of them again and again is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Final

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import (
    Params,
    find_param,
    format_params,
    is_token,
    items,
    number,
    parse_host,
    parse_params,
    quote,
    quote_end,
    set_param,
    unquote,
)
from webrtcproxy.sip.uri import CACHE_SIZE, MAX_CACHED, MAX_URI, Uri

MAX_CSEQ = 2**31 - 1
MAX_SECONDS = 2**32 - 1


class Star(Enum):
    """The Contact of a REGISTER that removes every binding (RFC 3261 section 10.2.2)."""

    STAR = "*"


STAR: Final = Star.STAR

_is_addr_spec = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*\s*:").match
_unfit = re.compile(r'[\x00-\x20\x7f<>"]').search


@dataclass(init=False, slots=True, unsafe_hash=True)
class NameAddr:
    """A From, To, Contact, Route, Refer-To, P-Asserted-Identity: an address with a name and parameters.

    :ivar display: the name without quotes and escapes, or ``""``.
    :ivar uri: the URI as written.
    :ivar params: the header's parameters, not the URI's.
    """

    display: Final[str]
    uri: Final[str]
    params: Final[Params]
    _tag: str | None = field(init=False, repr=False, compare=False)

    def __init__(self, display: str, uri: str, params: Params = ()) -> None:
        self.display = display
        self.uri = uri
        self.params = params
        self._tag = None

    @staticmethod
    def parse(text: str) -> NameAddr:
        """Parse a name-addr or an addr-spec with parameters (RFC 3261 section 20.10).

        :raises BadMessage: 400 if it is neither, 513 if the URI is too long.
        """
        return _parse_name_addr(text) if len(text) <= MAX_CACHED else _parse_name_addr.__wrapped__(text)

    @staticmethod
    def parse_party(text: str) -> NameAddr:
        """Parse a From or To, whose URI is read as well.

        :raises BadMessage: 400 if either is malformed, 513 if the URI is too long.
        """
        return _parse_party(text) if len(text) <= MAX_CACHED else _parse_party.__wrapped__(text)

    def __str__(self) -> str:
        display = f"{quote(self.display)} " if self.display else ""
        return f"{display}<{self.uri}>{format_params(self.params)}"

    def param(self, name: str) -> str | None:
        """The value of a parameter, unquoted; ``""`` if it has no value, None if it is absent."""
        value = find_param(self.params, name)
        return unquote(value) if value else value

    @property
    def tag(self) -> str | None:
        """The dialog tag; None if it is absent or empty."""
        kept = self._tag
        if kept is None:
            kept = self._tag = (find_param(self.params, "tag") or "").strip('"')
        return kept or None

    def with_tag(self, tag: str) -> NameAddr:
        """A copy with this tag."""
        return self.with_param("tag", tag)

    def with_param(self, name: str, value: str | None) -> NameAddr:
        """A copy with one parameter set; `value` is the text to write, None for a flag."""
        return NameAddr(self.display, self.uri, set_param(self.params, name, value))

    @property
    def address(self) -> Uri:
        """The URI, parsed.

        :raises BadMessage: 400 if it is malformed.
        """
        return Uri.parse(self.uri)


@lru_cache(maxsize=CACHE_SIZE)
def _parse_name_addr(text: str) -> NameAddr:
    display, text = _display_name(text.strip())
    if text[:1] == "<":
        end = text.find(">")
        if end < 0:
            raise BadMessage("Unbalanced Angle Bracket")
        uri = text[1:end].strip()
        blank, _, tail = text[end + 1 :].partition(";")
        if blank.strip():
            raise BadMessage("Bad Address")
    else:
        uri, _, tail = text.partition(";")
        uri = uri.strip()
        if "?" in uri or "," in uri:  # these need the angle brackets (RFC 3261 section 20)
            raise BadMessage("Bad Address")
    if len(uri) > MAX_URI:
        raise BadMessage("URI Too Long", 513)
    if ":" not in uri or _unfit(uri):
        raise BadMessage("Bad Address")
    return NameAddr(display, uri, parse_params(tail) if tail else ())


@lru_cache(maxsize=CACHE_SIZE)
def _parse_party(text: str) -> NameAddr:
    party: NameAddr = _parse_name_addr.__wrapped__(text)
    Uri.parse(party.uri)
    return party


def _display_name(text: str) -> tuple[str, str]:
    """The display name and the text after it."""
    if text[:1] == '"':
        end = quote_end(text, 0)
        rest = text[end:].lstrip()
        if rest[:1] != "<":
            raise BadMessage("Bad Address")
        return unquote(text[:end]), rest
    start = text.find("<")
    if start < 1 or _is_addr_spec(text):
        return "", text
    display = text[:start].strip()
    if '"' in display:
        raise BadMessage("Unbalanced Quote")
    return display, text[start:]


def parse_contacts(values: Iterable[str]) -> list[NameAddr] | Star:
    """Parse the Contact headers of one message, given line by line: all addresses, or `STAR`.

    :raises BadMessage: one is malformed, or a ``*`` is not alone.
    """
    texts = [item for value in values for item in items(value)]
    if "*" not in texts:
        return [NameAddr.parse(text) for text in texts]
    if len(texts) > 1:
        raise BadMessage("Bad Contact")
    return STAR


@dataclass(init=False, slots=True, unsafe_hash=True)
class Via:
    """One Via: a hop of a request, and where its response goes (RFC 3261 section 20.42).

    :ivar transport: upper case: ``UDP``, ``TCP``, ``TLS``, ``WS``, ``WSS``, or whatever was written.
    :ivar host: with brackets if it is an IPv6 address.
    """

    transport: Final[str]
    host: Final[str]
    port: Final[int | None]
    params: Final[Params]
    _branch: str | None = field(init=False, repr=False, compare=False)

    def __init__(self, transport: str, host: str, port: int | None = None, params: Params = ()) -> None:
        self.transport = transport
        self.host = host
        self.port = port
        self.params = params
        self._branch = None

    @staticmethod
    def parse(text: str) -> Via:
        """Parse one Via.

        :raises BadMessage: 400 if it is malformed.
        """
        return _parse_via(text) if len(text) <= MAX_CACHED else _parse_via.__wrapped__(text)

    def __str__(self) -> str:
        return f"SIP/2.0/{self.transport} {self.sent_by}{format_params(self.params)}"

    def param(self, name: str) -> str | None:
        """The value of a parameter; ``""`` if it has no value, None if it is absent."""
        return find_param(self.params, name)

    def with_param(self, name: str, value: str | None) -> Via:
        """A copy with one parameter set; None for one without a value."""
        return Via(self.transport, self.host, self.port, set_param(self.params, name, value))

    @property
    def branch(self) -> str | None:
        """The branch parameter as written; None if it is absent or empty."""
        kept = self._branch
        if kept is None:
            kept = self._branch = find_param(self.params, "branch") or ""
        return kept or None

    @property
    def received(self) -> str | None:
        """The address that the request came from, without the brackets that some peers write (RFC 5118 section 4.5)."""
        value = find_param(self.params, "received")
        return value.strip("[]") if value else None

    @property
    def rport(self) -> str | None:
        """The port that the request came from; ``""`` if the sender asks for it, None if it is absent (RFC 3581)."""
        return find_param(self.params, "rport")

    @property
    def sent_by(self) -> str:
        """The sender's name for itself, ``host[:port]``."""
        return self.host if self.port is None else f"{self.host}:{self.port}"


@lru_cache(maxsize=CACHE_SIZE)
def _parse_via(text: str) -> Via:
    words = text[8:].split(None, 1) if text.startswith("SIP/2.0/") else _sent_protocol(text)
    if len(words) != 2:
        raise BadMessage("Bad Via")
    transport = words[0].upper()
    sent_by, semicolon, tail = words[1].partition(";")
    if ":" in sent_by and (" " in sent_by or "\t" in sent_by):
        sent_by = ":".join([part.strip() for part in sent_by.split(":")])
    host, port = parse_host(sent_by.strip())
    if not is_token(transport):
        raise BadMessage("Bad Via")
    params = parse_params(tail) if semicolon else ()
    if not params and tail.strip():
        raise BadMessage("Bad Via")  # semicolons alone (RFC 4475 section 3.1.2.1)
    return Via(transport, host, port, params)


def _sent_protocol(text: str) -> list[str]:
    """The transport and the rest of a Via that has unusual whitespace or is malformed."""
    name, _, rest = text.partition("/")
    version, _, rest = rest.partition("/")
    return rest.split(None, 1) if name.strip().upper() == "SIP" and version.strip() == "2.0" else []


@dataclass(init=False, slots=True, unsafe_hash=True)
class CSeq:
    """The sequence number and the method of a request (RFC 3261 section 20.16)."""

    number: Final[int]
    method: Final[str]

    def __init__(self, number: int, method: str) -> None:
        self.number = number
        self.method = method

    @staticmethod
    def parse(text: str) -> CSeq:
        """Parse a CSeq.

        :raises BadMessage: 400: it has no number below 2**31, or no method.
        """
        return _parse_cseq(text) if len(text) <= MAX_CACHED else _parse_cseq.__wrapped__(text)

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@lru_cache(maxsize=CACHE_SIZE)
def _parse_cseq(text: str) -> CSeq:
    words = text.split()
    value = number(words[0], MAX_CSEQ) if len(words) == 2 else None
    if value is None or not is_token(words[1]):
        raise BadMessage("Bad CSeq")
    return CSeq(value, words[1])


def drop_cached() -> None:
    """Empty the caches of parsed values; values in use are not affected."""
    for read in (_parse_name_addr, _parse_party, _parse_via, _parse_cseq):
        read.cache_clear()
    Uri.drop_cached()


def parse_max_forwards(text: str) -> int:
    """Parse Max-Forwards.

    :raises BadMessage: 400: it is not a number from 0 to 255.
    """
    value = number(text.strip(), 255)
    if value is None:
        raise BadMessage("Bad Max-Forwards")
    return value


def parse_seconds(text: str, name: str = "Expires") -> int:
    """Parse the seconds of Expires, Min-Expires or an ``expires`` parameter.

    :param name: the header, for the error.
    :raises BadMessage: 400: it is not a number below 2**32.
    """
    value = number(text.strip(), MAX_SECONDS)
    if value is None:
        raise BadMessage(f"Bad {name}")
    return value
