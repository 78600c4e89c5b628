"""Reoffer: an offer of the proxy's own to a party of a call, by re-INVITE (RFC 3261 section 14, RFC 3725)."""

from __future__ import annotations

import secrets

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.routing.failover import ClientRequest
from webrtcproxy.runtime.errors import BadResponse, FlowLost, Refusal, TimedOut
from webrtcproxy.sip.body import sdp_of
from webrtcproxy.sip.capabilities import ALLOW
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Response
from webrtcproxy.transaction.deadline import NON_INVITE_DEADLINE

log = Logger()

TRIES = 3
"""How often an offer is made that meets one of the peer's (RFC 3261 section 14.1)."""


class Reoffer:
    """One offer.

    :param context: what calls work with.
    :param leg: of the party that it goes to.
    """

    def __init__(self, context: Context, leg: Leg) -> None:
        self._context = context
        self._leg = leg
        self._sent: ClientRequest | None = None
        self._withdrawn = False
        self._agreed = False

    async def run(self, sdp: bytes) -> bytes:
        """Make the offer: the answer. The ACK is sent.

        :param sdp: for this party.
        :raises Refusal: what the peer says, or what its silence means; the old session stands.
        """
        leg = self._leg
        await leg.confirmed()
        leg.negotiation.offer_sent(sdp)
        try:
            return await self._offer(sdp)
        except Refusal:
            leg.negotiation.rollback()
            raise

    async def _offer(self, sdp: bytes) -> bytes:
        leg = self._leg
        response = await self._ask(sdp)
        for _ in range(TRIES - 1):
            if response.status != 491 or self._withdrawn:
                break
            await self._wait()
            response = await self._ask(sdp)
        if response.status >= 300:
            raise Refusal(response.status, response.reason)
        self._agreed = True
        assert self._sent is not None
        leg.learn(response)
        leg.acknowledge(self._sent.request)
        try:
            leg.dialog.refresh(response)
            answer = sdp_of(response)
        except BadMessage as error:
            raise BadResponse(error.why) from error
        if not answer:
            raise BadResponse("No SDP")
        return answer

    def withdraw(self) -> None:
        """Nobody wants the answer any more; what comes all the same is acknowledged."""
        self._withdrawn = True
        if self._sent is not None:
            self._sent.cancel(())

    async def _ask(self, sdp: bytes) -> Response:
        leg = self._leg
        limit = self._context.transactions.schedule.after(NON_INVITE_DEADLINE, self.withdraw)
        try:
            return await leg.send_request("INVITE", (ALLOW,), sdp, "application/sdp", self)
        except FlowLost as why:
            raise leg.profile.unreachable() from why
        except TimedOut as silence:
            raise Refusal(408) from silence
        finally:
            limit.cancel()

    async def _wait(self) -> None:
        """Who has not made up the Call-ID waits 2 s at most, who has, longer; in between suits both (section 14.1)."""
        waited: Deferred[None] = Deferred()
        self._context.clock.callLater(1.9 + secrets.randbelow(11) / 10, waited.callback, None)
        await waited

    # As the asker

    def sent(self, transaction: ClientRequest) -> None:
        """The re-INVITE is out."""
        self._sent = transaction
        if self._withdrawn:
            transaction.cancel(())

    def progress(self, response: Response) -> None:
        """What counts is the answer in the 2xx."""

    def answered_again(self, response: Response) -> None:
        """The ACK was lost."""
        if self._agreed and self._sent is not None:
            self._leg.acknowledge(self._sent.request)
