"""SessionMove: offers both sides of a call the session again, since its media have gone to another rtpengine.

Addresses, ICE credentials, keys and certificates are other ones there; what is carried, and in which direction, stays:
a call on hold is on hold after it. A browser restarts ICE and DTLS (RFC 8839 section 4.4.1.1.1, RFC 8842 section 5.5).
A side that has the session of the other rtpengine already is not asked. Firefox can't restart DTLS: its calls end.
"""

from __future__ import annotations

from twisted.logger import Logger

from webrtcproxy.dialog.client import HeaderList
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.session.description import NegotiationContext
from webrtcproxy.session.reinvite import Purpose, ReInvite
from webrtcproxy.sip.sdp.questions import restarts_dtls, same_session

log = Logger()

LIMIT = 10.0
"""Seconds that a side has to answer."""


class SideRefused(Exception):
    """One side has not agreed.

    :ivar leg: of that side.
    :ivar refusal: its response, or what stands for it.
    :ivar ended_dialog: whether it knows no such dialog, or does not respond.
    """

    def __init__(self, leg: Leg, refusal: Refusal, ended_dialog: bool) -> None:
        super().__init__(leg, refusal)
        self.leg = leg
        self.refusal = refusal
        self.ended_dialog = ended_dialog


class SessionMove:
    """The two offers.

    :param session: what the exchanges of the call share.
    :param caller: the leg that is offered the session last.
    :param callee: the leg that is offered it first.
    """

    def __init__(self, session: NegotiationContext, caller: Leg, callee: Leg) -> None:
        self._session = session
        self._caller = caller
        self._callee = callee
        self._reinvite: ReInvite | None = None
        self._withdrawn: HeaderList | None = None

    async def run(self) -> None:
        """Make the offers, one after the other.

        :raises SideRefused: one side does not take it.
        :raises Refusal: rtpengine has failed, or the call has ended.
        """
        caller, callee = self._caller, self._callee
        await self._offer(callee, caller, caller.negotiation.remote_description)
        await self._offer(caller, callee, callee.negotiation.remote_description)
        log.info("{call}: both sides have its media of now", call=self._caller.dialog.call_id)

    async def _offer(self, leg: Leg, of: Leg, described: bytes) -> None:
        """Offer a side the session of the other one, and tell rtpengine its answer.

        :param described: what the other one has said.
        """
        session, negotiation = self._session, leg.negotiation
        offer = await session.offer(described, of, leg)
        self._check_wanted()
        if same_session(offer, negotiation.local_description):
            answer = negotiation.remote_description
            await session.answer(answer, leg, of)
            return
        if not restarts_dtls(negotiation.remote_description):
            raise SideRefused(leg, Refusal(488, "No Restart Of DTLS"), False)
        reinvite = self._reinvite = ReInvite(session.context, leg, Purpose.MOVE, LIMIT)
        try:
            answer = await reinvite.offer(offer)
        except Refusal as why:
            raise SideRefused(leg, why, reinvite.ended_dialog) from why
        finally:
            self._reinvite = None
        try:
            self._check_wanted()
            await session.answer(answer, leg, of)
        except Refusal:
            negotiation.rollback()
            raise
        negotiation.answer_received(answer)
        self._check_wanted()

    def _check_wanted(self) -> None:
        """Check that the call goes on; called after every wait.

        :raises Refusal: it has ended.
        """
        if self._session.closed or self._caller.over or self._callee.over:
            raise Refusal(487)

    def withdraw(self, headers: HeaderList) -> None:
        """The call has ended: cancel what is sent.

        :param headers: for the CANCEL.
        """
        if self._reinvite is not None:
            self._reinvite.withdraw(headers)
