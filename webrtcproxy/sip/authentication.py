"""Challenges and credentials: the headers of authentication (RFC 3261 sections 20.7 and 20.44, RFC 7616)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import is_token, items, quote, quote_end, unquote

_begin = re.compile(r'(?:^|,|(?<=")[ \t])[ \t]*(?=[A-Za-z][A-Za-z0-9\-]*[ \t]+[A-Za-z][A-Za-z0-9_\-]*[ \t]*=)')
_whole_param = re.compile(
    r"""(?<![A-Za-z0-9_\-])([A-Za-z][A-Za-z0-9_\-]*)[ \t]*=[ \t]*
    (?:("(?:[^"\\]|\\.)*")(?=[ \t]*(?:[,;]|\Z|[ \t][A-Za-z])) # whole
    |"([^",;]*)                                                 # left open: up to the next parameter
    |'([^',;]*)'
    |([^\s,;"]+))""",
    re.VERBOSE,
)
_char = r"[A-Za-z0-9\-.!%*_+`'~]"
_value = rf"""(?:"(?:[^"\\]|\\[\x00-\x7f])*"|{_char}+)"""
_param = rf"""(?!(?:algorithm|stale)="|algorithm=MD5{_char})[A-Za-z][A-Za-z0-9_\-]*={_value}"""
_is_plain = re.compile(rf"[A-Za-z][A-Za-z0-9\-]* {_param}(?:, ?{_param})*", re.IGNORECASE).fullmatch
_is_digest = re.compile("Digest ", re.IGNORECASE).match
_qops = frozenset({"auth", "auth-int", "auth-conf"})
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


def plain_challenges(values: Iterable[str]) -> list[str]:
    """The challenges of a response as browsers can read them, which know neither two in one line nor all that servers
    write, and drop a response with anything else: each in a line for itself, and of their grammar. A malformed Digest
    is mended where there is no other. What their grammar has not is left out, such as a scheme without parameters, or
    ``algorithm=MD5-sess``; where nothing is left, a page hears at least of the refusal.

    :param values: the header lines.
    """
    lines = list(values)
    if all(map(_is_plain, lines)):
        return lines
    whole = list(filter(_is_plain, _whole_challenges(lines)))
    if any(map(_is_digest, whole)):
        return whole
    mended = [str(each) for each in readable_challenges(lines) if "nonce" in each.params]
    return whole + list(filter(_is_plain, mended))


def _whole_challenges(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if _is_plain(line):
            yield line
            continue
        for text in _each_challenge(line):
            with suppress(BadMessage):
                yield from map(str, parse_challenges([text]))


def _each_challenge(value: str) -> Iterator[str]:
    """The challenges in a header line, in which quotes may be left open: each begins with a scheme and a parameter."""
    begins = [match.start() for match in _begin.finditer(value)] or [0]
    for begin, end in zip(begins, [*begins[1:], len(value)], strict=True):
        yield value[begin:end].lstrip(", \t")


def _mended(text: str) -> Challenge:
    scheme, *rest = text.split(None, 1)
    if "=" in scheme:
        scheme, rest = "Digest", [text]
    found: dict[str, str] = {}
    for name, quoted, left_open, single, bare in _whole_param.findall(rest[0] if rest else ""):
        found.setdefault(name.lower(), unquote(quoted) if quoted else (left_open or single or bare).strip())
    return Challenge(scheme.rstrip(":,;"), found)


def _parse_auth(text: str) -> list[tuple[str, dict[str, str]]]:
    found: list[tuple[str, dict[str, str]]] = []
    for part in items(text):
        name, equals, value = part.partition("=")
        if not equals and found and part.lower() in _qops and "qop" in found[-1][1]:
            found[-1][1]["qop"] += f",{part}"  # a list that lacks its quotes
            continue
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
        if not equals or not is_token(name) or not _is_one_value(value):
            raise BadMessage("Bad Credentials")
        found[-1][1][name.lower()] = unquote(value)
    return found


def _is_one_value(value: str) -> bool:
    """Whether a value is a quoted string, or one word: of several, the next may be another parameter."""
    return quote_end(value, 0) == len(value) if value[:1] == '"' else len(value.split()) < 2


def _format_auth(scheme: str, params: Mapping[str, str], quoted: frozenset[str]) -> str:
    parts = [
        f"{name}={quote(value)}"
        if name in quoted or (name and not is_token(value))
        else f"{name}={value}"
        if name
        else value
        for name, value in params.items()
    ]
    return f"{scheme} {', '.join(parts)}".rstrip()
