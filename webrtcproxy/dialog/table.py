"""DialogTable: the index of all dialogs by Call-ID, local tag and remote tag (RFC 3261 section 12)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from webrtcproxy.dialog.leg import Leg
from webrtcproxy.registration.binding import Binding
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.uri import Uri
from webrtcproxy.transport.flow import Flow

_NOT_IN_EARLY = frozenset({"INVITE", "PRACK", "REFER", "SUBSCRIBE"})
"""Requests that are not accepted in an early dialog without a reliable response, nor is an UPDATE with an offer: they
would change the session (RFC 3311 section 5.2), or begin something that lasts longer."""


class PendingInvite(Protocol):
    """An INVITE of the proxy without a final response."""

    def is_from_peer(self, flow: Flow) -> bool:
        """Whether a message on `flow` is from where the INVITE was sent."""

    def early(self, tag: str) -> Leg | None:
        """The leg of the early dialog that a provisional response with the To tag `tag` has created; None where no such
        response has arrived."""


class DialogTable:
    """Finds the leg that a request belongs to. A leg is removed automatically when its dialog has ended."""

    def __init__(self) -> None:
        self._legs: dict[tuple[str, str, str], Leg] = {}
        self._by_contact: dict[str, list[Leg]] = {}
        self._on: dict[Flow, list[Leg]] = {}
        self.pending_invites: dict[tuple[str, str], PendingInvite] = {}
        """The proxy's INVITEs without a final response, by Call-ID and From tag."""

    def add(self, leg: Leg) -> None:
        """Index `leg` until it is finished."""
        self._legs[leg.key] = leg
        if leg.profile.flow_bound:
            self._by_contact.setdefault(_name(leg.contact), []).append(leg)
            self._on.setdefault(leg.flow, []).append(leg)
        leg.when_finished(self._remove)

    def rename(self, leg: Leg, tag: str) -> None:
        """Change the local tag in the dialog of `leg` to `tag`: for its peer, another fork has answered."""
        del self._legs[leg.key]
        leg.dialog.rename(tag)
        self._legs[leg.key] = leg

    def find(self, request: Request) -> Leg | None:
        """The leg whose dialog `request` names with Call-ID, To tag and From tag; None for an unknown dialog.

        :raises BadMessage: one of these headers can't be read.
        """
        tag = request.to.tag
        if not tag:
            return None
        return self.get((request.call_id, tag, request.from_.tag or ""))

    def of_peer(self, flow: Flow) -> Iterable[Leg]:
        """The legs whose peer may have sent what arrives on `flow`: those of the browser there, or all of them."""
        return self._on.get(flow, ()) if flow.browser else self._legs.values()

    def get(self, key: tuple[str, str, str]) -> Leg | None:
        """The leg with this :attr:`Leg.key`."""
        return self._legs.get(key)

    def is_early(self, request: Request, flow: Flow) -> bool:
        """Whether `request` is within an early dialog of a pending INVITE, and from where that was sent.

        :raises BadMessage: one of its headers can't be read.
        """
        pending = self.pending_invites.get((request.call_id, request.to.tag or ""))
        return pending is not None and pending.is_from_peer(flow)

    def early(self, request: Request) -> Leg | None:
        """The leg of the early dialog of a pending INVITE that `request` is within. It is created on demand, so
        :meth:`find` does not know it before: most calls never need one.

        :raises BadMessage: one of its headers can't be read.
        """
        method = request.method
        if not self.pending_invites or method in _NOT_IN_EARLY or (method == "UPDATE" and request.body):
            return None
        pending = self.pending_invites.get((request.call_id, request.to.tag or ""))
        return None if pending is None else pending.early(request.from_.tag or "")

    def registered(self, binding: Binding) -> list[Leg]:
        """A browser has registered: returns its legs on another flow, which it may have lost. Those on its flow are
        from now on legs of the registered user."""
        moving = []
        for leg in self._by_contact.get(_name(binding.contact), ()):
            if leg.flow is binding.flow:
                leg.user = leg.user.with_binding(binding)
            elif binding.aor in leg.user.aors and leg.owner is not None:
                moving.append(leg)
        return moving

    def count_on(self, flow: Flow) -> int:
        """The number of dialogs of the browser on `flow`, including those that await their end."""
        return len(self._on.get(flow, ()))

    def move(self, leg: Leg, flow: Flow) -> None:
        """The browser of `leg` is now reached on another connection."""
        self._leave(leg)
        leg.flow = flow
        self._on.setdefault(flow, []).append(leg)

    def _leave(self, leg: Leg) -> None:
        """The leg is no longer on its flow."""
        there = self._on.get(leg.flow, [])
        if leg in there:
            there.remove(leg)
            if not there:
                del self._on[leg.flow]

    def _remove(self, leg: Leg) -> None:
        if self._legs.get(leg.key) is leg:
            del self._legs[leg.key]
        name = _name(leg.contact)
        there = self._by_contact.get(name, [])
        if leg in there:
            there.remove(leg)
            self._leave(leg)
            if not there:
                del self._by_contact[name]

    def __len__(self) -> int:
        return len(self._legs)


def _name(contact: str) -> str:
    """User and host of a Contact. Its parameters are left out: JsSIP has ``;ob`` in INVITE and not in REGISTER."""
    return Uri.parse(contact).aor
