"""The state tables of the four transaction machines, as data: the documentation shows them, and a test compares each
cell with the machines.

A cell names the next state after an event, and the actions. Events without a cell can't happen in that state. The
tables are for UDP. On a connection, timers D, I, J and K are zero: a state that one of them ends is left as soon as it
is entered, and timers A, E and G do not run.
"""

from __future__ import annotations

from typing import Final, NamedTuple

SEND_REQUEST: Final = "send request"
SEND_CANCEL: Final = "send CANCEL"
SEND_ACK: Final = "send ACK"
SEND_RESPONSE: Final = "send response"
PROVISIONAL: Final = "notify user"
"""Notify the user of a provisional response, or of another 2xx."""
FINAL: Final = "final response"
"""`ClientTransaction.final` fires."""
TIMED_OUT: Final = "TimedOut"
FLOW_LOST: Final = "FlowLost"
"""`ClientTransaction.final` fails."""
TO_USER: Final = "ACK to user"
LOG_ERROR: Final = "log error"


class Cell(NamedTuple):
    """The effect of an event in a state.

    :ivar state: the next state.
    :ivar actions: the actions, in order.
    """

    state: str
    actions: tuple[str, ...] = ()


class Machine(NamedTuple):
    """One machine.

    :ivar name: of its class.
    :ivar source: the RFC and figure that defines it.
    :ivar cells: by state, in the order in which they are entered, and by event.
    :ivar skipped: the state that is left at once on a connection.
    """

    name: str
    source: str
    cells: dict[str, dict[str, Cell]]
    skipped: str


TERMINATED: Final = "Terminated"

INVITE_CLIENT: Final = Machine(
    "InviteClient",
    "RFC 3261 figure 5, RFC 6026 figure 2",
    {
        "Calling": {
            "100": Cell("Proceeding"),
            "101 to 199": Cell("Proceeding", (PROVISIONAL,)),
            "2xx": Cell("Accepted", (FINAL,)),
            "3xx to 6xx": Cell("Completed", (SEND_ACK, FINAL)),
            "Timer A": Cell("Calling", (SEND_REQUEST,)),
            "Timer B": Cell(TERMINATED, (TIMED_OUT,)),
            "cancel": Cell("Calling"),
            "1xx after cancel": Cell("Proceeding", (SEND_CANCEL,)),
            "connection lost": Cell(TERMINATED, (FLOW_LOST,)),
        },
        "Proceeding": {
            "100": Cell("Proceeding"),
            "101 to 199": Cell("Proceeding", (PROVISIONAL,)),
            "2xx": Cell("Accepted", (FINAL,)),
            "3xx to 6xx": Cell("Completed", (SEND_ACK, FINAL)),
            "cancel": Cell("Proceeding", (SEND_CANCEL,)),
            "1xx after cancel": Cell("Proceeding"),
            "64*T1 after cancel": Cell(TERMINATED, (TIMED_OUT,)),
            "connection lost": Cell(TERMINATED, (FLOW_LOST,)),
        },
        "Completed": {
            "100": Cell("Completed"),
            "101 to 199": Cell("Completed"),
            "2xx": Cell("Completed"),
            "3xx to 6xx": Cell("Completed", (SEND_ACK,)),
            "Timer D": Cell(TERMINATED),
            "cancel": Cell("Completed"),
        },
        "Accepted": {
            "100": Cell("Accepted"),
            "101 to 199": Cell("Accepted"),
            "2xx": Cell("Accepted", (PROVISIONAL,)),
            "3xx to 6xx": Cell("Accepted"),
            "Timer M": Cell(TERMINATED),
            "cancel": Cell("Accepted"),
            "connection lost": Cell(TERMINATED),
        },
    },
    "Completed",
)

