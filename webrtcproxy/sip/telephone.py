"""Telephone numbers in URIs, and when two of them are the same (RFC 3966, RFC 3261 section 19.1.6).

The number of a ``tel:`` URI, or of the user part of a ``sip:`` URI, is written with separators for the eye, and with
parameters behind it. Separators, escapes, and the parameters by which networks route do not make another number.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote

MAX_DIGITS: Final = 32
"""Digits and signs of the longest telephone number."""

_INVISIBLE = "\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
"""What address books put around numbers, to have them written from left to right."""

VISUAL_SEPARATORS = f"-./() \u00a0\u2007\u2009\u202f\u2010-\u2015\u2212{_INVISIBLE}"
"""What may stand in a telephone number and means nothing: the visual separators of RFC 3966 section 5.1.1, and the
blanks, dashes and slashes that people write (``030/123``). As it is, it can stand in the brackets of a regular
expression."""
_separator = re.compile(f"[{VISUAL_SEPARATORS}]")
_may_have_some = re.compile(f"[{VISUAL_SEPARATORS}%]").search
_trunk_prefix = re.compile(rf"(?<=[0-9])[{VISUAL_SEPARATORS}]*\(0\)")

_is_number = re.compile(rf"\+?[0-9*#]{{1,{MAX_DIGITS}}}", re.ASCII).fullmatch
_is_plain = re.compile(rf"\+?[0-9]{{1,{MAX_DIGITS}}}", re.ASCII).fullmatch
_is_global = re.compile(rf"\+[0-9]{{1,{MAX_DIGITS}}}", re.ASCII).fullmatch
_escaped_context = re.compile(
    r"(?!\+|%2B)([^%;]+(?:%(?!3B)[^%;]+)*)%3Bphone-context%3D(\+[0-9]+|[A-Za-z0-9.\-]+)", re.ASCII | re.IGNORECASE
).fullmatch
_OF_DIGITS: Final = frozenset({"ext", "rn", "cic"})
"""Parameters whose value may have visual separators (RFC 3966 section 3, RFC 4694 section 4)."""
_CONTEXTS: Final = frozenset({"phone-context", "rn-context", "cic-context", "trunk-context"})
"""Parameters whose value is a domain, or the beginning of a number, which may have visual separators."""


def without_separators(number: str) -> str:
    """A telephone number without its `VISUAL_SEPARATORS`. In ``+49 (0)30…``, the ``(0)`` is not dialled, either."""
    text = number
    if "(0)" in text and text.lstrip(" ")[:1] == "+":
        text = _trunk_prefix.sub("", text, 1)
    return _separator.sub("", text)


def number_of(text: str) -> str:
    """A telephone number without its visual separators: digits, perhaps after ``+`` or with ``*`` and ``#``.

    :raises ValueError: it is none.
    """
    number = without_separators(text)
    if not _is_number(number):
        raise ValueError(f"'{text}' is no telephone number")
    return number


def number_in(user: str) -> str | None:
    """The telephone number that a user part is, without visual separators and parameters; None where it is none."""
    if _is_plain(user):
        return user
    try:
        return number_of(unquote(user).partition(";")[0])
    except ValueError:
        return None


def plain_number(user: str, is_phone: bool) -> str:
    """A user part without the visual separators and escapes of its number, if it is one; its parameters stay. The
    context of a local number is a parameter again where JsSIP and SIP.js have escaped it.

    :param is_phone: whether ``user=phone`` or ``tel:`` says that it is one. Else it has digits only.
    """
    if not _may_have_some(user):
        return user
    head, semicolon, tail = user.partition(";")
    if is_phone and not semicolon and (escaped := _escaped_context(user)) is not None:
        head, semicolon, tail = escaped[1], ";", f"phone-context={escaped[2]}"
    number = None if "%3b" in head.lower() else number_in(head)
    if number is None or not (is_phone or _is_plain(number)):
        return user
    return f"{quote(number, '+*')}{semicolon}{tail}"


def global_number(user: str) -> str | None:
    """The normal form of a global number (``+`` and digits): the same for every spelling of a user part, or of a number
    in a ``tel:`` URI, that stands for the same telephone. None where it is none.

    It keeps ``isub`` and ``ext``, in this order (RFC 3261 section 19.1.6).
    """
    if "+" not in user and "%2" not in user:
        return None
    number = number_in(user)
    if number is None or not _is_global(number):
        return None
    if ";" not in user and "%3" not in user:
        return number
    params = dict(_params(user))
    kept = ((name, params[name]) for name in ("isub", "ext") if params.get(name))
    return number + "".join(f";{name}={quote(value, '', errors='surrogateescape')}" for name, value in kept)


def subscriber(user: str) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    """A telephone number with its parameters, as two of them are compared (RFC 3966 section 4): without separators, in
    lower case, and in one order. None where it is none.

    :param user: a user part, or a number with the parameters of a ``tel:`` URI.
    """
    number = number_in(user)
    return None if number is None else (number, tuple(sorted(_params(user))))


def numbers_in_context(user: str) -> tuple[str, ...]:
    """The global numbers that a local number may be, by its context where that is the beginning of a number (RFC 3966
    section 5.1.5): with all its digits, and without a 0 in front, which is dialled within the country only.

    :param user: a user part, or a number with the parameters of a ``tel:`` URI.
    """
    number = number_in(user) if "context" in user.lower() else None
    if number is None or not number.isdigit():
        return ()
    context = dict(_params(user)).get("phone-context", "")
    found = f"{context}{number}", f"{context}{number.removeprefix('0')}"
    return tuple(dict.fromkeys(each for each in found if _is_global(each)))


def _params(user: str) -> list[tuple[str, str]]:
    """The parameters of a number, each as it is compared."""
    found = []
    for param in unquote(user, errors="surrogateescape").split(";")[1:]:
        name, _, value = param.lower().partition("=")
        name, value = name.strip(), value.strip()
        if name in _OF_DIGITS or (name in _CONTEXTS and value[:1] == "+"):
            value = without_separators(value)
        found.append((name, value.strip()))
    return found
