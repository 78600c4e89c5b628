"""Odd messages: what is likely meant, and the log lines about those that are refused, dropped, foreign or used."""

from __future__ import annotations

from twisted.logger import Logger

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transport.flow import Flow

log = Logger()


def log_refusal(request: Request, flow: Flow, error: BadMessage) -> None:
    """A request is refused."""
    peer = flow.peer.host
    log.info(
        "{call}: {method} from {peer} is refused: {why}",
        call=request.log_id,
        method=request.method,
        peer=peer,
        why=error,
    )


def log_request(request: Request, flow: Flow) -> None:
    """A request was taken as far as it can be read."""
    log.info(
        "{call}: {method} from {peer} is malformed, and taken as far as it can be read: {why}",
        call=request.log_id,
        method=request.method,
        peer=flow.peer.host,
        why=request.headers.oddities,
    )


def log_dropped(response: Response, flow: Flow) -> None:
    """A response to a request of ours can't be used."""
    log.warn(
        "{call}: {status} from {peer} is dropped, it is malformed: {why}",
        call=response.log_id,
        status=response.status or "a response",
        peer=flow.peer.host,
        why=response.headers.oddities,
    )


def log_unmatched(response: Response, flow: Flow) -> None:
    """A response to nothing. Anybody can send them, so that usually nobody reads of it."""
    log.debug(
        "{call}: {status} from {peer} is dropped, no request of ours waits for it",
        call=response.log_id,
        status=response.status,
        peer=flow.peer.host,
    )


def log_response(response: Response, flow: Flow) -> None:
    """A response was taken as far as it can be read."""
    log.warn(
        "{call}: {status} from {peer} is malformed, and taken as far as it can be read: {why}",
        call=response.log_id,
        status=response.status,
        peer=flow.peer.host,
        why=response.headers.oddities,
    )


def log_foreign(message: Request | Response, flow: Flow) -> None:
    """The sender of a message is not the peer of its transaction."""
    log.info(
        "{call}: {what} from {where} is not from the peer of its transaction",
        call=message.log_id,
        what=message.method if isinstance(message, Request) else message.status,
        where=flow.peer.host,
    )
