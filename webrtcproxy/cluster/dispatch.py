"""Dispatcher: chooses the worker for each datagram from a shared UDP socket."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from zlib import crc32

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.cluster.directory import SharedDirectory
from webrtcproxy.cluster.ownership import HUB, may_end, owner_of, sender_of
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response, read
from webrtcproxy.transaction.match import has_cookie

MAX_REMEMBERED = 100_000
"""Requests that are remembered; beyond this number, the oldest are dropped."""

BRANCH_LIFETIME = 32.0
"""Seconds (64*T1) for which the retransmissions, the CANCEL and the ACK of a request go to the same worker."""

_Seen = tuple[object, ...]


class Dispatcher:
    """Chooses the worker: the first of these that exists.

    1. the worker that got the request before;
    2. the owner of its dialog;
    3. the worker of the browser whose Contact of ours the Request-URI is;
    4. the worker that has sent the request, so that it detects the loop;
    5. the worker of the browser that is registered at the Request-URI's address;
    6. a worker chosen by the Call-ID.

    :param clock: for the lifetime of entries.
    :param directory: the bindings of all workers.
    :param trunks: host[:port] of the trunks: a user there may be a registered browser.
    :param malformed: called for octets that nobody can answer, to count them.
    """

    def __init__(
        self,
        clock: IReactorTime,
        directory: SharedDirectory,
        trunks: Collection[str] = (),
        malformed: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._directory = directory
        self._trunks = tuple(trunks)
        self._malformed = malformed
        self._memory: dict[_Seen, tuple[int, float]] = {}

    def __len__(self) -> int:
        """How many requests are remembered."""
        return len(self._memory)

    def choose(self, data: bytes, up: Sequence[int]) -> int:
        """The worker for a datagram.

        :param up: the running workers, in order.
        :returns: 0 if no worker can handle it.
        """
        if not up:
            return HUB
        try:
            message = read(data)
        except BadMessage as error:
            if isinstance(error.unusable, Response):
                owner = owner_of(error.unusable)
                if owner in up:
                    return owner  # which says in its log that it is dropped
            if error.request is None:
                self._malformed()
                return HUB
            if not isinstance(error.request, (Request, Response)) or not (error.usable or may_end(error.request)):
                return up[crc32(data) % len(up)]  # any worker can answer 400; it needs no memory of the request
            message = error.request
        try:
            if isinstance(message, Response):
                owner = owner_of(message)
                return owner if owner in up else HUB
            return self._of_request(message, up)
        except BadMessage:
            return self._likely(message, up) or up[crc32(data) % len(up)]

    def _likely(self, message: Request | Response, up: Sequence[int]) -> int:
        """The worker of what a message without a readable Via may end; 0 where it ends nothing, or nobody knows."""
        if not isinstance(message, Request) or not may_end(message):
            return HUB
        try:
            chosen = self._by_content(message)
        except BadMessage:
            return HUB
        return chosen if chosen in up else _by_call_id(message, up)

    def _of_request(self, request: Request, up: Sequence[int]) -> int:
        seen = _seen(request)
        known = self._memory.get(seen)
        if known is not None and known[0] in up:
            return known[0]
        chosen = self._by_content(request)
        if chosen not in up:
            chosen = _by_call_id(request, up)
        self._remember(seen, chosen)
        return chosen

    def _by_content(self, request: Request) -> int:
        owner = owner_of(request)
        if owner != HUB:
            return owner
        directory = self._directory
        target = request.request_uri
        holder = directory.owner_of_token(target.user or "")
        if holder is not None:
            return holder
        sender = sender_of(request)
        if sender != HUB:
            return sender
        holder = directory.owner(target.aor)
        if holder == HUB and target.user:
            user = target.aor.partition("@")[0]
            holder = next(filter(None, (directory.owner(f"{user}@{trunk}") for trunk in self._trunks)), HUB)
        return holder

    def _remember(self, seen: _Seen, chosen: int) -> None:
        now = self._clock.seconds()
        memory = self._memory
        while memory:
            oldest = next(iter(memory))
            if len(memory) < MAX_REMEMBERED and memory[oldest][1] > now:
                break
            del memory[oldest]
        memory.pop(seen, None)
        memory[seen] = chosen, now + BRANCH_LIFETIME


def _by_call_id(request: Request, up: Sequence[int]) -> int:
    call_id = request.headers.get("Call-ID") or ""
    return up[crc32(call_id.encode("utf-8", "surrogateescape")) % len(up)]


def _seen(request: Request) -> _Seen:
    """A key that is equal for a request, its retransmissions, its CANCEL and its ACK (RFC 3261 section 17.2.3).

    :raises BadMessage: its top Via is malformed.
    """
    via = request.via
    if has_cookie(via):
        return via.branch, via.host, via.port
    return request.headers.get("Call-ID"), request.cseq.number, via.host, via.port
