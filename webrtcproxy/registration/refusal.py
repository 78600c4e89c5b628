"""The response to a REGISTER that the proxy refuses by itself."""

from __future__ import annotations

from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.registration.request import registration_result
from webrtcproxy.runtime.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.transaction.server import ServerTransaction

log = Logger()


def refuse_register(transaction: ServerTransaction, failure: Failure, metrics: Metrics) -> None:
    """Answer a REGISTER that has failed here, not at the registrar.

    :param failure: a Refusal, or what else went wrong.
    """
    why, call_id = failure.value, transaction.request.log_id
    if isinstance(why, FlowLost):
        why = Refusal(502, "Registrar Unreachable")
    elif isinstance(why, TimedOut):
        why = Refusal(504, "Registrar Not Responding")
    elif isinstance(why, BadMessage):
        why = Refusal(why.status, why.why)
    if not isinstance(why, Refusal):
        log.failure("{call}: REGISTER could not be carried out", failure, call=call_id)
        transaction.reply(500)
        return
    result = registration_result(why.status)
    if result != "challenged":
        log.info("{call}: REGISTER is refused: {why}", why=why, call=call_id)
    metrics.registered(result)
    transaction.reply(why.status, why.reason, why.headers)
