"""The INVITE of a CANCEL that has to be refused, since it is malformed: a second matching, after that of RFC 3261
section 9.2."""

from __future__ import annotations

import re

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.server import InviteServer
from webrtcproxy.transaction.table import Table
from webrtcproxy.transport.flow import Flow

_branch = re.compile(r"[;,][ \t]*branch[ \t]*=[ \t]*([^\s;,\"]+)", re.IGNORECASE).search


def likely_invite(cancel: Request, table: Table, flow: Flow) -> InviteServer | None:
    """The machine of the only INVITE on a flow without a final response that a CANCEL may mean, by its branch and its
    Call-ID, as far as they are there; None where there is none, or several.

    :param flow: the CANCEL has arrived on it.
    """
    branch, call_id = _branch_of(cancel), _call_id_of(cancel)
    if not branch and not call_id and not flow.reliable:
        return None
    found = [
        machine
        for machine in table.servers_on(flow)
        if isinstance(machine, InviteServer) and _may_mean(machine, branch, call_id)
    ]
    return found[0] if len(found) == 1 else None


def _may_mean(machine: InviteServer, branch: str, call_id: str) -> bool:
    if machine.transaction is None:
        return False
    invite = machine.transaction.request
    return (not branch or branch == invite.via.branch) and (not call_id or call_id == invite.call_id)


def _branch_of(cancel: Request) -> str:
    """Its branch, in whatever state the Via is; empty where there is none."""
    try:
        return cancel.via.branch or ""
    except BadMessage:
        found = _branch(cancel.headers.get("Via") or "")
        return found[1] if found else ""


def _call_id_of(cancel: Request) -> str:
    """Its Call-ID; empty where there is none, or it can't be read."""
    try:
        return cancel.call_id
    except BadMessage:
        return ""
