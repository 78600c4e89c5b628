"""SessionRefresher: sends the session refreshes of one call, and ends the call where a peer has vanished (RFC 4028
section 10). It also asks a trunk that sends no media any more for a sign of life.

A call has one timer, which runs until something may be due, at most half a minute. So a refresh needs no timer of its
own, and a short call only starts one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from secrets import randbelow

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from webrtcproxy.dialog.background import background
from webrtcproxy.dialog.context import CallMedia, Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.relay import ENDS_DIALOG
from webrtcproxy.runtime.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.runtime.loop_lag import HELD_UP
from webrtcproxy.runtime.schedule import Timer
from webrtcproxy.session.silence import SilenceWatch
from webrtcproxy.sip.capabilities import ALLOW

log = Logger()

ASKED_WITHIN = 32.0
"""Seconds over which calls are asked for a sign of life after the process has not run for a while."""

WAKE_STEPS = (32.0, 16.0, 8.0, 4.0, 2.0, 1.0)
"""The delays of the timer in seconds; only a few, since the schedule keeps a queue for each."""


class SessionRefresher:
    """Watches the session timers of a call.

    :param context: the shared objects of the process.
    :param media: the media session of the call.
    :param refresh: refreshes the session of a leg by re-INVITE, and returns the status of the final response; None
        while the session is being changed. It raises Refusal where the peer can't be reached.
    :param refreshed: called with a leg whose peer has answered.
    :param dialog_terminated: called with a leg whose peer has no such dialog.
    :param expired: called with a leg whose peer has not refreshed the session, or does not respond.
    """

    def __init__(
        self,
        context: Context,
        media: CallMedia,
        refresh: Callable[[Leg], Awaitable[int | None]],
        refreshed: Callable[[Leg], None],
        dialog_terminated: Callable[[Leg], None],
        expired: Callable[[Leg], None],
    ) -> None:
        self._context = context
        self._refresh = refresh
        self._refreshed = refreshed
        self._dialog_terminated = dialog_terminated
        self._expired = expired
        self._legs: tuple[Leg, ...] = ()
        self._silence = SilenceWatch(context.clock, media, context.limits.silence)
        self._out: set[Leg] = set()
        self._timer: Timer | IDelayedCall | None = None

    def start(self, caller: Leg, callee: Leg) -> None:
        """The call is up."""
        self._legs = caller, callee
        self._timer = self._context.transactions.schedule.after(WAKE_STEPS[0], self._wake)  # nothing is due earlier

    def watch_media(self, branch: str) -> None:
        """The session is agreed.

        :param branch: the branch at rtpengine.
        """
        self._silence.branch = branch

    def stop(self) -> None:
        """The call has ended."""
        self._legs = ()
        self._refresh = _not_now
        self._refreshed = self._dialog_terminated = self._expired = _ignore
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sleep(self) -> None:
        now = self._context.clock.seconds()
        wait = min(leg.session_timer.due for leg in self._legs) - now
        nap = next((nap for nap in WAKE_STEPS if nap <= wait), WAKE_STEPS[-1])
        self._timer = self._context.transactions.schedule.after(nap, self._wake)

    def _wake(self) -> None:
        timer, self._timer = self._timer, None
        if isinstance(timer, Timer) and self._context.clock.seconds() - timer.when >= HELD_UP:
            wait = randbelow(int(ASKED_WITHIN * 1000)) / 1000
            self._timer = self._context.clock.callLater(wait, self._wake_late)
        else:
            self._check(self._act)

    def _wake_late(self) -> None:
        """The process has not run for a while. A refresh of a peer may have been lost meanwhile, so the peer is asked
        before its call is ended."""
        self._timer = None
        self._check(self._refresh_now)

    def _check(self, act: Callable[[Leg], None]) -> None:
        """Look after the legs of which something is due, and wait for the next one.

        :param act: called with each of these.
        """
        for leg in self._legs:
            due = leg.session_timer.due <= self._context.clock.seconds()
            # The first leg may have ended the call, and a transferor may hang up before the transfer is complete.
            if due and leg in self._legs and leg not in self._out and not leg.over:
                act(leg)
        for leg in self._legs:
            self._silence.check(leg, self._went_silent)
        if self._legs:
            self._sleep()

    def _act(self, leg: Leg) -> None:
        if leg.session_timer.proxy_refreshes:
            self._refresh_now(leg)
        else:
            log.info("{call}: the session was not refreshed", call=leg.dialog.call_id)
            self._expired(leg)

    def _refresh_now(self, leg: Leg) -> None:
        self._out.add(leg)
        background(self._keep_alive(leg), "A session refresh", leg.dialog.call_id)

    def _went_silent(self, leg: Leg) -> None:
        if leg in self._legs and leg not in self._out and not leg.over:
            self._out.add(leg)
            background(self._ask_for_life(leg), "The question to a silent trunk", leg.dialog.call_id)

    async def _ask_for_life(self, leg: Leg) -> None:
        """Ask a silent peer whether it is still there: every response but 408 and 481 shows that it is."""
        try:
            if leg.takes_update:
                status = (await leg.send_request("UPDATE")).status
            else:
                status = (await leg.send_request("OPTIONS")).status
            if status == 481:
                self._dialog_terminated(leg)
            elif status == 408:
                self._expired(leg)
        except (FlowLost, Refusal, TimedOut) as why:
            log.info("{call}: silent, and gone: {why!r}", why=why, call=leg.dialog.call_id)
            self._expired(leg)
        finally:
            self._out.discard(leg)

    async def _keep_alive(self, leg: Leg) -> None:
        """Refresh the session of `leg`, and act on the response.

        Every response but 408 and 481 shows that the peer is alive: a peer that wants refreshes, but refuses each of
        them, ends the call by itself.
        """
        timer, call = leg.session_timer, leg.dialog.call_id
        try:
            status = await self._send_refresh(leg)
            self._refreshed(leg)
            if status == 481:
                self._dialog_terminated(leg)
            elif status == 408:
                self._expired(leg)
            elif not 200 <= status < 300:
                log.info("{call}: no session refresh now: {status}", status=status or "it is changed", call=call)
                if not timer.postpone():
                    timer.alive()
        except (FlowLost, Refusal) as why:
            log.info("{call}: the session can't be refreshed: {why!r}", why=why, call=call)
            if not timer.postpone():
                self._expired(leg)
        except TimedOut:
            log.info("{call}: the session refresh was not answered", call=call)
            self._expired(leg)
        finally:
            self._out.discard(leg)

    async def _send_refresh(self, leg: Leg) -> int:
        """The status of the final response to a refresh; 0 where the refresh has to wait."""
        if leg.takes_update:
            return (await leg.send_request("UPDATE", (ALLOW,), own=True)).status
        if leg.session_timer.negotiated:
            return await self._refresh(leg) or 0
        status = (await leg.send_request("OPTIONS", own=True)).status
        if status in ENDS_DIALOG:
            return status
        leg.session_timer.alive()
        return 200


async def _not_now(leg: Leg) -> None:
    """Do nothing: the call has ended."""


def _ignore(leg: Leg) -> None:
    """Do nothing: the call has ended."""
