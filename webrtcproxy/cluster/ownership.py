"""Which process a message belongs to: our branches, and our Contacts within a dialog, begin with its number."""

from __future__ import annotations

import re

from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transaction.match import BRANCH_PREFIX

HUB = 0
"""The number of the process that twistd starts; it carries no calls."""

ALL = -1
"""The receiver of a frame for all other processes."""

_branch = re.compile(re.escape(BRANCH_PREFIX) + r"([0-9]{1,2})-").match
_any_branch = re.compile(re.escape(BRANCH_PREFIX) + r"([0-9]{1,2})-").search
_contact = re.compile(r"sips?:([0-9]{1,2})-[0-9a-f]{16}@", re.IGNORECASE).match


def worker_prefix(number: int) -> str:
    """What the branches and the Contacts of a worker begin with."""
    return f"{number}-"


def owner_of(message: Request | Response) -> int:
    """The number of the worker that a message belongs to: whose branch a response answers, or whose dialog a request
    is for, by its Request-URI; 0 where it says nothing of that.

    :raises BadMessage: the Via of a response, or the To of a request, can't be read.
    """
    if isinstance(message, Response):
        found = _branch(message.via.branch or "")
        return int(found[1]) if found else HUB
    found = _contact(message.uri)
    return int(found[1]) if found and _is_of_dialog(message) else HUB


def _is_of_dialog(request: Request) -> bool:
    """Whether a request is within a dialog, or to take the place of one; so is the CANCEL of such an INVITE."""
    return request.to.tag is not None or "Replaces" in request.headers or request.method == "CANCEL"


def sender_of(request: Request) -> int:
    """The number of the worker that a request has been at before, by the branches of its Vias; 0 where there is none.

    It goes there again, so that a loop is seen (RFC 3261 section 16.3).
    """
    for value in request.headers.lines("Via"):
        found = _any_branch(value) if BRANCH_PREFIX in value else None
        if found:
            return int(found[1])
    return HUB
