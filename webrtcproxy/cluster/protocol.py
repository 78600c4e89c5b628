"""The frames between the hub and the workers: each kind with its direction, its fields and its meaning.

A frame has a header, a line of JSON, and a body of octets (see `webrtcproxy.cluster.link`). ``do`` in the header is the
kind. A frame for a worker, or for all others, has its receiver in ``to`` and passes through the hub; one without ``to``
is for the other end of the link.

A flow is described by its `webrtcproxy.cluster.remote.FlowDescriptor`; the worker that has it knows it by its number.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple


class Direction(Enum):
    """The sender and the receiver of a frame."""

    TO_WORKER = "hub to worker"
    TO_HUB = "worker to hub"
    TO_OTHERS = "worker to all others and to the hub; from the hub's replica to a worker that starts"
    TO_OWNER = "worker to the worker that owns a flow or dialog"


class Frame(NamedTuple):
    """One kind of frame.

    :ivar name: its ``do``.
    :ivar direction: its sender and receiver.
    :ivar fields: the other fields of its header, except ``to``; a name with ``?`` may be absent.
    :ivar body: the content of its body; empty if it has none.
    :ivar meaning: the command to the receiver, or the news for it.
    """

    name: str
    direction: Direction
    fields: tuple[str, ...]
    body: str
    meaning: str


START: Final = "start"
QUERY: Final = "query"
DRAIN: Final = "drain"
STOP: Final = "stop"
HURRY: Final = "hurry"
RELOAD: Final = "reload"
DATAGRAM: Final = "datagram"
WORKERS_UP: Final = "workers_up"
WORKER_ENDED: Final = "worker_ended"
READY: Final = "ready"
RESULT: Final = "result"
DONE: Final = "done"
LOG: Final = "log"
INTEND: Final = "intend"
BIND: Final = "bind"
UNBIND: Final = "unbind"
REGISTERED: Final = "registered"
GRANT: Final = "grant"
REFERRED: Final = "referred"
BAN: Final = "ban"
LOGIN: Final = "login"
FLOW_CLOSED: Final = "flow_closed"
MESSAGE: Final = "message"
WRITE: Final = "write"
CLOSE: Final = "close"

FRAMES: Final = (
    Frame(START, Direction.TO_WORKER, (), "a pickled StartOrder", "Build the services and start them; answer READY."),
    Frame(
        QUERY, Direction.TO_WORKER, ("what", "number", "about?"), "",
        "Answer a question, perhaps about something, with RESULT, of the same number.",
    ),
    Frame(DRAIN, Direction.TO_WORKER, (), "", "Take no new calls, end those that there are, answer DONE."),
    Frame(STOP, Direction.TO_WORKER, (), "", "Stop the services and end."),
    Frame(HURRY, Direction.TO_WORKER, (), "", "End at once what DRAIN or STOP waits for."),
    Frame(RELOAD, Direction.TO_WORKER, (), "", "Read certificates and other files again."),
    Frame(
        DATAGRAM, Direction.TO_WORKER, ("line", "source"), "the datagram",
        "A datagram came by the shared socket of that line of [sip] listen, from that host and port.",
    ),
    Frame(WORKERS_UP, Direction.TO_WORKER, ("workers",), "", "These workers take messages, and no others."),
    Frame(WORKER_ENDED, Direction.TO_WORKER, ("worker",), "", "That worker, its flows and REGISTERs have ended."),
    Frame(READY, Direction.TO_HUB, (), "", "The worker takes messages."),
    Frame(RESULT, Direction.TO_HUB, ("number", "result"), "", "The result of a QUERY; null for an unknown question."),
    Frame(DONE, Direction.TO_HUB, ("what",), "", "DRAIN is done."),
    Frame(LOG, Direction.TO_HUB, (), "log events as JSON", "Publish these log events."),
    Frame(
        INTEND, Direction.TO_OTHERS, ("aor", "worker", "register", "seconds"), "",
        "A REGISTER is under way that asks for our Contact for so many seconds; with 0 it has ended.",
    ),
    Frame(
        BIND, Direction.TO_OTHERS, ("aor", "flow", "stamp", "call_id", "bindings", "register?"), "",
        "The bindings of one REGISTER, each as instance, reg-id, Contact, seconds left and q; the REGISTER has ended.",
    ),
    Frame(
        UNBIND, Direction.TO_OTHERS, ("aor", "keys", "until"), "",
        "These bindings are removed, or with null all; those with a later stamp stay.",
    ),
    Frame(
        REGISTERED, Direction.TO_OTHERS, ("aor", "host", "seconds"), "",
        "The registrar at that address has our Contact for so many seconds; with 0 none has it.",
    ),
    Frame(
        GRANT, Direction.TO_OTHERS, ("dialog", "flow", "host", "referrer"), "",
        "A REFER allows a browser, by its flow, or the peer at a host to take a place in a dialog.",
    ),
    Frame(
        REFERRED, Direction.TO_OTHERS, ("flow", "aors", "referrer"), "",
        "A browser, known by its flow and its addresses-of-record, gets a REFER with that Referred-By.",
    ),
    Frame(BAN, Direction.TO_OTHERS, ("network", "why", "seconds"), "", "A network is banned for so many seconds."),
    Frame(LOGIN, Direction.TO_OTHERS, ("network", "aor"), "", "A user has logged in from an address of that network."),
    Frame(FLOW_CLOSED, Direction.TO_OTHERS, ("flow",), "", "A flow, by its worker and number, is closed."),
    Frame(MESSAGE, Direction.TO_OWNER, ("flow",), "a SIP message", "A message for this worker came by that flow."),
    Frame(WRITE, Direction.TO_OWNER, ("flow",), "a SIP message", "Send this by the flow of that number."),
    Frame(CLOSE, Direction.TO_OWNER, ("flow", "code", "reason"), "", "Close the flow of that number."),
)  # fmt: skip
"""All kinds of frames."""

REPLICATED: Final = frozenset({INTEND, BIND, UNBIND, REGISTERED})
"""The frames that change the directory of bindings."""
