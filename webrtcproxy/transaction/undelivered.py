"""The client transaction of a datagram that was not delivered, by what an ICMP error quotes of it."""

from __future__ import annotations

import re

_quoted_request = re.compile(
    rb"([A-Z]+) [^\r\n]* SIP/2\.0\r\nVia: SIP/2\.0/UDP [^\r\n;]*(?:;[^\r\n;]*)*?;branch=(z9hG4bK[^;,\s]+)[;\r]"
).match


def client_key(quoted: bytes) -> tuple[str, str] | None:
    """Branch and method of a request of ours; None where it is none, or its branch is not quoted.

    An ICMP error is easily forged: anybody knows our address and that of a trunk. The branch can't be guessed; so one
    that does not quote it says nothing.
    """
    found = _quoted_request(quoted)
    return None if found is None else (found[2].decode("ascii", "replace"), found[1].decode("ascii"))
