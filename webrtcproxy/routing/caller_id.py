"""Caller ID: how the caller of a request is shown to its target."""

from __future__ import annotations

from dataclasses import dataclass

from webrtcproxy.access.caller import Caller
from webrtcproxy.access.identity import is_anonymous
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Request


@dataclass(frozen=True, slots=True)
class CallerId:
    """How a caller is shown.

    :ivar address: what stands in From; None for what the browser has written.
    """

    address: NameAddr | None = None


AS_WRITTEN = CallerId()
"""From crosses as it is."""


def caller_id_of(request: Request, caller: Caller) -> CallerId:
    """How the caller is shown: as it has written, where that is its own address or none; else as the address that it
    has proven.

    :param caller: as `identify` has found it.
    :raises BadMessage: From can't be read.
    """
    claimed = request.from_.address
    if caller.aor is None or claimed.aor == caller.aor or is_anonymous(claimed, (caller.aor,)):
        return AS_WRITTEN
    return CallerId(NameAddr("", f"sip:{caller.aor}"))
