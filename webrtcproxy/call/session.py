"""CallSession: the session of a call: its media, who changes and refreshes it, and whom each side is shown.

It begins with the call; a transfer puts another media session in the place of the first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from twisted.logger import Logger

from webrtcproxy.dialog.background import background
from webrtcproxy.dialog.client import HeaderList
from webrtcproxy.dialog.context import CallMedia, Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.invite.setup import CallSetup
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.session.connected_line import ConnectedLine, introduce
from webrtcproxy.session.modifier import SessionModifier
from webrtcproxy.session.move import SideRefused
from webrtcproxy.session.refresher import SessionRefresher
from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

log = Logger()

EXCHANGE_LIMIT = 4.0
"""Seconds that the end of an exchange is waited for, before the media go to another rtpengine."""


class SessionOwner(Protocol):
    """A call as its session sees it."""

    @property
    def caller(self) -> Leg:
        """The leg of the caller."""

    @property
    def is_in_transfer(self) -> bool:
        """Whether a transfer changes the session, and nobody else may."""

    def busy(self) -> bool:
        """Whether its session is being changed, is not negotiated yet, or is already in a transfer."""

    def media_lost(self) -> None:
        """Its media are lost, and can't be had elsewhere."""

    def other(self, leg: Leg) -> Leg | None:
        """The other leg of the call; None while it has only one."""

    def is_other_fork(self, leg: Leg) -> bool:
        """Whether `leg` is an early dialog of a fork other than the one whose media the caller gets."""

    def dialog_terminated(self, leg: Leg) -> None:
        """The peer of `leg` has no such dialog any more, or does not respond."""

    def unacknowledged(self, leg: Leg) -> None:
        """The peer of `leg` sends no ACK for a 2xx."""

    def expired(self, leg: Leg) -> None:
        """The session of `leg` was not refreshed in time."""


