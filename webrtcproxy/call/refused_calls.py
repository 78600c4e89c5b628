"""RefusedCalls: the records of attempts that never became a call: refused by a check, a limit or a challenge, or
cancelled while a login or a directory was waited for."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

from webrtcproxy.dialog.call_record import CallRecord, EndedBy
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.record_file import RecordFile
from webrtcproxy.runtime.bounded import BoundedDict
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow


class RefusedCalls:
    """Writes one record for each INVITE outside of dialogs that gets a final response and has no call.

    They are in the file of records only: the log and the metrics have refusals in forms of their own, which no flood
    can fill.

    :param context: the shared objects of the process.
    """

    REMEMBERED: ClassVar[int] = 4096
    """Most refusals without a transaction that are remembered, so that a repeated INVITE has no second record."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._seen: BoundedDict[tuple[str, str], None] = BoundedDict(self.REMEMBERED)

    def arrived(self, transaction: ServerTransaction) -> None:
        """An INVITE outside of dialogs has arrived: where it gets its final response before it has a call, that is an
        attempt. A call takes `ServerTransaction.on_final` away."""
        file = self._context.record_file
        if file is None:
            return
        request, flow = transaction.request, transaction.flow
        if request.headers.has_any(_CREDENTIALS):
            file.repeated(request.call_id, flow.peer.host)
        started = self._context.clock.seconds()

        def refused(answered: ServerTransaction, status: int, reason: str) -> None:
            self._write(file, request, answered.flow, status, reason, started, answered.callee)

        transaction.on_final = refused

    def refused(self, request: Request, flow: Flow, status: int, reason: str) -> None:
        """An INVITE was refused without a transaction: a malformed one, a loop, or one too many."""
        file = self._context.record_file
        if file is None:
            return
        with suppress(BadMessage):
            if request.to.tag is not None:
                return
        key = request.headers.first("Via") or "", flow.peer.host
        if key not in self._seen:
            self._seen[key] = None
            self._write(file, request, flow, status, reason, self._context.clock.seconds(), "")

    def _write(
        self, file: RecordFile, request: Request, flow: Flow, status: int, reason: str, started: float, callee: str
    ) -> None:
        context, host = self._context, flow.peer.host
        meter = context.meter_of(flow)
        record = CallRecord(meter, request.log_id, "", request.uri, host, started)
        record.status, record.reason, record.ended = status, reason, context.clock.seconds()
        record.ended_by = EndedBy.CANCEL if status == 487 else EndedBy.REFUSED
        with suppress(BadMessage):
            record.caller = request.from_.uri
            if meter.direction == "outbound":
                record.user = context.payer_of(request, flow).aor or ""
            else:
                trunk = context.sources.trunk_of(request, host, callee)
                record.trunk = "" if trunk is None else trunk.name
        file.add(record)


_CREDENTIALS = frozenset({"Authorization", "Proxy-Authorization"})
