"""Challenges and credentials: the headers of authentication (RFC 3261 sections 20.7 and 20.44, RFC 7616)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import is_token, items, quote, quote_end, unquote

_begin = re.compile(r"(?:^|,)[ \t]*(?=[A-Za-z][A-Za-z0-9\-]*[ \t]+[A-Za-z][A-Za-z0-9_\-]*[ \t]*=)")
_whole_param = re.compile(r"""([A-Za-z][A-Za-z0-9_\-]*)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^\s,;"]+)""")
_is_token68 = re.compile(r"[A-Za-z0-9\-._~+/]+=*").fullmatch
_quoted_in_challenge = frozenset(
    {"realm", "nonce", "opaque", "domain", "qop", "scope", "authz_server", "error"}  # the last three: RFC 8898
)
_quoted_in_credentials = frozenset({"username", "realm", "nonce", "uri", "response", "cnonce", "opaque"})


@dataclass(frozen=True, slots=True)
class Challenge:
    """A WWW-Authenticate or Proxy-Authenticate (RFC 3261 section 20.44, RFC 7616).

    :ivar scheme: as written, ``Digest``.
    :ivar params: names in lower case, values without their quotes.
    """

    scheme: str
    params: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def parse(text: str) -> Challenge:
        """Parse a header value that holds one challenge.

        :raises BadMessage: it does not hold exactly one.
        """
        (scheme, params), *more = _parse_auth(text) or [("", {})]
        if not scheme or more:
            raise BadMessage("Bad Challenge")
        return Challenge(scheme, params)

    def __str__(self) -> str:
        return _format_auth(self.scheme, self.params, _quoted_in_challenge)


@dataclass(frozen=True, slots=True)
class Credentials:
    """An Authorization or Proxy-Authorization (RFC 3261 section 20.7, RFC 7616).

    :ivar scheme: as written, ``Digest``.
    :ivar params: names in lower case, values without their quotes; a lone token (``Bearer abc``) under ``""``.
    """

    scheme: str
    params: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def parse(text: str) -> Credentials:
        """Parse one header value.

        :raises BadMessage: 400 if it is malformed.
        """
        (scheme, params), *more = _parse_auth(text) or [("", {})]
        if not scheme or more:
            raise BadMessage("Bad Credentials")
        return Credentials(scheme, params)

    def __repr__(self) -> str:
        return f"<Credentials {self.scheme} of {self.params.get('username')!r}>"  # keeps the response out of logs

    def __str__(self) -> str:
        return _format_auth(self.scheme, self.params, _quoted_in_credentials)


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """Parse all challenges of a response, in order; some servers put several in one header line.

    :raises BadMessage: 400 if one is malformed.
    """
    return [Challenge(scheme, params) for value in values for scheme, params in _parse_auth(value)]


def readable_challenges(values: Iterable[str]) -> list[Challenge]:
    """The challenges of a response that can be read, in order; after them what there is of the others: the parameters
    that are whole, of each challenge in a line for itself.

    :param values: the header lines.
    """
    found: list[Challenge] = []
    mended: list[Challenge] = []
    for value in values:
        try:
            found += parse_challenges([value])
        except BadMessage:
            for text in _each_challenge(value):
                try:
                    found += parse_challenges([text])
                except BadMessage:
                    mended.append(_mended(text))
    return found + mended


def is_readable(value: str) -> bool:
    """Whether all challenges in a header line can be read."""
    try:
        return bool(parse_challenges([value]))
    except BadMessage:
        return False


def _each_challenge(value: str) -> Iterator[str]:
    """The challenges in a header line, in which quotes may be left open: each begins with a scheme and a parameter."""
    begin = len(value)
    for match in _begin.finditer(value):
        if begin < match.start():
            yield value[begin : match.start()]
        begin = match.end()
    yield value[begin:]


def _mended(text: str) -> Challenge:
    scheme, _, rest = text.partition(" ")
    found = reversed(_whole_param.findall(rest))  # of two with one name, the first counts
    return Challenge(scheme, {name.lower(): unquote(value) for name, value in found})


def _parse_auth(text: str) -> list[tuple[str, dict[str, str]]]:
    found: list[tuple[str, dict[str, str]]] = []
    for part in items(text):
        name, equals, value = part.partition("=")
        if not found or not equals or len(name.split()) != 1:  # a scheme stands before this parameter, or alone
            scheme, *rest = part.split(None, 1)
            if not is_token(scheme):
                raise BadMessage("Bad Credentials")
            found.append((scheme, {}))
            if not rest:
                continue
            if _is_token68(rest[0]):
                found[-1][1][""] = rest[0]
                continue
            name, equals, value = rest[0].partition("=")
        name, value = name.strip(), value.strip()
        if not equals or not is_token(name) or (value[:1] == '"' and quote_end(value, 0) != len(value)):
            raise BadMessage("Bad Credentials")
        found[-1][1][name.lower()] = unquote(value)
    return found


def _format_auth(scheme: str, params: Mapping[str, str], quoted: frozenset[str]) -> str:
    parts = [
        f"{name}={quote(value)}" if name in quoted else f"{name}={value}" if name else value
        for name, value in params.items()
    ]
    return f"{scheme} {', '.join(parts)}".rstrip()
