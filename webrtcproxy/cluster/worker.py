"""Worker: one of several processes that carry calls; it handles the frames from its link to the hub."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.cluster.bans import SharedBans
from webrtcproxy.cluster.directory import SharedDirectory, is_own
from webrtcproxy.cluster.link import Header, Link
from webrtcproxy.cluster.owner_router import OwnerRouter
from webrtcproxy.cluster.ownership import HUB, worker_prefix
from webrtcproxy.cluster.protocol import (
    BAN,
    CLOSE,
    DATAGRAM,
    DONE,
    DRAIN,
    FLOW_CLOSED,
    GRANT,
    HURRY,
    LOG,
    LOGIN,
    MESSAGE,
    QUERY,
    READY,
    REFERRED,
    RELOAD,
    REPLICATED,
    RESULT,
    START,
    STOP,
    WORKER_ENDED,
    WORKERS_UP,
    WRITE,
)  # fmt: skip
from webrtcproxy.cluster.referred import SharedReferrers, SharedReplacesGrants
from webrtcproxy.cluster.remote import RemoteFlows
from webrtcproxy.cluster.slot import StartOrder, WorkerSlot
from webrtcproxy.cluster.sockets import WorkerSockets
from webrtcproxy.config import Config, SipConfig
from webrtcproxy.registration.location import Location
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import read
from webrtcproxy.transport.flow import Flow, Receiver
from webrtcproxy.transport.sip.slots import Knows
from webrtcproxy.transport.sip.trunk_tls import TrunkTls

log = Logger()

LINGER = 5.0
"""Seconds that the last frames have to be sent before the process exits."""

Queries = Mapping[str, Callable[..., Any]]
"""The queries that the hub may send, by name: functions whose result is sent as JSON. Some have an argument, a text."""


class WorkerService(Protocol):
    """The services of a worker, built."""

    def privilegedStartService(self) -> None: ...

    def startService(self) -> None: ...

    def stopService(self) -> Deferred[None]: ...

    def wind_up(self) -> Deferred[None]:
        """Take no new calls, and end the existing ones. Fires with None when none is left."""

    def hurry(self) -> None:
        """End at once what the end waits for."""

    def reload(self) -> None:
        """Read certificates and other files again."""


class Build(Protocol):
    """Builds the services of a worker."""

    def __call__(self, config: Config, reactor: Any, runtime: WorkerRuntime) -> tuple[WorkerService, Queries]: ...


class WorkerRuntime:
    """The `webrtcproxy.standalone.IRuntime` of a worker: the parts of a proxy that depend on its process.

    :param reactor: the only one.
    :param slot: the identity and the sockets of this worker.
    :param link: leads to the hub.
    :ivar worker_prefix: the beginning of its branches and Contacts.
    :ivar up: the workers that take messages.
    """

    def __init__(self, reactor: Any, slot: WorkerSlot, link: Link) -> None:
        self._reactor = reactor
        self._link = link
        self.slot = slot
        self.worker_prefix = worker_prefix(slot.number)
        self.instance = slot.instance
        self.number = slot.number
        self.wss_descriptors = slot.wss
        self.up: set[int] = set()
        self.flows = RemoteFlows(reactor, slot.number, slot.run, link.send)
        self.receiver: Receiver | None = None
        self.sockets: WorkerSockets | None = None
        self._directory: SharedDirectory | None = None
        self._grants: SharedReplacesGrants | None = None
        self._referrers: SharedReferrers | None = None
        self._bans: SharedBans | None = None

    def bindings(self, multiple: bool) -> tuple[Location, SharedDirectory]:
        """The bindings that this process knows, and the directory of all workers."""
        location = Location(self._reactor, multiple, is_own)
        self._directory = SharedDirectory(self._reactor, self.slot.number, location, self.flows, self._link.send)
        return location, self._directory

    def replaces_grants(self) -> SharedReplacesGrants:
        """The grants to replace a dialog."""
        self._grants = SharedReplacesGrants(self._reactor, self.flows, self._link.send)
        return self._grants

    def referrers(self) -> SharedReferrers:
        """Who has referred whom."""
        self._referrers = SharedReferrers(self._reactor, self.flows, self._link.send)
        return self._referrers

    def share_bans(self, guard: LoginGuard) -> None:
        """Share bans and logins with the other workers."""
        self._bans = SharedBans(guard, self._link.send)

    def receiver_for(self, transactions: Receiver) -> Receiver:
        """The receiver for the sockets; it forwards messages that another worker owns."""
        self.receiver = transactions
        return OwnerRouter(self.slot.number, transactions, self.flows, self._link.send, self.up.__contains__)

    def sip_sockets(
        self, receiver: Receiver, sip: SipConfig, trunk_tls: TrunkTls, knows: Knows, metrics: Metrics
    ) -> WorkerSockets:
        """The SIP sockets."""
        self.sockets = WorkerSockets(
            self._reactor,
            receiver,
            sip.listen,
            own=list(self.slot.sip),
            shared=self.slot.shared,
            advertise=sip.advertise,
            trunk_tls=trunk_tls,
            client_ca=sip.client_ca,
            knows=knows,
            metrics=metrics,
        )
        return self.sockets

    def contact_hostport(self, flow: Flow) -> str:
        """host:port at which the registrar on a flow reaches all workers."""
        return flow.sent_by if self.sockets is None else self.sockets.shared_hostport(flow)

    # Frames

    def datagram(self, header: Header, body: bytes) -> None:
        """A datagram that the hub has read."""
        if self.sockets is not None:
            host, port = header["source"]
            self.sockets.datagram(header["line"], body, (host, port))

    def message(self, header: Header, body: bytes) -> None:
        """A message for this worker that another one has read."""
        assert self.receiver is not None
        flow = self.flows.flow_of(header["flow"])
        try:
            self.receiver.message_received(read(body), flow)
        except BadMessage as error:
            self.receiver.bad_message(error, flow)

    def change(self, header: Header, body: bytes) -> None:
        """A change of the directory by another worker."""
        assert self._directory is not None
        self._directory.apply(header)

    def grant(self, header: Header, body: bytes) -> None:
        """Another worker has relayed a REFER that allows a peer to replace a dialog."""
        assert self._grants is not None
        self._grants.apply(header)

    def referred(self, header: Header, body: bytes) -> None:
        """Another worker has relayed a REFER to a browser."""
        assert self._referrers is not None
        self._referrers.apply(header)

    def bans(self, header: Header, body: bytes) -> None:
        """Another worker has banned an address, or has a login of a user."""
        assert self._bans is not None
        self._bans.apply(header)

    def worker_ended(self, header: Header, body: bytes) -> None:
        """A worker has ended."""
        self.up.discard(header["worker"])
        self.flows.worker_ended(header["worker"])
        if self._directory is not None:
            self._directory.worker_ended(header["worker"])

    def workers_up(self, header: Header, body: bytes) -> None:
        """The set of workers that take messages has changed."""
        self.up.clear()
        self.up.update(header["workers"])


class Worker:
    """The user of the link: starts the services when the first frame arrives, and stops them.

    :param reactor: the only one.
    :param build: builds the services.
    :param flush: called after the last log event, while the link still exists.
    :param exited: called once when everything has ended, with the exit code.
    :ivar number: HUB until the first frame.
    """

    def __init__(self, reactor: Any, build: Build, flush: Callable[[], None], exited: Callable[[int], None]) -> None:
        self.link = Link(self)
        self.number = HUB
        self._reactor = reactor
        self._build = build
        self._flush = flush
        self._exited = exited
        self._linked = True
        self._code: int | None = None
        self._proxy: WorkerService | None = None
        self._queries: Queries = {}
        self._ending = False
        self._exit_timer: IDelayedCall | None = None
        self._handlers: dict[str, Callable[[Header, bytes], object]] = {
            START: self._start,
            QUERY: self._query,
            DRAIN: self._drain,
            STOP: self._stop,
        }

    def frame(self, header: Header, body: bytes, raw: bytes) -> None:
        """A frame from the hub, or from another worker through it."""
        self._handlers[header["do"]](header, body)

    def link_ended(self) -> None:
        """The hub has ended, and the worker ends too; or the last frames have been sent."""
        self._linked = False
        if self._code is not None:
            self._exit()
        elif not self._ending:
            log.error("The hub has ended")
            self._end(1)

    def send_log(self, events: bytes) -> None:
        """Send events to the hub's log."""
        self.link.send({"do": LOG}, events)

    def _start(self, header: Header, body: bytes) -> None:
        order: StartOrder = pickle.loads(body)  # noqa: S301  # our own data, by a private socket
        self.number = order.slot.number
        runtime = WorkerRuntime(self._reactor, order.slot, self.link)
        try:
            proxy, self._queries = self._build(order.config, self._reactor, runtime)
            self._proxy = proxy
            proxy.privilegedStartService()
            proxy.startService()
        except Exception:
            log.failure("This worker can't start")
            self._end(1)
            return
        flows = runtime.flows
        self._handlers |= {
            DATAGRAM: runtime.datagram,
            MESSAGE: runtime.message,
            **dict.fromkeys(REPLICATED, runtime.change),
            GRANT: runtime.grant,
            REFERRED: runtime.referred,
            BAN: runtime.bans,
            LOGIN: runtime.bans,
            WORKER_ENDED: runtime.worker_ended,
            WORKERS_UP: runtime.workers_up,
            HURRY: lambda header, body: proxy.hurry(),
            RELOAD: lambda header, body: proxy.reload(),
            WRITE: lambda header, body: flows.write(header["flow"], body),
            CLOSE: lambda header, body: flows.close(header["flow"], header["code"], header["reason"]),
            FLOW_CLOSED: lambda header, body: flows.closed(*header["flow"]),
        }
        self.link.send({"do": READY})

    def _query(self, header: Header, body: bytes) -> None:
        query = self._queries.get(header["what"])
        about = (header["about"],) if "about" in header else ()
        result = None if query is None else query(*about)
        self.link.send({"do": RESULT, "number": header["number"], "result": result})

    def _drain(self, header: Header, body: bytes) -> None:
        assert self._proxy is not None
        self._proxy.wind_up().addCallback(lambda _: self.link.send({"do": DONE, "what": DRAIN}))

    def _stop(self, header: Header, body: bytes) -> None:
        self._end(0)

    def _end(self, code: int) -> None:
        if self._ending:
            return
        self._ending = True
        proxy = self._proxy
        ended = maybeDeferred(proxy.stopService if proxy is not None else lambda: None)
        ended.addErrback(lambda failure: log.failure("This worker did not end well", failure))
        ended.addCallback(lambda _: self._ended(code))

    def _ended(self, code: int) -> None:
        self._code = code
        if not self._linked:
            self._exit()
            return
        self._flush()
        self.link.finish()
        self._exit_timer = self._reactor.callLater(LINGER, self._exit)

    def _exit(self) -> None:
        if self._exit_timer is not None and self._exit_timer.active():
            self._exit_timer.cancel()
        code, self._code = self._code, None
        if code is not None:
            self._exited(code)
