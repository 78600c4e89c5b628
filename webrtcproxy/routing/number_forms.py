"""Number forms: telephone numbers in URIs and headers that cross between users, who see them with ``+``, and a trunk
with a ``number-format``. Names, and numbers that are not wholly clear, cross as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from webrtcproxy.config import Trunk
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.mending import elements
from webrtcproxy.sip.message import Headers
from webrtcproxy.sip.telephone import number_in
from webrtcproxy.sip.uri import Uri

_SHOWN: Final = (
    "P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "P-Called-Party-ID", "Diversion"
)  # fmt: skip
"""Headers that show a number beside From and To."""
_FIRST: Final = frozenset("+0123456789(%")
"""How the user part of a number may begin."""

_Form = Callable[[str], str]
"""Returns another form of a number."""


def outgoing(uri: Uri, trunk: Trunk | None) -> Uri:
    """A URI of a user with its number as the trunk has it."""
    return uri if trunk is None or not trunk.number_format.converts else _converted(uri, trunk.number_format.outgoing)


def incoming(uri: Uri, trunk: Trunk | None) -> Uri:
    """A URI of the trunk with its number as users see it."""
    return uri if trunk is None or not trunk.number_format.converts else _converted(uri, trunk.number_format.incoming)


def incoming_address(address: NameAddr, trunk: Trunk | None) -> NameAddr:
    """An address of the trunk, From or To, with its number as users see it."""
    if trunk is None or not trunk.number_format.converts:
        return address
    return _converted_address(address, trunk.number_format.incoming)


def convert_headers(headers: Headers, trunk: Trunk | None, *, to_trunk: bool) -> None:
    """Write the numbers in headers that cross as their recipient has them. What can't be read stays as it is."""
    if trunk is None or not trunk.number_format.converts:
        return
    form = trunk.number_format.outgoing if to_trunk else trunk.number_format.incoming
    for name in _SHOWN:
        lines = headers.lines(name)
        crossed = [_converted_line(line, form) for line in lines]
        if crossed != lines:
            headers.remove(name)
            for line in crossed:
                headers.add(name, line)


def _converted_line(line: str, form: _Form) -> str:
    values = elements(line)
    crossed = [_converted_value(value, form) for value in values]
    return line if crossed == values else ", ".join(crossed)


def _converted_value(value: str, form: _Form) -> str:
    try:
        address = NameAddr.parse(value)
        crossed = _converted_address(address, form)
    except BadMessage:
        return value
    return value if crossed is address else str(crossed)


def _converted_address(address: NameAddr, form: _Form) -> NameAddr:
    uri = address.address
    crossed = _converted(uri, form)
    return address if crossed is uri else replace(address, uri=str(crossed))


def _converted(uri: Uri, form: _Form) -> Uri:
    """The URI with another form of its number. A local number that names its context is one there only (RFC 3966
    section 5.1.5)."""
    user = uri.user
    if not user or user[0] not in _FIRST or uri.scheme not in ("sip", "sips", "tel"):
        return uri
    head, semicolon, tail = user.partition(";")
    number = None if "phone-context" in tail.lower() or uri.param("phone-context") is not None else number_in(head)
    if number is None:
        return uri
    crossed = form(number)
    return uri if crossed == number else replace(uri, user=f"{crossed}{semicolon}{tail}")
