"""The options of a trunk for header fields: ``strip`` and ``set``."""

from __future__ import annotations

import re
from typing import Final

OF_THE_LEG: Final = frozenset({
    "Via", "Route", "Record-Route", "Path", "Service-Route", "Contact", "Call-ID", "CSeq", "From", "To", "Max-Forwards",
    "Content-Length", "Content-Type", "Content-Encoding", "Allow", "Supported", "Unsupported", "Require",
    "Proxy-Require", "RSeq", "RAck", "Session-Expires", "Min-SE", "Replaces", "Join", "Target-Dialog", "Timestamp",
    "Flow-Timer", "Authentication-Info", "Proxy-Authentication-Info", "Security-Client", "Security-Server",
    "Security-Verify",
})  # fmt: skip
"""Headers that belong to one leg: to its transaction, its dialog, its transport, or its negotiation of extensions. They
never cross, and no option changes them."""
CREDENTIALS: Final = frozenset({"Authorization", "Proxy-Authorization"})
"""Headers that answer a challenge."""

_NAME = re.compile(r"[A-Za-z0-9.!%_+`'~-]{2,}")
_UNTOUCHED = frozenset(name.lower() for name in OF_THE_LEG)
_UNSET = frozenset(name.lower() for name in CREDENTIALS)


def header_pattern(text: str) -> str:
    """Parse one word of ``strip``: a header name, or the beginning of one and ``*``.

    :returns: the word in lower case.
    :raises ValueError: says what is wrong.
    """
    if "*" in text[:-1] or text == "*":
        raise ValueError("a '*' stands at the end of a name only")
    _check(text.removesuffix("*"), text)
    return text.lower()


def header_line(text: str) -> tuple[str, str]:
    """Parse one line of ``set``: a header name, a colon, and the value.

    :raises ValueError: says what is wrong.
    """
    name, colon, value = text.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not value:
        raise ValueError("there is no 'Name: value'")
    _check(name, name)
    if name.lower() in _UNSET:
        raise ValueError("credentials are made of username and password")
    if not value.isprintable():
        raise ValueError("there are control characters in the value")
    return name, value


def _check(name: str, whole: str) -> None:
    """Check that `name` is a header that crosses, or the beginning of one.

    :param whole: as it is written.
    :raises ValueError: says what is wrong.
    """
    if len(name) == 1 and whole == name:
        raise ValueError("this is a compact form, write the name in full")
    if not _NAME.fullmatch(name):
        raise ValueError("this is no name of a header")
    if name.lower() in _UNTOUCHED:
        raise ValueError("this header belongs to one leg, and never crosses")
