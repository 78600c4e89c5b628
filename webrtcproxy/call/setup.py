"""SetUp: how a call comes to be, from the caller's INVITE to the 2xx that is for him.

Every target gets an INVITE with the caller's offer as rtpengine made it for that leg; what the branches report comes
back one after the other: provisional responses cross, the first 2xx wins, the best of the refusals is the caller's.
Who interrupts it (the call) answers the caller at once; that is noticed behind every wait.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from webrtcproxy.call.background import background
from webrtcproxy.call.binding import Binding
from webrtcproxy.call.branch import Answered, Branch, Failed, Progress, Target
from webrtcproxy.call.context import Context, Media
from webrtcproxy.call.fork import Fork
from webrtcproxy.call.invite import contact_on, invite_for
from webrtcproxy.call.leg import HeaderList, Leg, Owner
from webrtcproxy.call.legs import Legs
from webrtcproxy.call.pairing import CHALLENGE_KEPT, Pair
from webrtcproxy.call.policy import ALLOW, SUPPORTED, across, order_challenges
from webrtcproxy.call.record import Record
from webrtcproxy.call.redirection import Redirection, follows, usable
from webrtcproxy.call.relay import NOT_OURS
from webrtcproxy.call.targets import FindTargets
from webrtcproxy.errors import Refusal
from webrtcproxy.sip.body import sdp_of
from webrtcproxy.sip.grammar import BadMessage
from webrtcproxy.sip.message import STAR, Headers, Response, respond
from webrtcproxy.transaction.server import ServerTransaction

log = Logger()


class SetUp:
    """The set-up of one call.

    :param context: what calls work with.
    :param legs: the index of dialogs.
    :param transaction: the caller's INVITE.
    :param caller: the leg that it came by.
    :param media: the media session of the call.
    :param record: told of the first 18x.
    :param user: user part of our Contacts in this call.
    :param owner: the call.
    :ivar callee: the leg that answered; None before the first 2xx.
    :ivar branch: name of its branch towards rtpengine; empty before.
    """

    def __init__(
        self,
        context: Context,
        legs: Legs,
        transaction: ServerTransaction,
        caller: Leg,
        media: Media,
        record: Record,
        user: str,
        owner: Owner,
    ) -> None:
        request = transaction.request
        self.callee: Leg | None = None
        self.branch = ""
        self._context = context
        self._legs = legs
        self._transaction = transaction
        self._caller = caller
        self._media = media
        self._record = record
        self._user = user
        self._owner: Owner | None = owner
        self._pair_key = ("INVITE", request.call_id, request.from_.tag or "")
        self._pair = context.pairings.take(self._pair_key)
        self._fork = Fork()
        self._early: dict[str, tuple[bytes, bytes]] = {}
        self._early_branch: Branch | None = None
        self._redirection: Redirection | None = None

    # The story

    async def run(self, find_targets: FindTargets) -> Response:
        """Bring the offer to every target, and wait for the first 2xx; provisional responses cross meanwhile.

        :returns: the 2xx for the caller; it is not sent yet.
        :raises Refusal: there is none; what the caller is to hear instead.
        :raises CancelledError: the caller has his final response.
        """
        self._caller.session_timer.check(self._transaction.request)
        offer = sdp_of(self._transaction.request)
        if not offer:
            raise Refusal(488, "", [("Warning", '399 webrtcproxy "An INVITE without an offer is not supported"')])
        for target in await find_targets():
            if self._fork.settled:
                break
            await self._try(self._branch(target))
        self._fork.complete()
        while True:
            event = await self._fork.next()
            self._check_wanted()
            if isinstance(event, Progress):
                await self._progress(event)
            elif isinstance(event, Answered):
                return await self._connect(event)
            else:
                await self._go_on(event)

    def join(self, target: Target) -> None:
        """A browser of the callee's has registered while it rings elsewhere: it rings, too.

        The same browser on another socket takes the place of what rang there before, and so does the newest where only
        that counts; who rings or has refused already is left alone.
        """
        if not self._fork.open or target.binding is None:
            return
        before = []
        for branch in self._fork.branches:
            there = branch.target.binding
            if there is not None and there.instance == target.binding.instance:
                if branch.refused or (not branch.ended and _leads_there(there, target.binding)):
                    return
                before.append(branch)
            elif not self._context.policy.multiple:
                before.append(branch)
        branch = self._branch(target)
        for old in before:
            old.cancel()
        background(self._join(branch), "An INVITE to a browser that joins in", self._record.call)

    async def _join(self, branch: Branch) -> None:
        try:
            await self._try(branch)
        except Refusal as why:
            log.warn("{call}: a browser can't join in: {why}", why=getattr(why, "why", why), call=self._record.call)
            self._fork.report(Failed(branch, 480, "", None))
        except CancelledError:
            log.debug("{call}: a browser joins in too late", call=self._record.call)

    def close(self, farewell: HeaderList) -> None:
        """The call is over: what rings is cancelled, who has answered gets a BYE.

        :param farewell: for CANCEL and BYE.
        """
        answered = self._fork.answered
        if answered is not None and answered.leg.owner is self._owner:
            answered.leg.hang_up(farewell)
        self._fork.close(farewell)
        self._early_branch = None
        self._owner = None

    def _branch(self, target: Target) -> Branch:
        assert self._owner is not None
        branch = Branch(self._context, self._legs, self._owner, target, self._fork.report)
        self._fork.add(branch)
        return branch

    async def _try(self, branch: Branch) -> None:
        """Bring the offer to a target."""
        target, offer = branch.target, sdp_of(self._transaction.request)
        to = target.terms.profile_from(self._caller.terms)
        sdp = await self._media.offer(offer, from_tag=self._caller.label, branch=branch.id, to=to)
        self._check_wanted()
        pair = Pair() if target.flow.browser else self._pair
        source, contact = self._transaction.request, contact_on(target.flow, self._user)
        branch.invite(invite_for(source, self._caller.terms, target, pair, contact, sdp))

    async def _progress(self, event: Progress) -> None:
        """Pass a 1xx on; the SDP of an early dialog is made an answer for the caller first. Where that fails, the
        1xx crosses without: the answer that counts is the one of the 2xx."""
        response, sdp = event.response, b""
        if response.body and self._early_branch in (None, event.branch):
            try:
                sdp = await self._answer_for_caller(event.branch, response)
                self._early_branch = event.branch
            except Refusal as why:
                log.warn("{call}: no early media: {why}", why=getattr(why, "why", why), call=self._record.call)
        self._transaction.reply(response.status, response.reason, self._telling(response, event.branch, sdp), sdp)
        self._record.progress(self._context.clock.seconds())

    async def _connect(self, answered: Answered) -> Response:
        """Make the first 2xx one for the caller."""
        response, callee = answered.response, answered.leg
        self.callee, self.branch = callee, answered.branch.id
        for branch in self._fork.branches:
            if branch is not answered.branch:
                self._media.drop(branch.id)
        sdp = await self._answer_for_caller(answered.branch, response)
        self._check_wanted()
        self._caller.sdp, self._caller.told = sdp_of(self._transaction.request), sdp
        callee.sdp = self._early[answered.branch.label(response)][0]
        self._context.pairings.forget(self._pair_key)
        headers = self._telling(response, answered.branch, sdp)
        for name, value in (SUPPORTED, *self._caller.session_timer.accept(self._transaction.request)):
            headers.add(name, value)
        request, tag = self._transaction.request, self._transaction.to_tag
        return respond(request, response.status, response.reason, to_tag=tag, headers=headers, body=sdp)

    async def _go_on(self, failed: Failed) -> None:
        """Every branch was refused: try where a redirect leads, if it is followed; else that is it."""
        if self._redirection is None and follows(failed):
            context = self._context
            allowed = context.policy.credentials_for_anyone or context.location.proven(self._transaction.flow)
            self._redirection = Redirection(context, self._transaction.request, allowed)
        target = None if self._redirection is None else await self._redirection.next(failed)
        self._check_wanted()
        if target is None:
            self._fail(failed)
        else:
            self._fork.reopen(failed)
            self._early_branch = None
            await self._try(self._branch(target))

    def _fail(self, failed: Failed) -> None:
        """The caller hears the best final response, with what the far side said."""
        response = self._fork.heard(failed)
        if response is None:
            raise Refusal(failed.status, failed.reason)
        if failed.branch.credentials_refused:
            raise Refusal(502, "Trunk Refuses Our Credentials")
        headers = self._crossing(response, failed.branch)
        if 300 <= response.status < 400 and response.contacts is not STAR:
            contacts = response.headers.only({"Contact"})
            if failed.branch.terms.browser and contacts:
                contacts = usable(contacts)
                if not contacts:
                    raise Refusal(480, "Redirected To Nowhere", headers)
            headers.extend(contacts)
        if response.status in (401, 407):
            self._pair.cseq = max(self._pair.cseq, failed.branch.cseq)
            self._context.pairings.keep(self._pair_key, self._pair, CHALLENGE_KEPT)
        if response.status in NOT_OURS:
            raise Refusal(500, response.reason, headers)
        raise Refusal(response.status, response.reason, headers)

    def _check_wanted(self) -> None:
        """To be called behind every wait: an interruption has answered the caller at once, and what was waited for may
        come before the turn of the reactor in which it ends the story.

        :raises CancelledError: the caller has his final response.
        """
        if self._transaction.answered:
            raise CancelledError

    # The answer, and what stands around it

    async def _answer_for_caller(self, branch: Branch, response: Response) -> bytes:
        """The answer in `response` as the caller gets it; a 2xx without SDP stands by what the 18x said."""
        label = branch.label(response)
        known = self._early.get(label)
        try:
            answer = sdp_of(response)
        except BadMessage as error:
            raise Refusal(502, f"Upstream Sent {error.why}") from error
        if known is not None and answer in (b"", known[0]):
            return known[1]
        if not answer:
            raise Refusal(502, "Upstream Sent No Answer")
        caller = self._caller
        to = caller.terms.profile_from(branch.terms)
        sdp = await self._media.answer(answer, from_tag=caller.label, to_tag=label, branch=branch.id, to=to)
        self._early[label] = answer, sdp
        return sdp

    def _crossing(self, response: Response, branch: Branch) -> Headers:
        headers = across(response, branch.terms, self._caller.terms)
        if response.status in (401, 407):
            order_challenges(headers)
        return headers

    def _telling(self, response: Response, branch: Branch, sdp: bytes) -> Headers:
        """The headers of a response that is about the dialog with the caller."""
        headers = Headers.of(["Allow", "Contact"], [ALLOW[1], self._caller.dialog.contact])
        headers.extend(self._crossing(response, branch))
        if sdp:
            headers.add("Content-Type", "application/sdp")
        return headers


def _leads_there(one: Binding, other: Binding) -> bool:
    """Whether a browser that rings at `one` has no reason to ring at `other`: that is the same socket, or a further one
    besides the first (RFC 5626)."""
    return one.flow is other.flow or one.reg_id != other.reg_id
