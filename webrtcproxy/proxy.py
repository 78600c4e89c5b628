"""Proxy: builds and connects everything that carries calls in one process, and starts and stops it in order."""

from __future__ import annotations

from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger, globalLogPublisher

from webrtcproxy.access.control import AccessControl
from webrtcproxy.access.guard import guard_of
from webrtcproxy.access.login import DigestScheme, Logins, LoginScheme
from webrtcproxy.access.nonces import FlowNonces
from webrtcproxy.access.scanners import Scanners
from webrtcproxy.admin.monitoring import bind_gauges, health
from webrtcproxy.admin.port import browsers_port, port_logins
from webrtcproxy.call.calls import Calls
from webrtcproxy.call.router import Router
from webrtcproxy.cluster.worker import Queries
from webrtcproxy.config import AUTO, SPAWN, Config
from webrtcproxy.config.instance import own_instance
from webrtcproxy.dialog.call_record import CdrWriter
from webrtcproxy.dialog.context import Context, MediaPool
from webrtcproxy.dialog.record_file import RecordFile
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.media.names import SessionNames
from webrtcproxy.media.nodes import Nodes
from webrtcproxy.media.process import RtpengineProcess
from webrtcproxy.registration.binding import contact_user_of
from webrtcproxy.registration.local_registrar import LocalRegistrar
from webrtcproxy.registration.relay import RegistrationRelay
from webrtcproxy.registration.user_changes import UserChanges
from webrtcproxy.routing.hop_health import HopHealth
from webrtcproxy.routing.options_ping import OptionsPings
from webrtcproxy.routing.policy import Policy
from webrtcproxy.routing.sequence import RequestSequences
from webrtcproxy.routing.sources import Sources
from webrtcproxy.routing.upstream import HopResolver, Upstream
from webrtcproxy.runtime.gc_policy import GcPolicy
from webrtcproxy.runtime.line_file import LineFile
from webrtcproxy.runtime.log import LogFilter
from webrtcproxy.runtime.loop_lag import LoopLag
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.runtime.own_address import own_address
from webrtcproxy.runtime.signals import Reloads
from webrtcproxy.sip.headers import drop_cached
from webrtcproxy.standalone import IRuntime
from webrtcproxy.subscription.out_of_dialog import OutOfDialogRelay
from webrtcproxy.subscription.subscribe import Subscriptions
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transport.dns.locate import Locator, locator_for
from webrtcproxy.transport.flow import Flow, Outbound
from webrtcproxy.transport.sip.trunk_tls import TrunkTls
from webrtcproxy.users.called_numbers import CalledNumbers
from webrtcproxy.users.domains import CHECK_FILES, domains_of
from webrtcproxy.users.user import User

log = Logger()


class Core:
    """The part that handles calls, registrations and all other requests, between the transactions and rtpengine.

    :param config: the whole configuration.
    :param clock: runs all timers.
    :param runtime: of this process.
    :param transactions: the transaction layer, whose user this becomes.
    :param nodes: makes the media session of each call.
    :param locator: finds the addresses of trunks.
    :param outbound: opens flows towards them.
    """

    def __init__(
        self,
        config: Config,
        clock: IReactorTime,
        runtime: IRuntime,
        transactions: Transactions,
        nodes: MediaPool,
        locator: HopResolver,
        outbound: Outbound,
        metrics: Metrics,
    ) -> None:
        multiple = config.registrations.multiple
        sources = Sources(config.trunks, locator)
        self.location, directory = runtime.bindings(multiple)
        self.legs = DialogTable()
        guard = guard_of(config, clock, sources.trunks_of, metrics)
        path = config.records.file
        records = None if path is None else RecordFile(clock, LineFile(clock, path, config.records.queue))
        self.context = context = Context(
            clock=clock,
            transactions=transactions,
            nodes=nodes,
            upstream=Upstream(locator, outbound, HopHealth(clock)),
            sources=sources,
            policy=Policy(config),
            access=AccessControl(config, clock, metrics),
            directory=directory,
            location=self.location,
            sequences=RequestSequences(clock, runtime.worker_prefix),
            limits=config.calls,
            grants=runtime.replaces_grants(),
            referrers=runtime.referrers(),
            cdr_writer=CdrWriter(clock, records),
            record_file=records,
            domains=domains_of(config),
            called_numbers=CalledNumbers(config.trunks),
            metrics=metrics,
            guard=guard,
            scanners=Scanners(guard, self.location.proofs, config.bans.user_agents, metrics),
            worker_prefix=runtime.worker_prefix,
        )
        self.nonces = FlowNonces(clock)
        self.port_logins = port_logins(config, clock, context.domains, context.proofs, context.guard, self)
        schemes: list[LoginScheme] = [*self.port_logins.by_sip, DigestScheme(self.nonces)]
        logins = Logins(context.domains, context.proofs, context.guard, schemes)
        registrar = LocalRegistrar(logins, directory, self.location, clock, metrics)
        self.calls = Calls(context, self.legs)
        self.subscriptions = Subscriptions(context, config.subscriptions, self.legs)
        self.out_of_dialog = OutOfDialogRelay(context)
        relay = RegistrationRelay(
            transactions,
            directory,
            self.location,
            context.upstream,
            context.sequences,
            clock,
            multiple,
            context.guard,
            metrics,
            runtime.contact_hostport,
        )
        self._user_changes = UserChanges(relay, context.policy)
        context.domains.watch(self._user_changes.changed)
        context.domains.watch_accounts(lambda: self._user_changes.accounts_changed(context.domains.renewed))
        transactions.user = Router(
            context, self.calls, self.legs, relay, registrar, logins, self.out_of_dialog, self.subscriptions
        )

    def has_calls(self, flow: Flow) -> bool:
        """See `webrtcproxy.access.token_logins.Connections`."""
        return self.legs.count_on(flow) > 0

    def unbind(self, flow: Flow, aor: str) -> None:
        """See `webrtcproxy.access.token_logins.Connections`."""
        keys = [binding.key for binding in self.location.bindings_on(flow) if binding.aor == aor]
        if keys:
            self.context.directory.unbind(aor, keys).addErrback(
                lambda failure: log.failure("The bindings of {aor} can't be removed", failure, aor=aor)
            )

    def user_gone(self, user: User) -> None:
        """See `webrtcproxy.access.token_logins.Connections`."""
        self._user_changes.changed(user, None)

    def needs(self, flow: Flow) -> bool:
        """Whether a browser has logged in or registered on a connection, or has a call or subscription there."""
        dialogs = self.legs.count_on(flow) + self.subscriptions.legs.count_on(flow)
        return bool(dialogs or self.location.bindings_on(flow)) or self.location.proofs.any(flow)

    def check_files(self) -> None:
        """Read the files of users and numbers that have changed."""
        self.context.domains.refresh()
        self.context.called_numbers.refresh()

    def knows(self, host: str) -> bool:
        """Whether an IP address is a trunk's, or that of a registrar at which a browser is registered."""
        return bool(self.context.sources.trunks_of(host)) or self.context.directory.is_registrar(host)


