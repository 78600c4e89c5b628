"""The address by which this machine reaches others."""

from __future__ import annotations

import socket
from typing import Final

_ELSEWHERE: Final = ((socket.AF_INET, "192.0.2.1", "127.0.0.1"), (socket.AF_INET6, "2001:db8::1", "::1"))
"""For each family an address that is nobody's (RFC 5737, 3849), and the one of a machine that reaches nothing."""


def own_address(family: socket.AddressFamily = socket.AF_INET) -> str:
    """The source address of what this machine sends by its default route; that of its loopback where it has no route.
    Nothing is sent."""
    elsewhere, alone = next((there, here) for one, there, here in _ELSEWHERE if one == family)
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            address: str = probe.getsockname()[0]
            return address
    except OSError:
        return alone
