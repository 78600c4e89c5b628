"""The metrics label of a refused request: why it was refused."""

from __future__ import annotations

from webrtcproxy.runtime.metrics import Reason

_REASONS: dict[int, Reason] = {
    400: "malformed", 403: "forbidden", 404: "not_found", 405: "method", 416: "scheme", 420: "extension",
    481: "no_dialog", 482: "loop", 483: "loop", 488: "not_acceptable", 501: "method", 503: "overload",
    505: "malformed", 513: "malformed",
}  # fmt: skip


def reason_of(status: int) -> Reason:
    """The label of a request that the proxy itself refused with `status`."""
    return _REASONS.get(status, "other")
