"""Builders of SIP messages for the tests of every layer. What they give has been read from bytes, as on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from webrtcproxy.sip.headers import Via
from webrtcproxy.sip.message import Request, Response, read, respond

_numbers = count(1)

HeaderList = Iterable[tuple[str, str]]


def wire(text: str) -> bytes:
    """The octets of a message written with bare line ends; the empty line is added where it is missing."""
    head, gap, body = text.lstrip("\n").partition("\n\n")
    lines = head.rstrip("\n").replace("\n", "\r\n") + "\r\n\r\n"
    return (lines + (body.replace("\n", "\r\n") if gap else "")).encode("utf-8", "surrogateescape")


def read_request(data: bytes) -> Request:
    """`data` as a request."""
    message = read(data)
    assert isinstance(message, Request), message
    return message


def read_response(data: bytes) -> Response:
    """`data` as a response."""
    message = read(data)
    assert isinstance(message, Response), message
    return message


def request(
    method: str = "OPTIONS",
    uri: str = "sip:bob@example.com",
    *,
    branch: str | None = None,
    transport: str = "UDP",
    sent_by: str = "198.51.100.1:5060",
    via: str | None = None,
    from_: str = "<sip:alice@example.com>",
    from_tag: str = "alice-tag",
    to: str = "<sip:bob@example.com>",
    to_tag: str = "",
    call_id: str | None = None,
    cseq: int = 1,
    max_forwards: int = 70,
    contact: str | None = None,
    headers: HeaderList = (),
    body: bytes = b"",
    content_type: str = "application/sdp",
) -> Request:
    """A request as our peer sends it.

    :param branch: of the Via; a fresh one where it is None.
    :param via: the whole value of the Via, in place of `transport`, `sent_by` and `branch`.
    :param call_id: a fresh one where it is None.
    :param contact: the whole value; an INVITE has one by itself.
    :param headers: more headers, after the others.
    """
    number = next(_numbers)
    if via is None:
        via = f"SIP/2.0/{transport} {sent_by};branch={branch or f'z9hG4bK-test-{number}'}"
    if contact is None and method in ("INVITE", "REGISTER", "SUBSCRIBE", "UPDATE"):
        contact = f"<sip:alice@{sent_by}>"
    made = Request(method, uri, body=body)
    made.headers.add("Via", via)
    made.headers.add("Max-Forwards", str(max_forwards))
    made.headers.add("From", f"{from_};tag={from_tag}" if from_tag else from_)
    made.headers.add("To", f"{to};tag={to_tag}" if to_tag else to)
    made.headers.add("Call-ID", call_id or f"call-{number}@test")
    made.headers.add("CSeq", f"{cseq} {method}")
    if contact:
        made.headers.add("Contact", contact)
    for name, value in headers:
        made.headers.add(name, value)
    if body:
        made.headers.add("Content-Type", content_type)
    return read_request(made.to_bytes())


def ours(method: str = "OPTIONS", uri: str = "sip:bob@example.com", **more: object) -> Request:
    """A request as the layers above hand it to `Transactions.request`: without a Via. The keywords are `request`'s."""
    made = request(method, uri, **more)  # type: ignore[arg-type]
    made.headers.remove("Via")
    return made


def response(
    to: Request,
    status: int,
    reason: str = "",
    *,
    to_tag: str = "bob-tag",
    contact: str | None = None,
    headers: HeaderList = (),
    body: bytes = b"",
    content_type: str = "application/sdp",
) -> Response:
    """The response of a peer to a request that we sent.

    :param to_tag: the peer's tag, in place wherever To has none and the status is above 100.
    :param contact: the whole value of a Contact.
    """
    more = list(headers)
    if contact:
        more.append(("Contact", contact))
    if body:
        more.append(("Content-Type", content_type))
    return read_response(respond(to, status, reason, to_tag=to_tag, headers=more, body=body).to_bytes())


def ack(invite: Request, answer: Response, *, branch: str | None = None, cseq: int | None = None) -> Request:
    """The ACK that the sender of `invite` sends for `answer`: for a 2xx with a branch of its own, else with the
    INVITE's (RFC 3261 sections 13.2.2.4 and 17.1.1.3).

    :param branch: this branch instead.
    """
    if branch is None:
        branch = None if answer.status < 300 else invite.via.branch
    number = invite.cseq.number if cseq is None else cseq
    return _follower(invite, "ACK", number, branch, answer.headers.get("To") or "")


def cancel(invite: Request, *, branch: str | None = None, headers: HeaderList = ()) -> Request:
    """The CANCEL that the sender of `invite` sends (RFC 3261 section 9.1)."""
    to = invite.headers.get("To") or ""
    return _follower(invite, "CANCEL", invite.cseq.number, branch or invite.via.branch, to, headers)


def twin(like: Request, *, via: str | None = None, uri: str | None = None, method: str | None = None) -> Request:
    """The same request once more, with other parts.

    :param via: in place of the top one.
    """
    made = Request(method or like.method, uri or like.uri, like.headers.copy(), like.body)
    if via is not None:
        made.via = Via.parse(via)
    if method is not None:
        made.headers.set("CSeq", f"{like.cseq.number} {method}")
    return read_request(made.to_bytes())


def _follower(
    invite: Request, method: str, number: int, branch: str | None, to: str, headers: HeaderList = ()
) -> Request:
    made = Request(method, invite.uri)
    via = invite.via
    made.headers.add("Via", str(via.with_param("branch", branch or f"z9hG4bK-test-{next(_numbers)}")))
    made.headers.add("Max-Forwards", "70")
    for route in invite.headers.lines("Route"):
        made.headers.add("Route", route)
    made.headers.add("From", invite.headers.get("From") or "")
    made.headers.add("To", to)
    made.headers.add("Call-ID", invite.call_id)
    made.headers.add("CSeq", f"{number} {method}")
    for name, value in headers:
        made.headers.add(name, value)
    return read_request(made.to_bytes())
