"""Request sequences: Call-ID, From tag and CSeq of the second leg, kept while a browser may send its request again.

A challenge that the proxy can't answer crosses to the browser, which repeats its request with credentials. Upstream,
this must be one request sequence: the same Call-ID and From tag, and the next CSeq number (RFC 3261 section 22.2). The
same holds for the refreshes of a registration (section 10.2.4).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.config import Trunk
from webrtcproxy.routing.caller_id import AS_WRITTEN, CallerId
from webrtcproxy.routing.loops import remaining_hops
from webrtcproxy.routing.number_forms import incoming_address
from webrtcproxy.routing.peer_profile import PeerProfile
from webrtcproxy.runtime.ids import random_token
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Headers, Request
from webrtcproxy.sip.plain import plain, with_plain_params
from webrtcproxy.sip.uri import is_secure, without_websocket

LIMIT = 20_000
"""Request sequences remembered at once; the oldest makes room."""

CHALLENGE_KEPT = 300.0
"""Seconds that a browser has to answer a challenge that was relayed to it."""


@dataclass(slots=True)
class RequestSequence:
    """One request sequence of the second leg.

    :ivar call_id: its Call-ID, random.
    :ivar from_tag: its From tag, random.
    :ivar cseq: the number used last.
    :ivar expires_at: when it may be forgotten, seconds of the clock.
    """

    call_id: str = field(default_factory=lambda: random_token(16))
    from_tag: str = field(default_factory=lambda: random_token(8))
    cseq: int = 0
    expires_at: float = 0.0

    def next_cseq(self) -> int:
        """Increment the CSeq number, and return it for the next request."""
        self.cseq += 1
        return self.cseq


class RequestSequences:
    """The request sequences that are remembered, bounded in number and in time.

    :param clock: for the time.
    :param mark: the beginning of their tags.
    """

    def __init__(self, clock: IReactorTime, mark: str = "") -> None:
        self._clock = clock
        self._mark = mark
        self._sequences: OrderedDict[tuple[str, ...], RequestSequence] = OrderedDict()

    def get(self, key: tuple[str, ...]) -> RequestSequence:
        """The sequence remembered for `key`, or a new one.

        :param key: what identifies the browser's request sequence: method, Call-ID and From tag.
        """
        sequence = self._sequences.get(key)
        if sequence is None or sequence.expires_at <= self._clock.seconds():
            return RequestSequence(from_tag=self._mark + random_token(8))
        return sequence

    def remember(self, key: tuple[str, ...], sequence: RequestSequence, seconds: float) -> None:
        """Remember `sequence` under `key` for `seconds` from now."""
        now = self._clock.seconds()
        sequence.expires_at = now + seconds
        self._sequences[key] = sequence
        self._sequences.move_to_end(key)
        while self._sequences and (
            len(self._sequences) > LIMIT or next(iter(self._sequences.values())).expires_at <= now
        ):
            self._sequences.popitem(last=False)

    def forget(self, key: tuple[str, ...]) -> None:
        """Drop the sequence of `key`; no error where none is remembered."""
        self._sequences.pop(key, None)

    def __len__(self) -> int:
        return len(self._sequences)


def initial_headers(
    source: Request,
    sequence: RequestSequence,
    target: PeerProfile,
    caller_id: CallerId = AS_WRITTEN,
    trunk: Trunk | None = None,
) -> Headers:
    """The headers of the second leg's request that replace those of `source`; takes the next CSeq number.

    :param caller_id: how the caller is shown to the target.
    :param trunk: the one that has sent `source`; a browser sees numbers of it as users do.
    :raises Refusal: 483 where Max-Forwards is exhausted.
    """
    caller, callee = (caller_id.address or source.from_).with_tag(sequence.from_tag), caller_id.callee or source.to
    if target.browser:
        caller, callee = incoming_address(caller, trunk), incoming_address(callee, trunk)
        caller, callee = _plain(caller, callee), _insecure(plain(callee))
    else:
        caller, callee = for_sip_side(caller), for_sip_side(callee)
    fields = {
        "Max-Forwards": str(remaining_hops(source) - 1),
        "From": str(caller),
        "To": str(callee),
        "Call-ID": sequence.call_id,
        "CSeq": f"{sequence.next_cseq()} {source.method}",
    }
    return Headers.of(list(fields), list(fields.values()))


def _plain(caller: NameAddr, callee: NameAddr) -> NameAddr:
    """A caller as JsSIP and SIP.js take it, which drop a message whose From is not of the grammar. A number without a
    domain is at that of the callee."""
    return plain(caller, callee.address.host)


def for_sip_side(address: NameAddr) -> NameAddr:
    """Take out a transport that only browsers have: some servers answer 500 to it. And what is no parameter of the
    header, such as an empty tag, by which it would seem to be within a dialog."""
    address = with_plain_params(address)
    if ";" not in address.uri:
        return address
    uri = address.address
    bare = without_websocket(uri)
    return address if bare is uri else replace(address, uri=str(bare))


def _insecure(address: NameAddr) -> NameAddr:
    """Turn a ``sips:`` address into ``sip:``: JsSIP answers 416 to ``sips:``, though its only hop is a secure one."""
    return replace(address, uri=f"sip{address.uri[4:]}") if is_secure(address.uri) else address
