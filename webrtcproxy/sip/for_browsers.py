"""For browsers: the headers that JsSIP and SIP.js parse in each message, in the grammar that they know (RFC 3261
section 25.1).

Both drop a message without a word if they can't parse one of these headers, whether it means something there or not:
its sender waits in vain. Each is newly written where its meaning is plain, and else left out. From and To are those of
`plain`, all others of each leg are the proxy's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from webrtcproxy.sip.authentication import plain_challenges
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.fields import Headers
from webrtcproxy.sip.grammar import quote
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.mending import readable_addresses
from webrtcproxy.sip.plain import plain
from webrtcproxy.sip.uri import Uri

_IDENTITIES: Final = ("P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID")
PARSED: Final = frozenset({"Event", "Proxy-Authenticate", "Refer-To", "WWW-Authenticate", *_IDENTITIES})
"""The headers that both libraries parse, and that cross as they came. Those of an identity they parse where a page asks
for it: what can't be parsed is nobody."""

_word = r"[A-Za-z0-9\-.!%*_+`'~]+"
_value = rf"""(?:{_word}|"(?:[^"\\]|\\[\x00-\x7f])*")"""
_param = rf"{_word}(?:[ \t]*=[ \t]*{_value})?"
_is_event = re.compile(rf"{_word}(?:[ \t]*;[ \t]*{_param})*").fullmatch
_is_param = re.compile(_param).fullmatch
_package = re.compile(rf"""[ \t"]*({_word})"?[ \t]*(?:;|\Z)""").match
_is_content_type = re.compile(rf"{_word}[ \t]*/[ \t]*{_word}(?:[ \t]*;[ \t]*{_word}[ \t]*=[ \t]*{_value})*").fullmatch
_media_type = re.compile(rf"""[ \t"]*({_word})[ \t]*/[ \t]*({_word})""").match
_of_body = re.compile(rf"""[ \t]*({_word})[ \t]*=[ \t]*(?:({_value})|([^\s,;"<>]+))(?=[\s,]|\Z)""").match
_is_text = re.compile(r"""[ \t"]*text\b""", re.IGNORECASE).match
_is_escaped_header = re.compile(r"[A-Za-z0-9\[\]/?:+$\-_.!~*'()%]+=[A-Za-z0-9\[\]/?:+$\-_.!~*'()%]*").fullmatch
_is_identity = re.compile(
    rf"""(?:"[^"\\<>]*"[ \t]*|(?:{_word}[ \t]+)*)<(?:sips?:(?:[A-Za-z0-9\-_.!~*'()+%]+@)?"""
    rf"""(?:[A-Za-z0-9\-.]*[A-Za-z0-9]|\[[0-9A-Fa-f:.]+\])(?::[0-9]{{1,5}})?|tel:[0-9+\-.]+)"""
    rf"""(?:;[A-Za-z0-9\-.+]+(?:=[A-Za-z0-9\-.+]+)?)*>(?:;{_param})*""",
    re.IGNORECASE,
).fullmatch
"""Finds the usual: nobody has to look at it twice."""
_is_q = re.compile(r"[0-9]?(?:\.[0-9]{0,3})?").fullmatch


def rewrite(headers: Headers, is_refer: bool) -> list[str]:
    """Write the headers newly that a browser could not parse, or leave them out.

    :param headers: those that cross to a browser.
    :param is_refer: whether they are those of a REFER, whose Refer-To `refer_to` writes: elsewhere it means nothing.
    :returns: the names of those that have changed.
    """
    changed = []
    for name in ("WWW-Authenticate", "Proxy-Authenticate"):
        if name in headers and order_challenges(headers, name):
            changed.append(name)
    if "Event" in headers and _replace(headers, "Event", list(filter(None, map(event, headers.lines("Event"))))[:1]):
        changed.append("Event")
    if "Refer-To" in headers and not is_refer:
        lines = headers.lines("Refer-To")
        if _replace(headers, "Refer-To", contacts(lines)[:1]):
            changed.append("Refer-To")
    for name in _IDENTITIES:
        if name in headers and _replace(headers, name, identities(headers.lines(name))):
            changed.append(name)
    return changed


