"""Standalone: the parts of a proxy that depend on its process, for a single process. A worker has others, by the same
protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.config import SipConfig
from webrtcproxy.dialog.referred import Referrers, ReplacesGrants
from webrtcproxy.registration.directory import IDirectory
from webrtcproxy.registration.local_directory import LocalDirectory
from webrtcproxy.registration.location import ILocation, Location
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.transport.flow import Flow, Receiver
from webrtcproxy.transport.sip.slots import Knows
from webrtcproxy.transport.sip.sockets import SipSockets
from webrtcproxy.transport.sip.trunk_tls import TrunkTls


class IRuntime(Protocol):
    """The parts of a proxy that depend on its process: a single process, or one of several workers."""

    @property
    def worker_prefix(self) -> str:
        """The beginning of its branches and of the users of its Contacts; empty for a single process."""

    @property
    def instance(self) -> str:
        """The name of its hub at rtpengine; empty for a single process, which has one of its own (`own_instance`)."""

    @property
    def number(self) -> int:
        """Its number among the workers, from 1 on; 0 for a single process."""

    @property
    def wss_descriptors(self) -> Sequence[int]:
        """Descriptors of the sockets that listen for browsers, one for each line; empty if it opens its own."""

    def receiver_for(self, transactions: Receiver) -> Receiver:
        """The receiver for the sockets, which passes messages to the transactions."""

    def sip_sockets(
        self, receiver: Receiver, sip: SipConfig, trunk_tls: TrunkTls, knows: Knows, metrics: Metrics
    ) -> SipSockets:
        """The SIP sockets."""

    def bindings(self, multiple: bool) -> tuple[ILocation, IDirectory]:
        """The bindings that this process knows, and the directory of all processes."""

    def replaces_grants(self) -> ReplacesGrants:
        """The grants to replace a dialog."""

    def referrers(self) -> Referrers:
        """Who has referred whom."""

    def share_bans(self, guard: LoginGuard) -> None:
        """Share bans and logins with the other processes."""

    def contact_hostport(self, flow: Flow) -> str:
        """host:port at which the registrar on a flow reaches the proxy, in any of its processes."""


class Standalone:
    """The runtime of a single process.

    :param reactor: the only one.
    """

    worker_prefix = ""
    instance = ""
    number = 0
    wss_descriptors: Sequence[int] = ()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def receiver_for(self, transactions: Receiver) -> Receiver:
        return transactions

    def sip_sockets(
        self, receiver: Receiver, sip: SipConfig, trunk_tls: TrunkTls, knows: Knows, metrics: Metrics
    ) -> SipSockets:
        return SipSockets(
            self._reactor,
            receiver,
            sip.listen,
            advertise=sip.advertise,
            trunk_tls=trunk_tls,
            client_ca=sip.client_ca,
            knows=knows,
            metrics=metrics,
        )

    def bindings(self, multiple: bool) -> tuple[ILocation, IDirectory]:
        location = Location(self._reactor, multiple)
        return location, LocalDirectory(self._reactor, location)

    def replaces_grants(self) -> ReplacesGrants:
        return ReplacesGrants(self._reactor)

    def referrers(self) -> Referrers:
        return Referrers(self._reactor)

    def share_bans(self, guard: LoginGuard) -> None:
        pass

    def contact_hostport(self, flow: Flow) -> str:
        return flow.sent_by
