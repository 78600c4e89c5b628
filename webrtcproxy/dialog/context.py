"""Context: the objects that all calls of a process share, and the interfaces of its media."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from webrtcproxy.access.caller import Caller
from webrtcproxy.access.control import AccessControl
from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.access.identity import check_referred_by, identify, payer
from webrtcproxy.access.proofs import Proofs
from webrtcproxy.access.scanners import Scanners
from webrtcproxy.config import CallsConfig, Trunk
from webrtcproxy.dialog.call_record import CdrWriter
from webrtcproxy.dialog.record_file import RecordFile
from webrtcproxy.dialog.referred import Referrers, ReplacesGrants
from webrtcproxy.media.placement import OnLoss
from webrtcproxy.media.profile import Profile
from webrtcproxy.registration.directory import IDirectory
from webrtcproxy.registration.location import ILocation
from webrtcproxy.routing.admission import UNREGISTERED, BrowserUser
from webrtcproxy.routing.peer_profile import BROWSER_PEER, PeerProfile
from webrtcproxy.routing.policy import Policy, account_of
from webrtcproxy.routing.sequence import RequestSequences
from webrtcproxy.routing.sources import Sources
from webrtcproxy.routing.upstream import Upstream
from webrtcproxy.runtime.ids import random_token
from webrtcproxy.runtime.metrics import CallMeter, Metrics
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.uri import Uri
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow
from webrtcproxy.users.called_numbers import CalledNumbers
from webrtcproxy.users.domains import Domains


class CallMedia(Protocol):
    """The media session of one call, as :class:`webrtcproxy.media.session.MediaSession` gives it."""

    def offer(self, sdp: bytes, *, from_tag: str, branch: str, to: Profile) -> Deferred[bytes]:
        """Fires with the offer for the other leg; fails with an NgError."""

    def answer(self, sdp: bytes, *, from_tag: str, to_tag: str, branch: str, to: Profile) -> Deferred[bytes]:
        """Fires with the answer for the offerer; fails with an NgError."""

    def play(self, digit: str, duration: int, *, from_tag: str, branch: str) -> Deferred[None]:
        """Fires with None when a digit of that party is being played; fails with an NgError."""

    def packets(self, *, from_tag: str, branch: str) -> Deferred[int]:
        """Fires with the number of packets that have come from that party so far; fails with an NgError."""

    @property
    def loses_digits(self) -> bool:
        """Whether digits that are played may be lost."""

    def drop(self, branch: str) -> None:
        """Remove one branch that was not answered."""

    def watch(self, lost: OnLoss) -> None:
        """Have `lost` called if rtpengine loses the session; with `Loss.NODE` it goes on at another node, and both
        parties are to be offered it again."""

    def delete(self) -> Deferred[None]:
        """Delete the session at rtpengine. Fires with None; never fails."""


class MediaPool(Protocol):
    """Creates the media session of each call."""

    def session(self, call_id: str) -> CallMedia:
        """A new session; nothing is allocated before its first offer."""


@dataclass(frozen=True, slots=True)
class Context:
    """The objects that all calls of a process share."""

    clock: IReactorTime
    transactions: Transactions
    nodes: MediaPool
    upstream: Upstream
    sources: Sources
    policy: Policy
    access: AccessControl
    directory: IDirectory
    location: ILocation
    sequences: RequestSequences
    limits: CallsConfig
    grants: ReplacesGrants
    referrers: Referrers
    cdr_writer: CdrWriter
    guard: LoginGuard
    scanners: Scanners
    domains: Domains = field(default_factory=Domains)
    called_numbers: CalledNumbers = field(default_factory=CalledNumbers)
    metrics: Metrics = field(default_factory=Metrics)
    record_file: RecordFile | None = None
    """The file of records; None where there is none."""
    worker_prefix: str = ""
    """The beginning of the proxy's tags, and of the user part of its Contact in a dialog: names the process where there
    are several."""

    @property
    def proofs(self) -> Proofs:
        """What the browsers of this process have proven."""
        return self.location.proofs

    def new_token(self) -> str:
        """A tag, or the user part of a Contact, for a dialog of this process."""
        return self.worker_prefix + random_token(8)

    def caller_of(self, request: Request, flow: Flow) -> Caller:
        """On whose behalf a browser has sent a request, as far as that is proven.

        :raises Refusal: 403 where From is another's.
        :raises BadMessage: From can't be read.
        """
        return identify(self.location.proofs, flow, request, replace=self.policy.replaces_foreign_from)

    def payer_of(self, request: Request, flow: Flow) -> Caller:
        """Whose limits and rules a browser's request counts for: see `identity.payer`.

        :raises BadMessage: From can't be read.
        """
        return payer(self.location.proofs, flow, request)

    def check_referrer(self, request: Request, flow: Flow, user: BrowserUser = UNREGISTERED) -> None:
        """Let a browser's request name nobody in Referred-By but its user, or who has referred it (`Referrers`). Where
        `[calls] limit-unregistered` lets browsers call that have proven nothing, they may name anybody.

        :param user: of the dialog that the request is within.
        :raises Refusal: 403 where another one is named, unless `[access] foreign-from` has that mended.
        """
        if not flow.browser or "Referred-By" not in request.headers:
            return
        aors = [*self.proofs.aors(flow), *user.aors]
        own = user.aor or self.payer_of(request, flow).aor
        if own is not None:
            aors.insert(0, own)
        if aors or not self.policy.lets_unregistered:
            replace = self.policy.replaces_foreign_from or request.method == "BYE"  # the call ends in any case
            check_referred_by(self.proofs, flow, request, aors, self.referrers.of(flow, aors), replace=replace)

    def add_service_route(self, sent: Request, flow: Flow, trunk: Trunk | None, caller: Caller, written: Uri) -> None:
        """Add the Route that a trunk's registrar has given to a request of a browser that is about to be sent there,
        outside of dialogs (RFC 3608 section 6.1).

        :param flow: of the browser for which it is sent.
        :param trunk: where it goes; None where that is no trunk.
        :param caller: on whose behalf it is sent, as far as that is proven.
        :param written: the browser's own address, which counts where it has proven none.
        """
        account = account_of(trunk, caller)
        aor = (written.aor if caller.aor is None else caller.aor) if account is None else account.aor
        for value in self.location.service_routes.of(flow, aor, trunk):
            sent.headers.add("Route", value)

    def meter_of(self, flow: Flow) -> CallMeter:
        """Counts the calls of the direction of a caller on `flow`."""
        return self.metrics.outbound if flow.browser else self.metrics.inbound

    def profile_of(self, transaction: ServerTransaction) -> PeerProfile:
        """The profile of the sender of an out-of-dialog request."""
        flow = transaction.flow
        return (
            BROWSER_PEER
            if flow.browser
            else self.policy.profile(self.sources.trunk_of(transaction.request, flow.peer.host, transaction.callee))
        )
