"""DTMF digits in INFO (``application/dtmf-relay``, ``application/dtmf``): rtpengine plays them as telephone-events in
the audio (RFC 4733), where the section of a trunk asks for it. Digits are never logged."""

from __future__ import annotations

import re

from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.dialog.context import CallMedia
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.routing.peer_profile import PeerProfile
from webrtcproxy.runtime.errors import NgError, Refusal
from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.server import ServerTransaction

log = Logger()

DTMF_TYPES = (("Accept", "application/dtmf-relay, application/dtmf"),)
"""Header of the 415 to a body that can't be read (RFC 3261 section 21.4.13)."""
MIN_DURATION, MAX_DURATION = 100, 5000
"""Shortest and longest event that rtpengine plays, in milliseconds."""
DEFAULT_DURATION = 250
"""Milliseconds of a digit without a duration."""

MAX_BODY = 200
"""Longest body that is parsed, in bytes; no digit needs more."""

_RELAY = re.compile(
    rb"\s*Signal[ \t]*=[ \t]*([0-9A-D*#])[ \t]*(?:\r?\n[ \t]*Duration[ \t]*=[ \t]*([0-9]{1,6})[ \t]*)?\s*",
    re.IGNORECASE,
)
_PLAIN = re.compile(rb"\s*([0-9A-D*#])\s*", re.IGNORECASE)
_BODIES = {"application/dtmf-relay": _RELAY, "application/dtmf": _PLAIN}


def wanted(request: Request, leg: Leg, profile: PeerProfile, media: CallMedia, other: Leg | None) -> bool:
    """Whether a request within a call is a digit of a browser to be played: for a trunk that is configured to get
    events, unless the media server may lose it and the trunk takes INFO, too.

    :param leg: the leg on which it arrived.
    :param profile: the profile of the peer of the other leg.
    :param other: the other leg; None where there is none yet.
    """
    if request.method != "INFO" or not profile.wants_dtmf_events(leg.profile) or request.content_type not in _BODIES:
        return False
    return not (media.loses_digits and other is not None and other.takes("INFO"))


def play(transaction: ServerTransaction, leg: Leg, media: CallMedia, branch: str) -> None:
    """Have rtpengine play the digit in the INFO of `transaction`, and answer the INFO: with 200, or with the error that
    rtpengine's refusal means.

    :param leg: the leg on which it arrived.
    :param branch: name of the callee's branch at rtpengine.
    :raises Refusal: 415 where the body can't be read.
    """
    digit, duration = read(transaction.request)
    played = media.play(digit, duration, from_tag=leg.party_tag, branch=branch)
    played.addCallback(lambda _: transaction.reply(200))
    played.addErrback(_not_played, transaction)  # no `await`: its traceback would keep the call in memory


def _not_played(failure: Failure, transaction: ServerTransaction) -> None:
    error, call = failure.value, transaction.request.call_id
    if isinstance(error, NgError):
        log.warn("{call}: a digit is not played: {why}", why=getattr(error, "why", error), call=call)
        transaction.reply(error.status, error.reason, error.headers)
    else:
        log.failure("{call}: a digit is not played", failure, call=call)
        transaction.reply(500)


def read(request: Request) -> tuple[str, int]:
    """The digit in the body of an INFO, and its duration in milliseconds, limited to what rtpengine plays.

    :raises Refusal: 415 where the body has no digit.
    """
    body = request.body
    found = _BODIES[request.content_type].fullmatch(body) if len(body) <= MAX_BODY else None
    if found is None:
        raise Refusal(415, "", DTMF_TYPES)
    digit, *duration = found.groups()
    milliseconds = int(duration[0]) if duration and duration[0] else DEFAULT_DURATION
    return digit.decode().upper(), min(max(milliseconds, MIN_DURATION), MAX_DURATION)
