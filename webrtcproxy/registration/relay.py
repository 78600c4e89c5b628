"""RegistrationRelay: what all REGISTERs that are forwarded to upstream registrars share: the bindings, the way there,
who has to wait."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.access.login_queue import LoginQueue
from webrtcproxy.access.open_challenges import OpenChallenges
from webrtcproxy.registration.directory import IDirectory
from webrtcproxy.registration.location import ILocation
from webrtcproxy.routing.sequence import RequestSequences
from webrtcproxy.routing.upstream import Upstream
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transport.flow import Flow


class RegistrationRelay:
    """What `RegisterTransaction`s share.

    :param transactions: sends the requests.
    :param directory: keeps the bindings of all browsers.
    :param location: the browsers of this process.
    :param upstream: finds the next hops towards a registrar.
    :param sequences: keep Call-ID and CSeq upstream over challenges and refreshes.
    :param clock: for the time.
    :param multiple: whether all browsers of a user are kept; the same as `location` has it.
    :param guard: delays logins after failed ones.
    :param metrics: counts the answers.
    :param contact_hostport: returns the host:port at which the registrar on a flow reaches the proxy. All processes of
        the proxy return the same: a registrar that saw a Contact of each process would fork to all of them.
    """

    def __init__(
        self,
        transactions: Transactions,
        directory: IDirectory,
        location: ILocation,
        upstream: Upstream,
        sequences: RequestSequences,
        clock: IReactorTime,
        multiple: bool,
        guard: LoginGuard,
        metrics: Metrics | None = None,
        contact_hostport: Callable[[Flow], str] = lambda flow: flow.sent_by,
    ) -> None:
        self.transactions = transactions
        self.directory = directory
        self.location = location
        self.upstream = upstream
        self.sequences = sequences
        self.clock = clock
        self.multiple = multiple
        self.guard = guard
        self.logins = LoginQueue(guard)
        self.challenges = OpenChallenges(guard, transactions.schedule)
        self.metrics = metrics or Metrics()
        self.contact_hostport = contact_hostport
        self._registers = 0

    def next_id(self) -> int:
        """A number that identifies a REGISTER in the directory."""
        self._registers += 1
        return self._registers
