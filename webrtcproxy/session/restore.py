"""Restore: one side of a call is offered the agreed session, since it has another one now, or rtpengine has."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from webrtcproxy.dialog.leg import HeaderList, Leg
from webrtcproxy.dialog.relay import ENDS_DIALOG, NON_INVITE_DEADLINE
from webrtcproxy.routing.failover import ClientRequest
from webrtcproxy.runtime.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.session.description import NegotiationContext, required_sdp
from webrtcproxy.sip.capabilities import ALLOW
from webrtcproxy.sip.message import Response

log = Logger()


class Restore:
    """One offer of ours.

    :param session: of the call.
    :param to: the leg whose peer gets the offer.
    :param of: the leg whose session is offered.
    """

    def __init__(self, session: NegotiationContext, to: Leg, of: Leg) -> None:
        self._session = session
        self._to = to
        self._of = of
        self._sent: ClientRequest | None = None
        self._withdrawn: HeaderList | None = None

    async def run(self, pause: float = 0.0) -> bytes:
        """Offer, and take the answer.

        :param pause: seconds to wait before.
        :returns: what the answer is for the peer of `of`; empty where there is none, which is told in the log.
        """
        session, to, of = self._session, self._to, self._of
        media, branch = session.media, session.branch
        try:
            if pause:
                paused: Deferred[None] = Deferred()
                session.context.transactions.schedule.after(pause, lambda: paused.callback(None))
                await paused
            sdp = await media.offer(
                of.negotiation.remote_description,
                from_tag=of.party_tag,
                branch=branch,
                to=to.profile.media_from(of.profile),
            )
            if session.closed:
                return b""
            to.negotiation.offer_sent(sdp)
            answer = await self._ask(sdp)
            told = await media.answer(
                answer, from_tag=of.party_tag, to_tag=to.party_tag, branch=branch, to=of.profile.media_from(to.profile)
            )
            to.negotiation.answer_received(answer)
            return told
        except Refusal as why:
            to.negotiation.rollback()
            log.warn("{call}: the old session is not restored: {why}", why=why, call=to.dialog.call_id)
            return b""

    async def _ask(self, sdp: bytes) -> bytes:
        """The peer's answer.

        :raises Refusal: there is none.
        """
        to = self._to
        asked = to.send_request("INVITE" if to.dialog.confirmed else "UPDATE", (ALLOW,), sdp, "application/sdp", self)
        response = await self._await(asked)
        self.answered_again(response)
        return required_sdp(response)

    async def _await(self, asked: Deferred[Response]) -> Response:
        """The 2xx; where the peer has no such dialog, or says nothing, the call hears of it.

        :raises Refusal: it is none, or none came.
        """
        session, to = self._session, self._to
        patience = session.context.limits.ring if to.dialog.confirmed else NON_INVITE_DEADLINE
        limit = session.context.transactions.schedule.after(patience, self._time_up)
        try:
            response = await asked
        except FlowLost as why:
            raise to.profile.unreachable() from why
        except TimedOut as silence:
            if self._withdrawn is None:
                session.gone(to)
            raise Refusal(408) from silence
        finally:
            limit.cancel()
        if response.status in ENDS_DIALOG and self._withdrawn is None:
            session.gone(to)
        if response.status >= 300:
            raise Refusal(response.status, response.reason)
        return response

    def withdraw(self, headers: HeaderList) -> None:
        """The call is over.

        :param headers: for the CANCEL.
        """
        self._withdrawn = headers
        if self._sent is not None:
            self._sent.cancel(headers)

    def _time_up(self) -> None:
        self.withdraw(())
        if self._sent is not None and self._sent.request.method != "INVITE":
            self._session.gone(self._to)

    # What comes from outside

    def sent(self, transaction: ClientRequest) -> None:
        """Our request is out."""
        self._sent = transaction
        if self._withdrawn is not None:
            transaction.cancel(self._withdrawn)

    def progress(self, response: Response) -> None:
        """A 1xx says nothing to anybody."""

    def answered_again(self, response: Response) -> None:
        """A 2xx wants its ACK, each time."""
        if self._sent is not None and self._sent.request.method == "INVITE":
            self._to.acknowledge(self._sent.request)