NON_INVITE_CLIENT: Final = Machine(
    "NonInviteClient",
    "RFC 3261 figure 6",
    {
        "Trying": {
            "1xx": Cell("Proceeding"),
            "2xx to 6xx": Cell("Completed", (FINAL,)),
            "Timer E": Cell("Trying", (SEND_REQUEST,)),
            "Timer F": Cell(TERMINATED, (TIMED_OUT,)),
            "connection lost": Cell(TERMINATED, (FLOW_LOST,)),
        },
        "Proceeding": {
            "1xx": Cell("Proceeding"),
            "2xx to 6xx": Cell("Completed", (FINAL,)),
            "Timer E": Cell("Proceeding", (SEND_REQUEST,)),
            "Timer F": Cell(TERMINATED, (TIMED_OUT,)),
            "connection lost": Cell(TERMINATED, (FLOW_LOST,)),
        },
        "Completed": {
            "1xx": Cell("Completed"),
            "2xx to 6xx": Cell("Completed"),
            "Timer K": Cell(TERMINATED),
        },
    },
    "Completed",
)

INVITE_SERVER: Final = Machine(
    "InviteServer",
    "RFC 3261 figure 7, RFC 6026 figure 1",
    {
        "Proceeding": {
            "INVITE": Cell("Proceeding", (SEND_RESPONSE,)),
            "ACK": Cell("Proceeding"),
            "1xx of user": Cell("Proceeding", (SEND_RESPONSE,)),
            "2xx of user": Cell("Accepted", (SEND_RESPONSE,)),
            "3xx to 6xx of user": Cell("Completed", (SEND_RESPONSE,)),
            "150 ms": Cell("Proceeding", (SEND_RESPONSE,)),
            "last resort": Cell("Completed", (LOG_ERROR, SEND_RESPONSE)),
            "connection lost": Cell("Proceeding"),
        },
        "Completed": {
            "INVITE": Cell("Completed", (SEND_RESPONSE,)),
            "ACK": Cell("Confirmed"),
            "1xx of user": Cell("Completed"),
            "2xx of user": Cell("Completed"),
            "3xx to 6xx of user": Cell("Completed"),
            "Timer G": Cell("Completed", (SEND_RESPONSE,)),
            "Timer H": Cell(TERMINATED),
            "connection lost": Cell(TERMINATED),
        },
        "Confirmed": {
            "INVITE": Cell("Confirmed"),
            "ACK": Cell("Confirmed"),
            "1xx of user": Cell("Confirmed"),
            "2xx of user": Cell("Confirmed"),
            "3xx to 6xx of user": Cell("Confirmed"),
            "Timer I": Cell(TERMINATED),
        },
        "Accepted": {
            "INVITE": Cell("Accepted"),
            "ACK": Cell("Accepted", (TO_USER,)),
            "1xx of user": Cell("Accepted"),
            "2xx of user": Cell("Accepted", (SEND_RESPONSE,)),
            "3xx to 6xx of user": Cell("Accepted"),
            "Timer L": Cell(TERMINATED),
            "connection lost": Cell(TERMINATED),
        },
    },
    "Confirmed",
)

NON_INVITE_SERVER: Final = Machine(
    "NonInviteServer",
    "RFC 3261 figure 8, RFC 4320 section 4",
    {
        "Trying": {
            "request": Cell("Trying"),
            "1xx of user": Cell("Trying"),
            "2xx to 6xx of user": Cell("Completed", (SEND_RESPONSE,)),
            "408 of user": Cell(TERMINATED),
            "3.5 s": Cell("Proceeding", (SEND_RESPONSE,)),
            "connection lost": Cell("Trying"),
        },
        "Proceeding": {
            "request": Cell("Proceeding", (SEND_RESPONSE,)),
            "1xx of user": Cell("Proceeding"),
            "2xx to 6xx of user": Cell("Completed", (SEND_RESPONSE,)),
            "408 of user": Cell(TERMINATED),
            "64*T1": Cell(TERMINATED),
            "connection lost": Cell("Proceeding"),
        },
        "Completed": {
            "request": Cell("Completed", (SEND_RESPONSE,)),
            "1xx of user": Cell("Completed"),
            "2xx to 6xx of user": Cell("Completed"),
            "408 of user": Cell("Completed"),
            "Timer J": Cell(TERMINATED),
        },
    },
    "Completed",
)

MACHINES: Final = (INVITE_CLIENT, NON_INVITE_CLIENT, INVITE_SERVER, NON_INVITE_SERVER)
