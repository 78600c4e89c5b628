"""Determines the worker that owns a message: our branches, and our tags and Contacts within a dialog, begin with its
number."""

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
_tag = re.compile(r"([0-9]{1,2})-[0-9a-f]{16}").fullmatch
_replaced = re.compile(r';\s*to-tag\s*=\s*"?([0-9]{1,2})-[0-9a-f]{16}\b', re.IGNORECASE).search


def worker_prefix(number: int) -> str:
    """The beginning of the branches, tags and Contacts of a worker."""
    return f"{number}-"


def owner_of(message: Request | Response) -> int:
    """The number of the worker that owns a message: it has made the branch of a response, or has the dialog of a
    request, by its Replaces, its Request-URI, or where that is another one, its To tag. 0 if the message names no
    worker.

    :raises BadMessage: the To of a request is malformed.
    """
    if isinstance(message, Response):
        try:
            branch = message.via.branch or ""
        except BadMessage:
            branch = likely_branch(message)
        found = _branch(branch)
        return int(found[1]) if found else HUB
    replaces = message.headers.get("Replaces")
    found = None if replaces is None else _replaced(replaces)
    if not found:
        found = _contact(message.uri)
        if not found or not (message.method in ENDING or replaces is not None or message.to.tag is not None):
            found = _tag(_to_tag(message))
    return int(found[1]) if found else HUB


def _to_tag(request: Request) -> str:
    try:
        return request.to.tag or ""
    except BadMessage:
        return ""


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
