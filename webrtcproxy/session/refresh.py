"""Refresh: a re-INVITE of ours that changes nothing, for a peer that takes no UPDATE (RFC 4028 section 7.4)."""

from __future__ import annotations

from twisted.logger import Logger

from webrtcproxy.dialog.leg import HeaderList, Leg
from webrtcproxy.dialog.relay import NON_INVITE_DEADLINE
from webrtcproxy.routing.failover import ClientRequest
from webrtcproxy.runtime.errors import NgError
from webrtcproxy.session.description import NegotiationContext
from webrtcproxy.sip.body import sdp_of
from webrtcproxy.sip.capabilities import ALLOW
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.sip.sdp.questions import same_session
from webrtcproxy.sip.sdp.rewriting import as_offer

log = Logger()


class Refresh:
    """One refresh. It offers what the peer was told last, with the version that it had.

    :param session: of the call.
    :param leg: whose session is refreshed.
    :param other: the other one, which hears nothing of it.
    """

    def __init__(self, session: NegotiationContext, leg: Leg, other: Leg) -> None:
        self._session = session
        self._leg = leg
        self._other = other
        self._sent: ClientRequest | None = None
        self._invite: Request | None = None  # behind its 2xx
        self._withdrawn: HeaderList | None = None

    async def run(self) -> Response:
        """Ask, and take the answer; new ports in it are rtpengine's affair alone.

        :returns: the final response.
        :raises FlowLost, TimedOut, Refusal: as `Leg.send_request`.
        """
        leg = self._leg
        await leg.confirmed()
        offer = leg.negotiation.local_description
        leg.negotiation.offer_sent(offer)
        limit = self._session.context.transactions.schedule.after(NON_INVITE_DEADLINE, self._time_up)
        try:
            response = await leg.send_request("INVITE", (ALLOW,), as_offer(offer), "application/sdp", self)
            if response.status < 300:
                await self._agreed(response)
        finally:
            limit.cancel()
            leg.negotiation.rollback()
        return response

    async def _agreed(self, response: Response) -> None:
        assert self._sent is not None
        self._invite = self._sent.request
        leg = self._leg
        leg.acknowledge(self._invite)
        try:
            answer = sdp_of(response)
            if answer and not same_session(answer, leg.negotiation.remote_description) and not self._session.closed:
                await self._move_media(answer)
        except (BadMessage, NgError) as why:
            log.warn("{call}: a session refresh has an odd answer: {why!r}", why=why, call=leg.dialog.call_id)

    async def _move_media(self, answer: bytes) -> None:
        leg, other, branch, media = self._leg, self._other, self._session.branch, self._session.media
        to_leg, to_other = leg.profile.media_from(other.profile), other.profile.media_from(leg.profile)
        await media.offer(other.negotiation.remote_description, from_tag=other.party_tag, branch=branch, to=to_leg)
        await media.answer(answer, from_tag=other.party_tag, to_tag=leg.party_tag, branch=branch, to=to_other)
        leg.negotiation.answer_received(answer)

    def close(self, headers: HeaderList) -> None:
        """The call is over.

        :param headers: for the CANCEL.
        """
        self._withdrawn = headers
        if self._sent is not None:
            self._sent.cancel(headers)

    def _time_up(self) -> None:
        self.close(())

    # From the leg

    def sent(self, transaction: ClientRequest) -> None:
        """Our request is out."""
        self._sent = transaction
        if self._withdrawn is not None:
            transaction.cancel(self._withdrawn)

    def progress(self, response: Response) -> None:
        """Nobody waits for it."""

    def answered_again(self, response: Response) -> None:
        """The ACK was lost."""
        if self._invite is not None and self._invite.cseq.number == response.cseq.number:
            self._leg.acknowledge(self._invite)