def build_proxy(config: Config, reactor: Any, runtime: IRuntime) -> tuple[Proxy, Queries]:
    """Build a proxy.

    :param runtime: of this process.
    :returns: the service, and its queries.
    """
    metrics = Metrics(process=True)
    transactions = Transactions(
        reactor, last_resort=config.calls.ring + 120, metrics=metrics, mark=runtime.worker_prefix
    )
    receiver = runtime.receiver_for(transactions)
    sockets = runtime.sip_sockets(receiver, config.sip, TrunkTls(config.trunks), lambda host: core.knows(host), metrics)
    locator = locator_for(config.sip, reactor)
    media = _media(config, reactor, metrics, runtime, locator)
    core = Core(config, reactor, runtime, transactions, media[-1], locator, sockets, metrics)
    context, calls, location = core.context, core.calls, core.location
    proxy = Proxy(reactor, core, config.proxy.drain)
    guard = context.guard
    runtime.share_bans(guard)
    sockets.is_banned = guard.is_banned
    browsers = browsers_port(config, reactor, receiver, metrics, guard, runtime.wss_descriptors, core.port_logins)
    browsers.is_needed = core.needs
    browsers.is_draining = lambda: calls.draining
    guard.bans.watch(lambda network: browsers.cut(network, context.proofs.any))
    guard.bans.watch(sockets.cut)
    bind_gauges(metrics, calls, core.subscriptions, browsers, location, transactions)
    metrics.banned_addresses.set_function(lambda: len(guard.bans))
    memory = GcPolicy(
        reactor, lambda: len(calls) > 0, lambda: browsers.closings, lambda: browsers.connections, _drop_caches
    )
    pings = OptionsPings(reactor, transactions, context.upstream, context.policy, config.trunks, metrics)
    limit = LogFilter(config.logging.level, globalLogPublisher, reactor)
    lag = LoopLag(reactor, metrics.loop_lag.observe)
    for service in (limit, *core.port_logins.services, *media, sockets, browsers, lag, memory, Pinging(pings)):
        service.setServiceParent(proxy)
    return proxy, {
        "health": lambda: health(media[-1], calls, browsers, location),
        "metrics": lambda: metrics.text().decode(),
        "bans": guard.bans.listed,
        "lift": guard.lift,
    }


def _media(config: Config, reactor: Any, metrics: Metrics, runtime: IRuntime, locator: Locator) -> tuple[Any, ...]:
    """The services for rtpengine; the last one is the `Nodes`."""
    more: Any = {
        "timeout": config.rtpengine.timeout,
        "metrics": metrics,
        "find": locator.address_of,
        "digits": any(trunk.media.dtmf == "rfc4733" for trunk in config.trunks),
    }
    if config.rtpengine.nodes != SPAWN:
        instance = runtime.instance or own_instance(config.rtpengine.instance, config.sip.listen)
        names = SessionNames(instance, runtime.number, config.proxy.workers if runtime.number else 0)
        return (Nodes(reactor, config.rtpengine.nodes, names=names, **more),)
    engine = spawned(config, reactor)
    return engine, Nodes(reactor, [engine.address], **more)


