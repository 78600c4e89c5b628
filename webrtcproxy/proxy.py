"""Proxy: all that carries calls in one process, built and joined, begun and ended in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger, globalLogPublisher

from webrtcproxy.admin.monitoring import bind_gauges, health
from webrtcproxy.admin.page import phone_resource
from webrtcproxy.call.calls import Calls
from webrtcproxy.call.router import Router
from webrtcproxy.cluster.worker import Queries, WorkerRuntime
from webrtcproxy.config import SPAWN, Config, HostPort
from webrtcproxy.dialog.call_record import CdrWriter
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.referred import ReplacesGrants
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.media.nodes import Nodes
from webrtcproxy.media.process import RtpengineProcess
from webrtcproxy.registration.binding import contact_user_of
from webrtcproxy.registration.directory import IDirectory, LocalDirectory
from webrtcproxy.registration.location import ILocation, Location
from webrtcproxy.registration.relay import RegistrationRelay
from webrtcproxy.routing.failover import TargetHealth
from webrtcproxy.routing.options_ping import OptionsPings
from webrtcproxy.routing.policy import Policy
from webrtcproxy.routing.sequence import RequestSequences
from webrtcproxy.routing.sources import Sources
from webrtcproxy.routing.upstream import Upstream
from webrtcproxy.runtime.gc_policy import GcPolicy
from webrtcproxy.runtime.log import LogFilter
from webrtcproxy.runtime.metrics import LoopLag, Metrics
from webrtcproxy.sip.headers import forget_read
from webrtcproxy.subscription.out_of_dialog import OutOfDialogRelay
from webrtcproxy.subscription.subscribe import Subscriptions
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transport.dns.locate import locator_for
from webrtcproxy.transport.flow import Receiver
from webrtcproxy.transport.sip.sockets import SipSockets
from webrtcproxy.transport.sip.trust import TrunkTls
from webrtcproxy.transport.wss.server import WebSocketOptions as BrowserOptions
from webrtcproxy.transport.wss.server import WebSocketServer

log = Logger()


def build_proxy(config: Config, reactor: Any, office: WorkerRuntime | None = None) -> tuple[Proxy, Queries]:
    """Build what carries calls.

    :param office: what a worker has in place of what is a process's own that is alone; None for that.
    :returns: the service, and what it can be asked.
    """
    mark = "" if office is None else office.mark
    metrics = Metrics(process=True)
    transactions = Transactions(reactor, last_resort=config.calls.ring + 120, metrics=metrics, mark=mark)
    trust = TrunkTls(config.trunks)
    receiver: Receiver
    directory: IDirectory
    if office is None:
        receiver = transactions
        sockets = SipSockets(reactor, receiver, config.sip.listen, advertise=config.sip.advertise, trust=trust)
        location = Location(reactor, config.registrations.multiple)
        directory = LocalDirectory(reactor, location)
    else:
        receiver = office.entrance(transactions)
        sockets = office.sip(receiver, config.sip, trust)
        location, directory = office.bindings(config.registrations.multiple)
    locator = locator_for(config.sip, reactor)
    media = _media(config, reactor, metrics, "" if office is None else office.seat.instance)
    legs = DialogTable()
    context = Context(
        clock=reactor,
        transactions=transactions,
        nodes=media[-1],
        upstream=Upstream(locator, sockets, TargetHealth(reactor)),
        sources=Sources(config.trunks, locator),
        policy=Policy(config),
        directory=directory,
        location=location,
        sequences=RequestSequences(reactor),
        limits=config.calls,
        heirs=ReplacesGrants(reactor) if office is None else office.heirs(),
        ledger=CdrWriter(reactor),
        metrics=metrics,
        mark=mark,
    )
    calls = Calls(context, legs)
    multiple = config.registrations.multiple
    place = (lambda flow: flow.sent_by) if office is None else office.sip_place
    registrar = RegistrationRelay(
        transactions, directory, location, context.upstream, context.sequences, reactor, multiple, metrics, place
    )
    subscriptions = Subscriptions(context, config.subscriptions, legs)
    transactions.user = Router(context, calls, legs, registrar, OutOfDialogRelay(context), subscriptions)
    limit = LogFilter(config.logging.level, globalLogPublisher, reactor)
    proxy = Proxy(reactor, context, calls, legs, subscriptions, location, config.proxy.drain)
    browsers = _browsers(config, reactor, receiver, metrics, () if office is None else office.seat.wss)
    bind_gauges(metrics, calls, subscriptions, browsers, location, transactions)
    lag = LoopLag(reactor, metrics.loop_lag.observe)
    memory = GcPolicy(
        reactor, lambda: len(calls) > 0, lambda: browsers.departed, lambda: browsers.connections, _forget_values
    )
    pings = OptionsPings(reactor, transactions, context.upstream, context.policy, config.trunks, metrics)
    for service in (limit, *media, sockets, browsers, lag, memory, Pinging(pings)):
        service.setServiceParent(proxy)
    return proxy, {
        "health": lambda: health(media[-1], calls, browsers, location),
        "metrics": lambda: metrics.text().decode(),
    }


def _media(config: Config, reactor: Any, metrics: Metrics, instance: str) -> tuple[Any, ...]:
    """What drives rtpengine; the last of these is the `Nodes`."""
    timeout = config.rtpengine.timeout
    if config.rtpengine.nodes != SPAWN:
        nodes = Nodes(reactor, config.rtpengine.nodes, timeout=timeout, metrics=metrics, instance=instance)  # type: ignore[arg-type]
        return (nodes,)
    engine = spawned(config, reactor)
    return engine, Nodes(reactor, [engine.address], timeout=timeout, metrics=metrics)


def spawned(config: Config, reactor: Any) -> RtpengineProcess:
    """The rtpengine that is a child of ours."""
    return RtpengineProcess(reactor, binary=config.rtpengine.binary, interface=config.rtpengine.interface)


def _browsers(
    config: Config, reactor: Any, receiver: Receiver, metrics: Metrics, inherited: Sequence[int]
) -> WebSocketServer:
    """The port of the browsers, and the page on it."""
    wss = config.wss
    options = BrowserOptions(
        origins=wss.origins,
        path=wss.path,
        max_message=wss.max_message,
        ping=wss.ping,
        ping_timeout=wss.ping_timeout,
        connections_per_address=wss.connections_per_address,
        connections=wss.connections,
        trusted_proxies=wss.trusted_proxies,
    )
    page = None
    if wss.page is not None:
        page = phone_resource(wss.page, websocket=wss.path, **_page_settings(config))
    return WebSocketServer(
        reactor,
        receiver,
        wss.listen,
        options,
        page=page,
        advertise=config.sip.advertise,
        metrics=metrics,
        inherited=inherited,
    )


def _page_settings(config: Config) -> dict[str, str]:
    """What the phone page proposes: the demo's user, or the first trunk's domain."""
    domain = str(HostPort(config.trunks[0].host, config.trunks[0].port)) if config.trunks else ""
    if config.demo is None:
        return {"domain": domain}
    return {
        "domain": domain,
        "password": config.demo.password,
        "hint": "Dial echo to hear yourself, or call a second tab that goes by another name.",
    }


def _forget_values() -> None:
    """What was read of messages, and what follows from a name, may be made anew."""
    forget_read()
    contact_user_of.cache_clear()


class Pinging(Service):
    """Pings for as long as the sockets are open.

    :param pings: what does it.
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
    """Everything that runs. Calls end before the sockets close.

    :param reactor: the clock.
    :param context: what calls work with.
    :param calls: the calls.
    :param legs: their dialogs.
    :param subscriptions: what else has dialogs.
    :param location: the bindings.
    :param drain: seconds that calls have to end by themselves.
    """

    FAREWELL = 2.0
    """Seconds that the last words of a stopping proxy have for their answers."""
    LAST_RESORT = 15
    """Seconds within which a worker ends when the hub has died."""
    REFRESH = 60.0
    """Seconds between two looks at what the trunks' names resolve to."""

    def __init__(
        self,
        reactor: IReactorTime,
        context: Context,
        calls: Calls,
        legs: DialogTable,
        subscriptions: Subscriptions,
        location: ILocation,
        drain: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._context = context
        self._calls = calls
        self._legs = legs
        self._subscriptions = subscriptions
        self._location = location
        self._drain = drain
        self._refresh = LoopingCall(context.sources.refresh)
        self._refresh.clock = reactor

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        self._refresh.start(self.REFRESH).addErrback(
            lambda failure: log.failure("The trunks' addresses are not looked up any more", failure)
        )

    def wind_up(self) -> Deferred[None]:
        """Take no new calls; let those that are up end by themselves for as long as the configuration says, then end
        them, and wait a moment for the answers to the BYEs.

        :returns: fires with None when there are none.
        """
        return Deferred.fromCoroutine(self._wind_up())

    async def _wind_up(self) -> None:
        await self._calls.drain(self._drain)
        await self._calls.stop()
        self._subscriptions.stop()
        until = self._reactor.seconds() + self.FAREWELL
        while len(self._legs) + len(self._subscriptions.legs) and self._reactor.seconds() < until:
            await deferLater(self._reactor, 0.05)

    async def _stop(self) -> None:
        await self._wind_up()
        self._context.ledger.hand_over()
        if self._refresh.running:
            self._refresh.stop()
        await maybeDeferred(super().stopService)
        self._context.transactions.stop()
        self._location.stop()

    def stopService(self) -> Deferred[None]:
        """End the calls, as `wind_up` does, then close the sockets.

        :returns: fires with None when all of it is done.
        """
        return Deferred.fromCoroutine(self._stop())
