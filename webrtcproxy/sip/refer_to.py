"""Refer-To: whom a REFER wants to be called (RFC 3515 section 2.1). It is read here only, by all who want it.

Its URI may have headers for the request that is made from it, among them Replaces (RFC 3261 section 19.1.1). Some write
them as they would stand in a message: with ``@``, ``;`` and ``=``, which browsers then refuse.
"""

from __future__ import annotations

import re
from urllib.parse import quote_from_bytes

from webrtcproxy.sip import mending
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.fields import Headers
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.uri import Uri

PLAIN_IN_URI = "-_.!~*'()[]/?:+$"
"""What the value of a header in a URI may have unescaped, besides letters and digits (RFC 3261 section 25.1)."""

_is_value = re.compile(rf"(?:[A-Za-z0-9{re.escape(PLAIN_IN_URI)}]|%[0-9A-Fa-f]{{2}})*").fullmatch
_begins_headers = re.compile(r"\?(?=[A-Za-z\-]+=)").search
_names_dialog = re.compile(r"[?&](?:replaces|target-dialog)=", re.IGNORECASE).search
_lone_percent = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def refer_to(headers: Headers) -> NameAddr:
    """The address in Refer-To. Where it is malformed and its meaning is plain, it is mended, and from then on `headers`
    have it in its right form.

    :returns: an address whose URI can be read.
    :raises BadMessage: 400 where there is not exactly one (RFC 3515 section 2.4.2), or it can't be read; 513 for a URI
        that is too long.
    """
    values = headers.lines("Refer-To")
    if len(values) != 1:
        raise BadMessage("Multiple Refer-To" if values else "Missing Refer-To")
    try:
        address = NameAddr.parse(values[0])
        if _is_right(address.address):
            return address
    except BadMessage as error:
        if error.status != 400:
            raise BadMessage("Bad Refer-To", error.status) from error
    mended = _mended(values[0])
    if mended is None:
        raise BadMessage("Bad Refer-To")
    headers.set("Refer-To", str(mended))
    headers.note("Bad Refer-To")
    return mended


def _is_right(uri: Uri) -> bool:
    """Whether the headers of a URI are where they belong, and escaped."""
    if uri.user is not None and _names_dialog(uri.user):  # an @ among the headers has been taken for that of the URI
        return False
    return not uri.headers or all(_is_value(part.partition("=")[2]) for part in uri.headers.split("&"))


def _mended(text: str) -> NameAddr | None:
    """The same where brackets or quotes are left open, the scheme is missing, or headers are not escaped."""
    before, bracket, rest = text.partition("<")
    if bracket:
        uri, _, after = rest.lstrip("< \t").partition(">")
    else:
        before, uri, after = "", text.strip(' \t">'), ""
        if _begins_headers(uri) is None:
            uri, semicolon, after = uri.partition(";")
            after = semicolon + after
    begin = _begins_headers(uri)
    place = uri if begin is None else uri[: begin.start()]
    if "," in after or place.count("@") > 1:  # there are two, or it is in doubt who is meant
        return None
    address = mending.likely_uri(place)
    if address is None:
        return None
    more = "" if begin is None else _escaped(uri[begin.end() :])
    mended = NameAddr(mending.likely_display(before), f"{address}{more and '?'}{more}", mending.likely_params(after))
    try:
        return mended if _is_right(mended.address) else None
    except BadMessage:
        return None


def _escaped(headers: str) -> str:
    pairs = [part.partition("=") for part in headers.split("&") if part]
    return "&".join([f"{name}={value if _is_value(value) else _escaped_value(value)}" for name, _, value in pairs])


def _escaped_value(value: str) -> str:
    octets = _lone_percent.sub(b"%25", value.strip().encode("utf-8", "surrogateescape"))
    return quote_from_bytes(octets, safe=PLAIN_IN_URI + "%")
