"""The methods and extensions that the proxy announces in Allow and Supported (RFC 3261 sections 19.2, 20.5, 20.37)."""

from __future__ import annotations

METHODS = (
    "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "MESSAGE", "UPDATE", "PRACK", "REFER", "SUBSCRIBE", "NOTIFY",
    "PUBLISH",
)  # fmt: skip
"""The methods that the proxy carries in both directions; it also carries those that it does not know."""


ALLOW = ("Allow", ", ".join(METHODS))
"""What a trunk may send, and what either side may send within a call."""


ALLOW_BROWSER = ("Allow", ", ".join((*METHODS, "REGISTER")))
"""What a browser may send."""


KNOWN_METHODS = frozenset((*METHODS, "REGISTER"))
"""Methods that exist: one that can't be carried gets 405, an invented one 501 (RFC 3261 section 8.2.1)."""


OPTION_100REL = "100rel"
"""Reliable provisional responses (RFC 3262)."""


EXTENSIONS = ("replaces", "timer", OPTION_100REL)
"""Option tags of the extensions that the proxy supports on each of its legs (RFC 3261 section 19.2)."""


SUPPORTED = ("Supported", ", ".join(EXTENSIONS))
"""The header that announces these extensions to a peer (RFC 3261 section 20.37)."""


SUPPORTED_WITHIN = ("Supported", ", ".join(name for name in EXTENSIONS if name != OPTION_100REL))
"""The same without reliable provisional responses, which are of no use within a call."""
