"""The transaction of a response whose Via or CSeq is odd: a second matching, where that of RFC 3261 section 17.1.3 has
found none.

Our branches can't be guessed, and no two requests have the same but an INVITE and its CANCEL. So whoever repeats one is
who has got the request, and the method is needed for those two only.
"""

from __future__ import annotations

import re

from webrtcproxy.sip.capabilities import KNOWN_METHODS
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Response
from webrtcproxy.transaction import odd_messages
from webrtcproxy.transaction.client import ClientMachine
from webrtcproxy.transaction.match import is_likely_sent_by, likely_branch
from webrtcproxy.transaction.table import Table
from webrtcproxy.transport.flow import Flow

_MAX_CSEQ = 100
"""Characters of a CSeq that are looked at."""

_letters = re.compile("[A-Z]+").findall


def likely_client(response: Response, table: Table, flow: Flow) -> ClientMachine | None:
    """The machine that a response belongs to in all likelihood, whose CSeq it gets; None where that is in doubt, and a
    log line says that it is dropped.

    :param flow: the response has arrived on it.
    """
    words = _words(response)
    machines = table.clients_of(likely_branch(response), KNOWN_METHODS.union(words))
    if not machines:
        odd_messages.log_unmatched(response, flow)
        return None
    found = _of_method(response, words, machines) if _names_us(response, machines[0]) else None
    if found is None:
        odd_messages.log_dropped(response, flow)
    return found


def log_unusable(response: Response, why: str, table: Table, flow: Flow) -> None:
    """Say that a response can't be used, if it is one to a request of ours.

    :param response: as far as it can be read.
    :param why: what is wrong with it.
    """
    response.headers.note(why)
    if table.clients_of(likely_branch(response), KNOWN_METHODS.union(_words(response))):
        odd_messages.log_dropped(response, flow)
    else:
        odd_messages.log_unmatched(response, flow)


def _words(response: Response) -> list[str]:
    """What may be the method in CSeq, in whatever state that is."""
    return _letters((response.headers.get("CSeq") or "")[:_MAX_CSEQ].upper())


def _names_us(response: Response, machine: ClientMachine) -> bool:
    """Whether the top Via is that of our request, as far as it can be read."""
    try:
        via = response.via
    except BadMessage:
        return True
    if not is_likely_sent_by(via, machine.sent_by):
        response.headers.note("Bad Via")
        return False
    return True


def _of_method(response: Response, words: list[str], machines: list[ClientMachine]) -> ClientMachine | None:
    """The one of the machines whose method is in CSeq, in any case, or the only one, where no other method is there."""
    named = [machine for machine in machines if machine.key[1] in words]
    if not named and KNOWN_METHODS.isdisjoint(words):
        named = machines
    if len(named) != 1:
        response.headers.note("Bad CSeq")
        return None
    machine = named[0]
    if not _is_readable(response, machine):
        response.headers.note("Bad CSeq")
        response.headers.set("CSeq", str(machine.cseq))
    return machine


def _is_readable(response: Response, machine: ClientMachine) -> bool:
    try:
        return response.cseq.method == machine.key[1]
    except BadMessage:
        return False
