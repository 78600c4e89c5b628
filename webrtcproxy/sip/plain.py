"""Plain addresses: those that readers take which keep to the grammar, as browsers do (RFC 3261 section 25.1)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final
from urllib.parse import quote, unquote, unquote_to_bytes

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import format_params
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.telephone import MAX_DIGITS, without_separators
from webrtcproxy.sip.uri import Uri, normal

ANONYMOUS_HOST: Final = "anonymous.invalid"
"""The host of an address that names nobody, or none that can be read (RFC 3323 section 4.1.1.3)."""

_part = r"[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?"
_name = rf"(?:{_part}\.)*[A-Za-z](?:[A-Za-z0-9\-]*[A-Za-z0-9])?"
_octet = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_host = rf"(?:{_name}|{_octet}(?:\.{_octet}){{3}}|\[(?!::\])[0-9A-Fa-f:.]+\])"
_unreserved = r"A-Za-z0-9\-_.!~*'()"
_escaped = "%[0-9A-Fa-f]{2}"
_word = r"[A-Za-z0-9\-.!%*_+`'~]+"
_text = r"(?:[A-Za-z0-9\-.!*_'~]|%[0-9A-Fa-f]{2})+"
_param = rf"(?:(?:transport|user|method)={_text}|lr|(?!(?:transport|user|method|maddr|ttl)\b|lr\B){_text}(?:={_text})?)"
_value = rf"""(?:{_word}|"(?:[^"\\]|\\.)*")"""
_is_host = re.compile(_host).fullmatch
_is_context = re.compile(rf"\+[0-9]{{1,{MAX_DIGITS}}}|{_name}").fullmatch
_is_param = re.compile(_param).fullmatch
_is_uri = re.compile(
    rf"sips?:(?:(?:[{_unreserved}&=+$,;?/]|{_escaped})+@)?{_host}(?::[0-9]+)?(?:;{_param})*", re.IGNORECASE
).fullmatch
_is_header_param = re.compile(rf"{_word}(?:={_value})?").fullmatch


def plain(address: NameAddr, domain: str = "") -> NameAddr:
    """The same address with a ``sip:`` or ``sips:`` URI of the grammar: what it must not have is escaped or left out.

    :param address: one whose URI can be read.
    :param domain: in place of a host that a ``tel:`` URI has not, or that is no host name.
    """
    if not _is_uri(address.uri) or not _is_utf8(address.uri):
        address = replace(address, uri=_uri(address.uri, domain if _is_host(domain) else ANONYMOUS_HOST))
    return with_plain_params(address)


def with_plain_params(address: NameAddr) -> NameAddr:
    """The same address without the parameters of the header that are none of the grammar, such as an empty tag."""
    if len(address.params) > 1 or (address.params and not address.tag):  # the tag is alone nearly always
        params = tuple(param for param in address.params if _is_header_param(format_params((param,))[1:]))
        address = address if params == address.params else replace(address, params=params)
    return address


def _is_utf8(uri: str) -> bool:
    """Whether the octets that are escaped are UTF-8, which browsers insist on."""
    if "%" not in uri:
        return True
    try:
        unquote_to_bytes(uri).decode()
    except UnicodeDecodeError:
        return False
    return True


def _user(text: str) -> str:
    """A user part with all escapes that it needs; octets that are not UTF-8 are taken as Latin-1."""
    user = normal(text)
    return user if _is_utf8(user) else quote(unquote_to_bytes(user).decode("latin-1"), "!~*'()&=+$,;?/")


def _context(uri: Uri) -> str:
    """The context of a local number in a ``tel:`` URI (RFC 3966 section 5.1.5), as a parameter of a user part (RFC 3261
    section 19.1.6): without it, the number is none elsewhere. Empty where there is none that can be read."""
    context = unquote(uri.param("phone-context") or "")
    if not context or (uri.user or "").startswith("+"):
        return ""
    if context[0] == "+":
        context = without_separators(context)
    return f";phone-context={context}" if _is_context(context) else ""


def _uri(text: str, domain: str) -> str:
    nobody = f"sip:anonymous@{ANONYMOUS_HOST}"
    try:
        uri = Uri.parse(text)
    except BadMessage:
        return nobody
    if uri.scheme == "tel":
        written = f"sip:{_user(uri.user or '')}{_context(uri)}@{domain};user=phone"
    elif uri.host:
        if not uri.user and uri.host.isdigit():  # a user without a host
            uri = Uri.parse(text.replace(":", f":{uri.host}@", 1))
        params = format_params(tuple(param for param in uri.params if _is_param(format_params((param,))[1:])))
        user = f"{_user(uri.user)}@" if uri.user else ""
        port = "" if uri.port is None else f":{uri.port}"
        host = uri.host.rstrip(".")
        written = f"{uri.scheme}:{user}{host if _is_host(host) else domain}{port}{params}"
    else:
        return nobody
    return written if _is_uri(written) else nobody
