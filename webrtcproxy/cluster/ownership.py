"""Determines the worker that owns a message: our branches and Contacts within a dialog begin with its number."""

from __future__ import annotations

import re

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.sip.salvage import ENDING
from webrtcproxy.transaction.match import BRANCH_PREFIX, likely_branch

HUB = 0
"""The number of the process that twistd starts; it carries no calls."""

ALL = -1
"""The receiver of a frame for all other processes."""

_branch = re.compile(re.escape(BRANCH_PREFIX) + r"([0-9]{1,2})-").match
_any_branch = re.compile(re.escape(BRANCH_PREFIX) + r"([0-9]{1,2})-").search
_contact = re.compile(r"sips?:([0-9]{1,2})-[0-9a-f]{16}@", re.IGNORECASE).match


def worker_prefix(number: int) -> str:
    """The beginning of the branches and Contacts of a worker."""
    return f"{number}-"


def owner_of(message: Request | Response) -> int:
    """The number of the worker that owns a message: it has made the branch of a response, or has the dialog of a
    request, by its Request-URI. 0 if the message names no worker.

    :raises BadMessage: the To of a request is malformed.
    """
    if isinstance(message, Response):
        try:
            branch = message.via.branch or ""
        except BadMessage:
            branch = likely_branch(message)
        found = _branch(branch)
        return int(found[1]) if found else HUB
    found = _contact(message.uri)
    return int(found[1]) if found and _is_of_dialog(message) else HUB


def _is_of_dialog(request: Request) -> bool:
    """Whether a request is within a dialog, or replaces one, or cancels such an INVITE: ACK, BYE and CANCEL are, in
    whatever state they are."""
    return request.method in ENDING or request.to.tag is not None or "Replaces" in request.headers


def may_end(message: Request | Response) -> bool:
    """Whether a message may end something of its owner's, even where it has to be refused."""
    return isinstance(message, Request) and message.method in ENDING


def sender_of(request: Request) -> int:
    """The number of a worker that the request has passed before, by the branches of its Vias, or 0. It goes
    there again, so that the loop is detected (RFC 3261 section 16.3).
    """
    for value in request.headers.lines("Via"):
        found = _any_branch(value) if BRANCH_PREFIX in value else None
        if found:
            return int(found[1])
    return HUB
