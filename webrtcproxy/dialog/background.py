"""Background work: runs coroutines so that every request gets a final response and every error is logged."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.transaction.server import ServerTransaction

log = Logger()


def run_and_respond(work: Coroutine[Deferred[Any], Any, None], transaction: ServerTransaction) -> Deferred[None]:
    """Run `work`, which answers the request of `transaction`. If it raises a :class:`Refusal`, that is the response;
    any other exception is logged and answered with 500.

    :returns: a Deferred that fires with None when the work is done, and never fails.
    """
    return Deferred.fromCoroutine(work).addErrback(_refuse, transaction).addCallback(_check, transaction)


def _refuse(failure: Failure, transaction: ServerTransaction) -> None:
    error = failure.value
    if isinstance(error, Refusal):
        transaction.reply(error.status, error.reason, error.headers)
    elif isinstance(error, BadMessage):
        transaction.reply(error.status, error.why)
    else:
        log.failure(
            "{call}: {method} could not be carried",
            failure,
            method=transaction.request.method,
            call=transaction.request.log_id,
        )
        transaction.reply(500)


def _check(_: object, transaction: ServerTransaction) -> None:
    if not transaction.answered:
        log.error(
            "{call}: {method} was left without an answer",
            method=transaction.request.method,
            call=transaction.request.log_id,
        )
        transaction.reply(500)


def background(work: Coroutine[Deferred[Any], Any, object], what: str, call: str) -> None:
    """Run `work`, whose result is not used; its exception is logged.

    :param what: names the work in the log line.
    :param call: Call-ID for the log line.
    """
    Deferred.fromCoroutine(work).addErrback(
        lambda failure: log.failure("{call}: {what} failed", failure, what=what, call=call)
    )
