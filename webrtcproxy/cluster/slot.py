"""WorkerSlot: the identity of a worker process, and the descriptors of the sockets that the hub has opened for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from webrtcproxy.config import Config

LINK = 3
"""The descriptor of a worker's end of the link."""


@dataclass(frozen=True, slots=True)
class WorkerSlot:
    """The identity and the sockets of one worker process.

    :ivar number: from 1 on.
    :ivar run: how many processes had this number before.
    :ivar instance: the name of the proxy at rtpengine, by which its successors find and delete its leftover sessions.
    :ivar wss: descriptors of the sockets that listen for browsers, one for each line.
    :ivar sip: descriptors of its own SIP sockets, one for each line.
    :ivar shared: descriptors of the UDP sockets that all workers share, by the number of their line.
    """

    number: int
    run: int
    instance: str
    wss: tuple[int, ...] = ()
    sip: tuple[int, ...] = ()
    shared: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StartOrder:
    """The content of a worker's first frame: its share of the configuration, and its slot."""

    config: Config
    slot: WorkerSlot
