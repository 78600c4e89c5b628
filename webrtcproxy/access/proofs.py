"""Proofs: what the browser on each flow has proven, and to whom. The only place that is asked.

A browser proves an address-of-record (AOR) to a trunk when the trunk's registrar challenges its REGISTER and accepts
credentials that the browser made itself; a registrar that accepts anybody proves nothing. It proves one to a domain
that is served here by a digest or a token. A proof belongs to the flow, and ends with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.access.caller import STRANGER, Authority, Caller
from webrtcproxy.sip.authentication import Credentials, readable_challenges
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transport.flow import Flow
from webrtcproxy.users.user import User

MAX_CHALLENGES = 8
"""Challenges to one browser that are remembered until it answers."""

_CREDENTIALS = ("Authorization", "Proxy-Authorization")


@dataclass(frozen=True, slots=True)
class Proof:
    """One proven address-of-record.

    :ivar authority: to whom.
    :ivar until: seconds of the clock.
    :ivar user: the user, where the authority is a domain that is served here.
    :ivar lasting: it was proven for the connection and not by a REGISTER: an un-REGISTER does not end it.
    """

    authority: Authority
    until: float
    user: User | None
    lasting: bool


class _FlowProofs:
    """What concerns one flow.

    :ivar forget: ends the notification of its loss.
    :ivar by_aor: the proofs.
    :ivar challenges: authority, AOR and nonce of challenges that the browser may answer.
    :ivar callers: what `Proofs.caller` has found, by the AOR that was claimed, where that is proven; and until when it
        is so, if nothing changes.
    """

    __slots__ = ("by_aor", "callers", "callers_until", "challenges", "forget")

    def __init__(self, forget: Callable[[], None]) -> None:
        self.forget = forget
        self.by_aor: dict[str, Proof] = {}
        self.challenges: deque[tuple[Authority, str, str]] = deque(maxlen=MAX_CHALLENGES)
        self.callers: dict[str | None, Caller] = {}
        self.callers_until = 0.0


class Proofs:
    """The proofs of all flows of this process. Its size is bounded by the flows, and by the bound of AORs per flow
    (`ILocation.check`).

    :param clock: for the time.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._flows: dict[Flow, _FlowProofs] = {}

    def __len__(self) -> int:
        """The number of flows that something is known of."""
        return len(self._flows)

    # Queries

    def aors(self, flow: Flow) -> list[str]:
        """The AORs that the browser on `flow` has proven, to whomever."""
        known = self._flows.get(flow)
        if known is None:
            return []
        now = self._clock.seconds()
        return [aor for aor, proof in known.by_aor.items() if proof.until > now]

    def count(self, flow: Flow) -> int:
        """How many AORs the browser on `flow` has proven, with those that are no longer valid but not yet removed."""
        known = self._flows.get(flow)
        return 0 if known is None else len(known.by_aor)

    def any(self, flow: Flow) -> bool:
        """Whether the browser on `flow` has proven any AOR to anybody."""
        return flow in self._flows and bool(self.aors(flow))

    def has(self, flow: Flow, aor: str, authority: Authority) -> bool:
        """Whether the browser on `flow` has proven this AOR to this authority."""
        known = self._flows.get(flow)
        proof = None if known is None else known.by_aor.get(aor)
        return proof is not None and proof.authority == authority and proof.until > self._clock.seconds()

    def caller(self, flow: Flow, aor: str | None = None) -> Caller:
        """The caller of a request.

        :param flow: of the request.
        :param aor: the AOR that it claims in From, which counts where it is proven; None for the one that the browser
            has proven first.
        """
        known = self._flows.get(flow)
        if known is None:
            return STRANGER
        now = self._clock.seconds()
        if now >= known.callers_until:
            known.callers.clear()
        caller = known.callers.get(aor)
        if caller is None:
            caller = self._caller(known, aor, now)
        return caller

    def _caller(self, known: _FlowProofs, claimed: str | None, now: float) -> Caller:
        valid = {name: proof for name, proof in known.by_aor.items() if proof.until > now}
        authorities = frozenset(proof.authority for proof in valid.values())
        aor = next(iter(valid), None) if claimed is None else claimed
        proof = valid.get(aor) if aor else None
        if proof is None:
            return Caller(None, authorities)
        caller = known.callers[claimed] = Caller(aor, authorities, proof.user)
        known.callers_until = min(each.until for each in valid.values())
        return caller

    def user(self, flow: Flow, aor: str) -> User | None:
        """The user with this AOR on a flow, as it is now, also where the time of the proof is just over; None where
        there is none."""
        known = self._flows.get(flow)
        proof = None if known is None else known.by_aor.get(aor)
        return None if proof is None else proof.user

    def lasting(self, flow: Flow, aor: str, authority: Authority) -> User | None:
        """The user whose login for the whole connection has proven this AOR; None where there was none."""
        known = self._flows.get(flow)
        proof = None if known is None else known.by_aor.get(aor)
        if proof is None or not proof.lasting or proof.authority != authority or proof.until <= self._clock.seconds():
            return None
        return proof.user

    # Changes

    def add(
        self,
        flow: Flow,
        aor: str,
        authority: Authority,
        seconds: float,
        user: User | None = None,
        lasting: bool = False,
    ) -> None:
        """The browser on `flow` has proven `aor` to `authority`, for so many seconds; a closed flow proves nothing."""
        if flow.closed:
            return
        known = self._known(flow)
        known.callers.clear()
        known.by_aor[aor] = Proof(authority, self._clock.seconds() + seconds, user, lasting)

    def remove(self, flow: Flow, aor: str) -> None:
        """The browser on `flow` has un-registered `aor`. A lasting proof stays."""
        known = self._flows.get(flow)
        proof = None if known is None else known.by_aor.get(aor)
        if known is not None and proof is not None and not proof.lasting:
            del known.by_aor[aor]
            known.callers.clear()
            if not known.by_aor and not known.challenges:
                self._drop(flow)

    def replace_user(self, aor: str, user: User | None) -> list[tuple[User, User | None]]:
        """The user with this AOR has changed; or it is gone: what browsers have proven as this user ends.

        :param user: as its line in the users file is now (`User.changed_to`); None where it is gone.
        :returns: for each browser that is logged in as this user, who it was before, and who it is now.
        """
        changes: list[tuple[User, User | None]] = []
        for flow, known in tuple(self._flows.items()):
            proof = known.by_aor.get(aor)
            if proof is None or proof.user is None:
                continue
            known.callers.clear()
            if user is not None:
                changed = proof.user.changed_to(user)
                known.by_aor[aor] = Proof(proof.authority, proof.until, changed, proof.lasting)
                changes.append((proof.user, changed))
                continue
            changes.append((proof.user, None))
            del known.by_aor[aor]
            if not known.by_aor and not known.challenges:
                self._drop(flow)
        return changes

    def renew_users(self, renewed: Callable[[User], User]) -> list[tuple[User, User]]:
        """Something that belongs to users has changed.

        :param renewed: returns a user as it is now.
        :returns: for each browser with a user who is another now, who it was before, and who it is now.
        """
        changes: list[tuple[User, User]] = []
        for known in self._flows.values():
            for aor, proof in known.by_aor.items():
                before = proof.user
                now = None if before is None else renewed(before)
                if before is not None and now is not None and now != before:
                    known.by_aor[aor] = Proof(proof.authority, proof.until, now, proof.lasting)
                    known.callers.clear()
                    changes.append((before, now))
        return changes

    def challenged(self, flow: Flow, aor: str, authority: Authority, nonces: Iterable[str]) -> None:
        """A challenge of `authority` to a REGISTER for `aor` goes to the browser on `flow`, with these nonces."""
        if flow.closed:
            return
        known = self._known(flow)
        for nonce in nonces:
            known.challenges.append((authority, aor, nonce))

    def accepted(self, flow: Flow, register: Request, aor: str, authority: Authority, seconds: float) -> None:
        """The registrar of `authority` has accepted the browser's REGISTER for `aor`, and no credentials of the proxy
        were used. That is a proof where the browser had one before, or where the REGISTER answers a challenge that
        was sent to it: a registrar that challenges nobody proves nothing, whatever credentials it is sent.

        :param register: as the browser has sent it.
        """
        known = self._flows.get(flow)
        if known is None:
            return
        if self.has(flow, aor, authority):
            self.add(flow, aor, authority, seconds)
            return
        for nonce in nonces_of(register):
            if (authority, aor, nonce) in known.challenges:
                self.add(flow, aor, authority, seconds)
                return

    def stop(self) -> None:
        """Forget everything: the proxy is stopping."""
        for known in self._flows.values():
            known.forget()
        self._flows.clear()

    def _known(self, flow: Flow) -> _FlowProofs:
        known = self._flows.get(flow)
        if known is None:
            known = self._flows[flow] = _FlowProofs(flow.on_lost(lambda: self._lost(flow)))
        return known

    def _lost(self, flow: Flow) -> None:
        self._flows.pop(flow, None)

    def _drop(self, flow: Flow) -> None:
        self._flows.pop(flow).forget()


def nonces_of(request: Request) -> list[str]:
    """The nonces of the credentials in a request; of those that can be read."""
    nonces = []
    for name in _CREDENTIALS:
        for line in request.headers.lines(name):
            try:
                nonce = Credentials.parse(line).params.get("nonce")
            except BadMessage:
                continue
            if nonce:
                nonces.append(nonce)
    return nonces


def nonces_offered(response: Response) -> list[str]:
    """The nonces of the challenges in a response; of those that can be read."""
    lines = [line for name in ("WWW-Authenticate", "Proxy-Authenticate") for line in response.headers.lines(name)]
    return [nonce for challenge in readable_challenges(lines) if (nonce := challenge.params.get("nonce"))]
