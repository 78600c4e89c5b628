"""The key of a server transaction: how requests are matched to it (RFC 3261 section 17.2.3)."""

from __future__ import annotations

import re

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import Via
from webrtcproxy.sip.mending import elements
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.sip.uri import Uri
from webrtcproxy.transport.flow import Flow

MAGIC_COOKIE = "z9hG4bK"
"""The beginning of a branch of RFC 3261 (section 8.1.1.7)."""

BRANCH_PREFIX = MAGIC_COOKIE + "wp-"
"""The beginning of our branches; after it come the mark of the process, if there are several, and random text."""

_our_branch = re.compile(re.escape(BRANCH_PREFIX) + r"[A-Za-z0-9\-]+").findall

MergeKey = tuple[object, ...]
"""Equal for a request and a merged copy of it (section 8.2.2.2)."""

Key = tuple[object, str, int | None, str, Flow | str]
"""Equal for a request and its retransmissions: the branch of the top Via (for a peer of RFC 2543, whose branch is
meaningless, several headers), host and port of its sent-by, the method (INVITE for an ACK), and the connection. For UDP
that is the source address without the port, which a NAT may change between two retransmissions: who only knows the
branch and the sent-by of somebody else's request can't cancel, acknowledge or take the place of it."""


def key_of(request: Request, flow: Flow) -> Key:
    """The key of a request; for an ACK, that of the INVITE that it may belong to.

    :raises BadMessage: one of the headers of the key is malformed.
    """
    via = request.via
    if not has_cookie(via):
        return rfc2543_key(request, flow, request.to.tag)
    return _key(via.branch, via, request.method, flow)


def rfc2543_key(request: Request, flow: Flow, to_tag: str | None) -> Key:
    """The key of a request of RFC 2543.

    :param to_tag: of the request; that of an ACK may be missing in its INVITE.
    :raises BadMessage: one of the headers of the key is malformed.
    """
    via = request.via
    same = via.transport, via.branch, request.uri, request.from_.tag, request.call_id, request.cseq.number, to_tag
    return _key(same, via, request.method, flow)


def _key(branch: object, via: Via, method: str, flow: Flow) -> Key:
    method = "INVITE" if method == "ACK" else method
    return branch, via.host, via.port, method, flow if flow.reliable else flow.peer.host


def invite_key(key: Key) -> Key:
    """The key of the INVITE that a CANCEL with this key cancels."""
    branch, host, port, _, flow = key
    return branch, host, port, "INVITE", flow


def is_repeat(key: Key, other: Key) -> bool:
    """Whether two keys differ in the source address only: one peer with several addresses has sent both requests."""
    return key[:4] == other[:4]


def merge_key(request: Request) -> MergeKey:
    """A key that is equal for a request, a copy of it on another route (section 8.2.2.2), and its CANCEL.

    A copy with another Request-URI is a spiral.
    """
    method = "INVITE" if request.method == "CANCEL" else request.method
    return request.call_id, request.from_.tag, request.to.tag, request.cseq.number, method, request.uri


def likely_branch(response: Response) -> str:
    """The branch of ours in the top Via of a response, in whatever state the rest of it is; empty where there is
    none."""
    top = next(iter(elements(response.headers.get("Via") or "")), "")
    return next(iter(branches_of_ours(top)), "")


def branches_of_ours(line: str) -> list[str]:
    """The branches that we have made in a line of Vias, in whatever state the rest of it is."""
    return _our_branch(line)


def has_cookie(via: Via) -> bool:
    """Whether the branch is one of RFC 3261; the magic cookie alone is not (RFC 4475 section 3.2.1)."""
    branch = via.branch
    return branch is not None and len(branch) > len(MAGIC_COOKIE) and branch.startswith(MAGIC_COOKIE)


def is_sent_by(via: Via, sent_by: str) -> bool:
    """Whether a Via names us (section 18.1.2)."""
    return via.sent_by == sent_by or via.sent_by.lower() == sent_by.lower()


def is_likely_sent_by(via: Via, sent_by: str) -> bool:
    """The same, where the default port or another spelling of an IPv6 address may have been written instead."""
    scheme = "sips" if via.transport == "TLS" else "sip"
    try:
        return Uri.parse(f"{scheme}:{via.sent_by}").aor == Uri.parse(f"{scheme}:{sent_by}").aor
    except BadMessage:
        return False
