"""The exceptions that cross layers. Each knows the SIP status that it causes (RFC 3261 section 21)."""

from __future__ import annotations

from collections.abc import Iterable

from webrtcproxy.runtime.metrics import Reason


class Refusal(Exception):
    """A request is refused with a final response.

    :param status: the SIP status code, 300 to 699.
    :param reason: the reason phrase; empty for the standard one.
    :param headers: names and values that the response carries in addition.
    """

    def __init__(self, status: int, reason: str = "", headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
        self.headers = tuple(headers)

    def __str__(self) -> str:
        return f"{self.status} {self.reason}".rstrip()


class Denied(Refusal):
    """A request is refused by a limit, a rule or the access policy. Who raises it has counted it.

    :param counted: the label of the metrics.
    :param retry_after: seconds after which it may succeed; 0 where that is not known.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        counted: Reason,
        *,
        retry_after: float = 0.0,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        if retry_after:
            headers = [*headers, ("Retry-After", str(int(retry_after) + 1))]
        super().__init__(status, reason, headers)
        self.counted = counted


class DeniedByRule(Denied):
    """A rule denies a target.

    :ivar rule: the rule, for the log. The caller does not learn it.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(403, "Destination Not Allowed", "destination")
        self.rule = rule


class BadResponse(Refusal):
    """The far side has sent a response that can't be relayed.

    :param why: the fault; completes "Upstream Sent".
    """

    def __init__(self, why: str) -> None:
        super().__init__(502, f"Upstream Sent {why}")


class FlowLost(Exception):
    """The connection to a peer is lost, or the kernel refused the datagram; nothing more can be sent there."""


class TimedOut(Exception):
    """No final response arrived within 64*T1 (RFC 3261 timers B and F), or none after a CANCEL."""


class NgError(Refusal):
    """A command to rtpengine has failed."""


class NgTimeout(NgError):
    """No rtpengine node replied in time."""

    def __init__(self, why: str) -> None:
        super().__init__(503, "Media Server Not Responding", [("Retry-After", "5")])
        self.why = why


class NgOverload(NgError):
    """Every rtpengine node is at its load limit, or has no ports left."""

    def __init__(self, why: str) -> None:
        super().__init__(503, "Media Server Overloaded", [("Retry-After", "10")])
        self.why = why


class NgRefused(NgError):
    """rtpengine has refused a command, for example because of a malformed SDP or an unknown call.

    :param why: rtpengine's ``error-reason``, for the log.
    :param lost: rtpengine does not know the call, as after a restart; the SDP is not at fault.
    """

    def __init__(self, why: str, lost: bool = False) -> None:
        if lost:
            super().__init__(503, "Media Session Lost", [("Retry-After", "5")])
        else:
            super().__init__(488)
        self.why = why
        self.lost = lost


class BadDescription(NgRefused):
    """The SDP of a peer is of no use, and was not sent to rtpengine.

    :param why: what is wrong, for the log.
    """