def _replace(headers: Headers, name: str, values: list[str]) -> bool:
    """Have `values` in place of the headers of that name; whether they were others."""
    if values == headers.lines(name):
        return False
    headers.remove(name)
    for value in values:
        headers.add(name, value)
    return True


def order_challenges(headers: Headers, name: str) -> bool:
    """Move the challenges that a browser can answer to the end: JsSIP and SIP.js support only MD5, and use the last
    challenge of a response. The others keep the server's order of preference (RFC 8760 section 2.4). What they can't
    read is newly written, or left out (`plain_challenges`).

    :returns: whether there was such a one.
    """
    lines = headers.lines(name)
    challenges = plain_challenges(lines)
    _replace(headers, name, sorted(challenges, key=_is_md5))
    return challenges != lines


def _is_md5(challenge: str) -> bool:
    """Whether a challenge is for a digest with MD5, which is also the default where it names no algorithm."""
    text = challenge.lower().replace(" ", "").replace('"', "")
    return text.startswith("digest") and ("algorithm=md5" in text or "algorithm=" not in text)


def event(text: str) -> str:
    """An Event (RFC 6665 section 8.4) without the parameters that can't be read; empty where its package can't be."""
    if _is_event(text):
        return text
    package = _package(text)
    if package is None:
        return ""
    return ";".join([package[1], *[part for part in _parts(text) if _is_param(part)]])


def content_type(text: str) -> str:
    """A Content-Type without the parameters that can't be read. What is no media type is any octets, and ``text``
    alone is plain text."""
    if _is_content_type(text):
        return text
    kind = _media_type(text)
    if kind is None:
        return "text/plain" if _is_text(text) else "application/octet-stream"
    found = [of_body for part in _parts(text) if (of_body := _of_body(part)) is not None]
    return ";".join([f"{kind[1]}/{kind[2]}", *[f"{each[1]}={each[2] or quote(each[3])}" for each in found]])


def _parts(text: str) -> list[str]:
    return [part.strip(" \t") for part in text.split(";")[1:]]


def refer_to(address: NameAddr, domain: str) -> str:
    """A Refer-To of a REFER as a browser can read it.

    :param address: as `refer_to.refer_to` reads it.
    :param domain: where a number is that has none: browsers know no ``tel:``. Empty where that is not known.
    :raises BadMessage: 416 for another scheme: both libraries call SIP addresses only.
    """
    if not _can_be_called(address, domain):
        raise BadMessage("Unsupported URI Scheme", 416)
    return str(_plain(address, domain))


def contacts(lines: Iterable[str], domain: str = "") -> list[str]:
    """The Contacts of a redirection, or other addresses, that a browser can read.

    :param domain: where numbers are that have none; empty to leave them out.
    """
    found = []
    for contact in readable_addresses(lines):
        with suppress(BadMessage):
            if _can_be_called(contact, domain):
                found.append(str(_plain(contact, domain)))
    return found


def identities(lines: list[str]) -> list[str]:
    """The addresses of P-Asserted-Identity, or of others like it, each on a line of its own: the libraries parse one.
    A ``tel:`` stays, which means something to a page."""
    if all(map(_is_identity, lines)):
        return lines
    found = []
    for address in readable_addresses(lines):
        with suppress(BadMessage):
            if _can_be_called(address, ""):
                found.append(str(_plain(address, "")))
            elif address.address.scheme == "tel":
                found.append(str(address))
    return found


def _can_be_called(address: NameAddr, domain: str) -> bool:
    scheme = address.address.scheme
    return scheme in ("sip", "sips") or (scheme == "tel" and bool(domain))


def _plain(address: NameAddr, domain: str) -> NameAddr:
    """The same, with the headers of its URI that can be read. A host that is none stays: another one would be
    called (JsSIP knows an underscore in it)."""
    text, _, headers = address.uri.partition("?")
    mended = plain(replace(address, uri=text), domain)
    uri = mended.uri
    if not text.lower().startswith("tel:") and Uri.parse(uri).host.lower() != Uri.parse(text).host.lower().rstrip("."):
        uri = text
    kept = "&".join(filter(_is_escaped_header, headers.split("&")))
    params = tuple([(name, value) for name, value in mended.params if name.lower() != "q" or _is_q(value or "")])
    return NameAddr(mended.display, f"{uri}?{kept}" if kept else uri, params)
