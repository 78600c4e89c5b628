"""SilenceWatch: notices that a trunk sends no media any more, although it has agreed to.

A PBX that was restarted, or is cut off, knows nothing of a call that its browser takes to be up; and rtpengine gives a
session up only if nobody sends.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.dialog.context import CallMedia
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.runtime.errors import NgError
from webrtcproxy.sip.sdp.reading import BadSdp, read

log = Logger()


class SilenceWatch:
    """Counts what the trunks of one call send, each time that it is told to.

    :param clock: for the time.
    :param media: the media session of the call.
    :param limit: seconds without a packet after which a trunk is silent; 0 for no watch.
    :ivar branch: the branch at rtpengine; empty before the session is agreed.
    """

    def __init__(self, clock: IReactorTime, media: CallMedia, limit: float) -> None:
        self.branch = ""
        self._clock = clock
        self._media = media
        self._limit = limit
        self._received: dict[Leg, tuple[int, float]] = {}  # packets so far, and since when there were no others

    def check(self, leg: Leg, silent: Callable[[Leg], None]) -> None:
        """Count what the peer of `leg` has sent, unless it is on hold, or is watched by its connection:
        a browser that is muted may send nothing.

        :param silent: called with the leg if the peer is silent; not again before as long a time.
        """
        if not self._limit or not self.branch or leg.profile.flow_bound or leg.over:
            return
        if _is_to_send(leg.negotiation.remote_description, leg.negotiation.local_description):
            counted = self._media.packets(from_tag=leg.party_tag, branch=self.branch)
            counted.addCallbacks(self._counted, _not_counted, callbackArgs=(leg, silent))
        else:
            self._received.pop(leg, None)

    def _counted(self, packets: int, leg: Leg, silent: Callable[[Leg], None]) -> None:
        now = self._clock.seconds()
        before, since = self._received.get(leg, (-1, now))
        if packets != before:
            self._received[leg] = packets, now
        elif now - since >= self._limit:
            self._received[leg] = packets, now
            log.info("{call}: no media for {time} s", call=leg.dialog.call_id, time=round(now - since))
            silent(leg)


def _not_counted(failure: Failure) -> None:
    failure.trap(NgError)
    log.debug("the media of a call are not counted: {why!r}", why=failure.value)


def _is_to_send(theirs: bytes, ours: bytes) -> bool:
    """Whether the sender of `theirs` is to send media to the sender of `ours` (RFC 3264 section 6.1)."""
    try:
        sends, takes = read(theirs), read(ours)
    except BadSdp:
        return False
    return any(
        one.is_usable
        and other.is_usable
        and not one.is_nowhere
        and one.direction in ("sendrecv", "sendonly")
        and other.direction in ("sendrecv", "recvonly")
        for one, other in zip(sends.media, takes.media, strict=False)
    )
