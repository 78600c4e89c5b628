"""WorkerSlot: what tells one worker from the others and from its predecessor, and what it has of the hub's sockets."""

from __future__ import annotations

from dataclasses import dataclass, field

from webrtcproxy.config import Config

LINK = 3
"""The descriptor of a worker's end of the link."""


@dataclass(frozen=True, slots=True)
class WorkerSlot:
    """What one worker is and has.

    :ivar number: from 1 on.
    :ivar run: how many processes had this number before.
    :ivar instance: its name towards rtpengine: its successor deletes the sessions that it leaves behind.
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
    """The first frame that a worker gets: its share of the configuration, and its slot."""

    config: Config
    slot: WorkerSlot