def spawned(config: Config, reactor: Any) -> RtpengineProcess:
    """The rtpengine that runs as a child of this process."""
    interface = media_interface(config.rtpengine.interface)
    return RtpengineProcess(reactor, binary=config.rtpengine.binary, interface=interface)


def media_interface(written: str) -> str:
    """The address for media, as rtpengine's ``--interface`` has it.

    :param written: ``[rtpengine] interface``: the same, or with `AUTO` for the address.
    """
    address, mark, advertised = written.partition("!")
    if address != AUTO:
        return written
    interface = own_address() + mark + advertised
    log.info("The address for media is {interface}", interface=interface)
    return interface


def _drop_caches() -> None:
    """Empty the caches of parsed values and of names."""
    drop_cached()
    contact_user_of.cache_clear()


class Pinging(Service):
    """A service that pings while the sockets are open.

    :param pings: sends the pings.
    """

    def __init__(self, pings: OptionsPings) -> None:
        self._pings = pings

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        self._pings.start()

    def stopService(self) -> None:
        super().stopService()  # type: ignore[no-untyped-call]
        self._pings.stop()


class Proxy(MultiService):
    """All services of a proxy. Calls end before the sockets close.

    :param reactor: the clock.
    :param core: handles the calls.
    :param drain: seconds that calls have to end by themselves.
    """

    BYE_TIMEOUT = 2.0
    """Seconds that a stopping proxy waits for the responses to its BYEs."""
    LAST_RESORT = 15
    """Seconds within which a worker ends after the hub has died."""
    REFRESH = 10.0
    """Seconds between two look-ups of the trunks' names. Answers are kept as long as the DNS says, so that most of
    these ask nobody."""

    def __init__(self, reactor: IReactorTime, core: Core, drain: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._core = core
        self._drain = drain
        self._hurries = 0
        self._waiting: Deferred[None] | None = None
        self._refresh = LoopingCall(core.context.sources.refresh)
        self._refresh.clock = reactor
        self._check_files = LoopingCall(core.check_files)
        self._check_files.clock = reactor

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        self._refresh.start(self.REFRESH).addErrback(
            lambda failure: log.failure("The trunks' addresses are not looked up any more", failure)
        )
        if len(self._core.context.domains) or len(self._core.context.called_numbers):
            self._check_files.start(CHECK_FILES, now=False).addErrback(
                lambda failure: log.failure("Files of users and numbers are not read again any more", failure)
            )

    def wind_up(self) -> Deferred[None]:
        """Take no new calls; give those that are up the configured time to end by themselves, then end them, and wait a
        moment for the responses to the BYEs.

        :returns: fires with None when no call is left.
        """
        return Deferred.fromCoroutine(self._wind_up())

    async def _wind_up(self) -> None:
        core = self._core
        await self._unless_hurried(core.calls.drain(self._drain))
        await core.calls.stop()
        core.subscriptions.stop()
        until, hurries = self._reactor.seconds() + self.BYE_TIMEOUT, self._hurries
        while len(core.legs) + len(core.subscriptions.legs) and self._reactor.seconds() < until:
            if self._hurries > hurries:
                return
            await deferLater(self._reactor, 0.05)

    async def _unless_hurried(self, work: Deferred[None]) -> None:
        """Wait for `work`, or until `hurry` is called."""
        self._waiting = Deferred()
        await DeferredList([work, self._waiting], fireOnOneCallback=True)
        self._waiting = None
        work.addErrback(lambda failure: failure.trap(CancelledError)).cancel()

    def hurry(self) -> None:
        """While it ends: calls have no more time to end by themselves. If they are ended already, their BYEs have no
        more time to be answered."""
        self._drain = 0.0
        self._hurries += 1
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def reload(self) -> None:
        """Read the files again: certificates, users, their accounts at trunks, numbers. What can't be used is logged,
        and what was read before stays."""
        self._core.check_files()
        for service in self:
            if isinstance(service, Reloads):
                service.reload()

    async def _stop(self) -> None:
        await self._wind_up()
        for loop in (self._refresh, self._check_files):
            if loop.running:
                loop.stop()
        await maybeDeferred(super().stopService)
        self._core.context.transactions.stop()
        self._core.location.stop()
        self._core.nonces.stop()
        self._core.port_logins.tokens.stop()
        self._core.context.cdr_writer.stop()

    def stopService(self) -> Deferred[None]:
        """End the calls with `wind_up`, then close the sockets.

        :returns: fires with None when everything has stopped.
        """
        return Deferred.fromCoroutine(self._stop())