class CallSession:
    """The session of one call.

    :param context: the shared objects of the process.
    :param call: the call.
    :param set_up: its set-up, which knows its callees.
    :param media: the media session.
    :param caller_offers: whether the caller's INVITE has an offer; else the callee makes the first one.
    :ivar media: the media session of now.
    """

    def __init__(
        self, context: Context, call: SessionOwner, set_up: CallSetup, media: CallMedia, caller_offers: bool
    ) -> None:
        self._context = context
        self._call: SessionOwner | None = call
        self._set_up = set_up
        self._offer_answer = set_up.offer_answer
        self._line = ConnectedLine(context, self)
        self._moves = False  # the sides are to be offered it again
        self._begin(call, media, caller_offers)

    def _begin(self, call: SessionOwner, media: CallMedia, caller_offers: bool) -> None:
        context = self._context
        self.media = media
        self._moves = False
        self._modifier = SessionModifier(
            context,
            media,
            call.caller,
            caller_offers,
            call.dialog_terminated,
            call.unacknowledged,
            self._offer_answer.provisionals.settled,
            self._changed,
        )
        self._refresher = SessionRefresher(
            context, media, self.refresh_session, self._line.identity_stated, call.dialog_terminated, call.expired
        )

    # Its course

    def agreed(self, branch: str) -> None:
        """Caller and callee have agreed on it, and may change it from now on.

        :param branch: name of the callee's branch at rtpengine.
        """
        self._modifier.open(branch)
        self._refresher.watch_media(branch)

    def start(self, caller: Leg, callee: Leg) -> None:
        """The call is up: refresh it from now on."""
        self._refresher.start(caller, callee)

    def complete_media(self, caller: Leg, callee: Leg, is_behind: bool = False) -> None:
        """The call is up, and each side has the answer: media without a transport get one.

        :param is_behind: whether the callee was not offered what the caller has offered last: it is now.
        """
        self._modifier.complete_media(caller, callee, is_behind)

    def replace(self, call: SessionOwner, media: CallMedia, branch: str, callee: Leg) -> None:
        """A leg of the call has been replaced.

        :param media: the media session between its legs of now; the former one is deleted.
        :param branch: its branch at rtpengine.
        :param callee: the leg of the callee.
        """
        self.media.delete()
        self._modifier.close(())
        self._refresher.stop()
        self._begin(call, media, True)
        self.agreed(branch)
        self.start(call.caller, callee)
        for leg, other in ((call.caller, callee), (callee, call.caller)):
            introduce(leg, other)
            leg.identity.fresh = leg.identity.stated is not None
            self._line.identity_stated(leg)
        self.complete_media(call.caller, callee)

    def close(self, headers: HeaderList) -> None:
        """The call has ended; its media stay until they are deleted.

        :param headers: for a CANCEL.
        """
        self._refresher.stop()
        self._modifier.close(headers)
        self._line.close()
        self._call = None

    # Events

    def arrived(self, leg: Leg, transaction: ServerTransaction) -> None:
        """The request of `transaction` offers to change the session, or refreshes it.

        :raises Refusal: as of `SessionModifier.arrived`.
        """
        call = self._call
        if call is None:
            raise Refusal(481)
        self._modifier.arrived(leg, None if call.is_other_fork(leg) else call.other(leg), transaction)
        self._line.identity_stated(leg)

    def answer_relayed(self) -> None:
        """A callee's answer is relayed, or can't be: what it has asked for meanwhile is carried out."""
        self._modifier.answer_relayed()
        self._line.resume()

    def cancelled(self, transaction: ServerTransaction, cancel: Request) -> None:
        """A CANCEL for the re-INVITE of `transaction` has arrived."""
        self._modifier.cancelled(transaction, cancel)

    def moved(self, leg: Leg, flow: Flow) -> None:
        """The peer of `leg` is now reached on another flow."""
        self._modifier.moved(leg, flow)
        self.resume()

    def resume(self) -> None:
        """Something has ended that others have waited for."""
        self._line.resume()
        self.move_if_due()

    # The loss of its rtpengine

    def move(self) -> None:
        """Its media go to another rtpengine, or are there already: offer both sides the session again, once it is
        agreed, nothing else changes it, and both can be reached."""
        self._moves = True
        self.move_if_due()
        if self._moves:
            self._context.transactions.schedule.after(EXCHANGE_LIMIT, self._hurry)

    def move_if_due(self) -> None:
        """Make the offers that `move` has put off, where that is possible now."""
        call, callee = self._call, self._offer_answer.callee
        if not self._moves or call is None or callee is None or call.busy():
            return
        if not (_is_away(call.caller) or _is_away(callee)):
            self._moves = False
            background(self._offer_again(call, callee), "The move to another rtpengine", call.caller.dialog.call_id)

    async def _offer_again(self, call: SessionOwner, callee: Leg) -> None:
        try:
            await self._modifier.move(callee)
        except SideRefused as why:
            log.warn("{call}: the media can't be moved: {why}", why=why.refusal, call=why.leg.dialog.call_id)
            if _is_away(why.leg):
                self._moves = True
            elif why.ended_dialog:
                call.dialog_terminated(why.leg)
            else:
                call.media_lost()
        except Refusal as refusal:
            if self._call is not None:
                text = getattr(refusal, "why", refusal)
                log.warn("{call}: the media can't be moved: {why}", why=text, call=call.caller.dialog.call_id)
                call.media_lost()

    def _hurry(self) -> None:
        """Give up an exchange that is in progress for too long, since the media wait for its end."""
        if self._moves and self._call is not None:
            self._modifier.withdraw(Refusal(491))

    def _changed(self) -> None:
        """It was changed, or an attempt has failed: the requests may have said who somebody is."""
        call = self._call
        assert call is not None  # `close` has cut it off
        for leg in (call.caller, self._offer_answer.callee):
            if leg is not None:
                self._line.changed(leg)
        self.resume()

    # As the connected line sees the call

    @property
    def changing(self) -> bool:
        """Whether it is being changed."""
        return self._modifier.busy

    def connected_with(self, leg: Leg) -> Sequence[Leg]:
        """The legs whose peers are connected with that of `leg`, or will be if they answer."""
        call = self._call
        assert call is not None  # the line is closed
        if leg is not call.caller:
            return [call.caller]
        callee = self._offer_answer.callee
        return self._set_up.early_dialogs() if callee is None else [callee]

    def has_dialog(self, leg: Leg) -> bool:
        """Whether the peer of `leg` knows of its dialog, which may be an early one."""
        call = self._call
        assert call is not None  # the line is closed
        return leg is not call.caller or leg.dialog.confirmed or self._offer_answer.provisionals.begun

    def dialog_terminated(self, leg: Leg) -> None:
        """The peer of `leg` has no such dialog any more, or does not respond."""
        if self._call is not None:
            self._call.dialog_terminated(leg)

    async def refresh_session(self, leg: Leg, headers: HeaderList = ()) -> int | None:
        """Refresh the session of `leg` by re-INVITE, and return the status of the final response; None while it is
        being changed.

        :param headers: further ones of the request.
        """
        call = self._call
        other = None if call is None or call.is_in_transfer else call.other(leg)
        return None if other is None else await self._modifier.refresh(leg, other, headers)


def _is_away(leg: Leg) -> bool:
    """Whether the peer is a browser that has lost its connection, and may come back."""
    return leg.profile.flow_bound and leg.flow.closed
