"""``twistd webrtcproxy``: its options, and the one place that builds every object and joins them."""

from __future__ import annotations

import os
import platform
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from socket import AF_UNIX
from typing import Any, ClassVar

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger, globalLogBeginner, globalLogPublisher
from twisted.python import usage

from webrtcproxy import __version__
from webrtcproxy.admin.page import phone_resource
from webrtcproxy.admin.web import web_service
from webrtcproxy.call.binding import token_for
from webrtcproxy.call.calls import Calls
from webrtcproxy.call.context import Context
from webrtcproxy.call.failover import Standing
from webrtcproxy.call.heirs import Heirs
from webrtcproxy.call.legs import Legs
from webrtcproxy.call.location import Location
from webrtcproxy.call.pairing import Pairings
from webrtcproxy.call.passage import Passages
from webrtcproxy.call.ping import Pings
from webrtcproxy.call.policy import Policy
from webrtcproxy.call.registrar import Registrar
from webrtcproxy.call.router import Router
from webrtcproxy.call.subscriptions import Subscriptions
from webrtcproxy.call.trunk import Sources, Upstream
from webrtcproxy.cluster.cluster import Cluster
from webrtcproxy.cluster.link import LinkFactory
from webrtcproxy.cluster.logs import Forwarder
from webrtcproxy.cluster.seat import LINK
from webrtcproxy.cluster.worker import Answers, Office, Worker
from webrtcproxy.config import SPAWN, Config, ConfigError, HostPort, load
from webrtcproxy.config.places import try_places
from webrtcproxy.demo.service import demo_service
from webrtcproxy.log import LogLevelLimit
from webrtcproxy.media.nodes import Nodes
from webrtcproxy.media.process import Rtpengine
from webrtcproxy.memory import Memory
from webrtcproxy.metrics import LoopLag, Metrics
from webrtcproxy.sip.headers import forget_read
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transport.browsers import Browsers
from webrtcproxy.transport.browsers import Options as BrowserOptions
from webrtcproxy.transport.flow import Receiver
from webrtcproxy.transport.locate import locator_for
from webrtcproxy.transport.sockets import Listen, Sockets
from webrtcproxy.transport.trust import Trust

log = Logger()


def build(config: Config, reactor: Any) -> MultiService:
    """Build every object once and join them.

    :param config: the whole configuration.
    :param reactor: the only reactor there is.
    :returns: the service that listens when it is started, and ends what it began when it is stopped.
    """
    if config.proxy.workers > 1:
        return build_hub(config, reactor)
    proxy, answers = build_proxy(config, reactor)
    web = web_service(reactor, config.web.listen, answers["health"], lambda: answers["metrics"]().encode())
    for service in (web, *_demo(config, reactor)):
        service.setServiceParent(proxy)
    return proxy


def build_proxy(config: Config, reactor: Any, office: Office | None = None) -> tuple[Proxy, Answers]:
    """Build what carries calls.

    :param office: what a worker has in place of what is a process's own that is alone; None for that.
    :returns: the service, and what it can be asked.
    """
    mark = "" if office is None else office.mark
    metrics = Metrics(process=True)
    transactions = Transactions(reactor, last_resort=config.calls.ring + 120, metrics=metrics, mark=mark)
    trust = Trust(config.trunks)
    receiver: Receiver
    if office is None:
        receiver = transactions
        sockets = Sockets(reactor, receiver, config.sip.listen, advertise=config.sip.advertise, trust=trust)
        location = Location(reactor, config.registrations.multiple)
    else:
        receiver = office.entrance(transactions)
        sockets = office.sip(receiver, config.sip, trust)
        location = office.location(config.registrations.multiple)
    locator = locator_for(config.sip, reactor)
    media = _media(config, reactor, metrics, "" if office is None else office.seat.instance)
    legs = Legs()
    context = Context(
        clock=reactor,
        transactions=transactions,
        nodes=media[-1],
        upstream=Upstream(locator, sockets, Standing(reactor)),
        sources=Sources(config.trunks, locator),
        policy=Policy(config),
        location=location,
        pairings=Pairings(reactor),
        limits=config.calls,
        heirs=Heirs(reactor) if office is None else office.heirs(),
        metrics=metrics,
        mark=mark,
    )
    calls = Calls(context, legs)
    multiple = config.registrations.multiple
    place = (lambda flow: flow.sent_by) if office is None else office.sip_place
    registrar = Registrar(transactions, location, context.upstream, context.pairings, reactor, multiple, metrics, place)
    subscriptions = Subscriptions(context, config.subscriptions, legs)
    transactions.user = Router(context, calls, legs, registrar, Passages(context), subscriptions)
    limit = LogLevelLimit(config.logging.level, globalLogPublisher, reactor)
    proxy = Proxy(reactor, context, calls, legs, subscriptions, location, config.proxy.drain)
    browsers = _browsers(config, reactor, receiver, metrics, () if office is None else office.seat.wss)
    watch(metrics, calls, subscriptions, browsers, location, transactions)
    lag = LoopLag(reactor, metrics.loop_lag.observe)
    memory = Memory(reactor, lambda: len(calls) > 0, lambda: browsers.departed, _forget_values)
    pings = Pings(reactor, transactions, context.upstream, context.policy, config.trunks, metrics)
    for service in (limit, *media, sockets, browsers, lag, memory, Pinging(pings)):
        service.setServiceParent(proxy)
    return proxy, {
        "health": lambda: health(media[-1], calls, browsers, location),
        "metrics": lambda: metrics.text().decode(),
    }


def health(nodes: Nodes, calls: Calls, browsers: Browsers, location: Location) -> dict[str, object]:
    """What ``/health`` tells: calls can be taken while an rtpengine answers, and has answered at all."""
    alive = sum(node.alive and node.answered > 0 for node in nodes.nodes)
    return {
        "healthy": alive > 0 and not calls.draining,
        "rtpengine": f"{alive} of {len(nodes.nodes)}",
        "calls": len(calls),
        "sockets": browsers.connections,
        "bindings": len(location),
    }


def watch(
    metrics: Metrics,
    calls: Calls,
    subscriptions: Subscriptions,
    browsers: Browsers,
    location: Location,
    transactions: Transactions,
) -> None:
    """Let `metrics` read what there is, whenever it is asked."""
    metrics.active_calls.labels("up").set_function(lambda: calls.up)
    metrics.active_calls.labels("setup").set_function(lambda: len(calls) - calls.up)
    metrics.bindings.set_function(lambda: len(location))
    metrics.subscriptions.set_function(lambda: len(subscriptions))
    metrics.sockets.set_function(lambda: browsers.connections)
    metrics.transactions.labels("server").set_function(lambda: transactions.servers)
    metrics.transactions.labels("client").set_function(lambda: transactions.clients)


def _forget_values() -> None:
    """What was read of messages, and what follows from a name, may be made anew."""
    forget_read()
    token_for.cache_clear()


def _media(config: Config, reactor: Any, metrics: Metrics, instance: str) -> tuple[Any, ...]:
    """What drives rtpengine; the last of these is the `Nodes`."""
    timeout = config.rtpengine.timeout
    if config.rtpengine.nodes != SPAWN:
        nodes = Nodes(reactor, config.rtpengine.nodes, timeout=timeout, metrics=metrics, instance=instance)  # type: ignore[arg-type]
        return (nodes,)
    engine = _spawned(config, reactor)
    return engine, Nodes(reactor, [engine.address], timeout=timeout, metrics=metrics)


def _spawned(config: Config, reactor: Any) -> Rtpengine:
    """The rtpengine that is a child of ours."""
    return Rtpengine(reactor, binary=config.rtpengine.binary, interface=config.rtpengine.interface)


def _browsers(config: Config, reactor: Any, receiver: Receiver, metrics: Metrics, inherited: Sequence[int]) -> Browsers:
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
    return Browsers(
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


def _demo(config: Config, reactor: Any) -> tuple[Service, ...]:
    if config.demo is None:
        return ()
    listen = Listen.parse(config.demo.listen)
    return (demo_service(reactor, listen.interface, listen.port, password=config.demo.password),)


class Pinging(Service):
    """Pings for as long as the sockets are open.

    :param pings: what does it.
    """

    def __init__(self, pings: Pings) -> None:
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
        legs: Legs,
        subscriptions: Subscriptions,
        location: Location,
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


def build_hub(config: Config, reactor: Any) -> MultiService:
    """Build what starts, watches and joins several workers."""
    engine = _spawned(config, reactor) if config.rtpengine.nodes == SPAWN else None
    node = None if engine is None else HostPort(*engine.address)
    cluster = Cluster(config, reactor, node, globalLogPublisher)
    limit = LogLevelLimit(config.logging.level, globalLogPublisher, reactor)
    web = web_service(reactor, config.web.listen, cluster.health, cluster.metrics)
    for service in (limit, *([engine] if engine else []), web, *_demo(config, reactor)):
        service.setServiceParent(cluster)
    return cluster


def run_worker() -> None:
    """What the process of a worker does. It is told everything by its end of the link, the first things too.

    Signals to the whole group are the hub's affair, which ends its workers in order. When the hub dies the kernel
    sends SIGUSR2: the worker hears of it by its link, too, and ends by itself; if it can't, SIGALRM ends it.
    """
    import_module(sys.argv[1]).install()
    from twisted.internet import reactor as installed

    reactor: Any = installed
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, lambda *_: signal.alarm(Proxy.LAST_RESORT))
    codes: list[int] = []

    def over(code: int) -> None:
        codes.append(code)
        reactor.stop()

    worker = Worker(reactor, build_proxy, lambda: logs.flush(), over)
    logs = Forwarder(reactor, worker.send_log)
    globalLogBeginner.beginLoggingTo([logs], redirectStandardIO=False)
    reactor.adoptStreamConnection(LINK, AF_UNIX, LinkFactory(lambda: worker.link))
    os.close(LINK)
    reactor.run(installSignalHandlers=False)
    sys.exit(codes[0] if codes else 1)


class Options(usage.Options):
    """The command line behind ``twistd webrtcproxy``; `loaded` is the configuration that it names."""

    synopsis = "-c FILE"
    longdesc = (
        "A gateway between browsers and a SIP trunk or PBX: SIP over WebSocket on one side, SIP over UDP or TCP on the "
        "other, and rtpengine for the media between them. Where the log goes, under which user it runs and whether it "
        "stays in the foreground are options of twistd, in front of the word webrtcproxy."
    )
    examples = (
        "\n"
        "Examples:\n"
        "  twistd webrtcproxy -c /etc/webrtcproxy/proxy.ini      as a daemon, log in twistd.log\n"
        "  twistd -n webrtcproxy -c etc/proxy.ini                in the foreground, log on the terminal\n"
        "  twistd webrtcproxy --check -c etc/proxy.ini           only look for mistakes in the file\n"
    )
    optParameters: ClassVar = [["config", "c", None, "The configuration file; etc/proxy.ini tells every option."]]
    optFlags: ClassVar = [["check", None, "Check the configuration file, say what is wrong with it, and exit."]]

    loaded: Config

    def getUsage(self, width: int | None = None) -> str:
        return super().getUsage(width) + self.examples

    def opt_version(self) -> None:
        """Print the versions of webrtcproxy and of what it stands on, and exit."""
        stands_on = ", ".join(f"{name} {version(name)}" for name in ("Twisted", "autobahn", "pyOpenSSL"))
        print(f"webrtcproxy {__version__} ({stands_on}, Python {platform.python_version()})")
        raise SystemExit(0)

    def parseOptions(self, options: Any = None) -> None:
        """Read the command line.

        :raises SystemExit: with what is wrong with it as its text. For a UsageError twistd would print its own whole
            usage in front of that.
        """
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except usage.UsageError as error:
            why = str(error).rstrip(".")
            raise SystemExit(f"webrtcproxy: {why}; all options: twistd webrtcproxy --help") from None

    def postOptions(self) -> None:
        """Read the configuration while nothing is started yet.

        :raises UsageError: no file is named.
        :raises SystemExit: with the mistake in it as its text, so that twistd prints this one line and exits with 1.
        """
        file = self["config"]
        if file is None:
            raise usage.UsageError("which configuration file? Name it, as in: twistd webrtcproxy -c etc/proxy.ini")
        try:
            self.loaded = load(Path(file))
            try_places(self.loaded, only_addresses=bool(self["check"]))
        except ConfigError as error:
            raise SystemExit(f"webrtcproxy: {error}") from None
        if self["check"]:
            sys.stdout.write(f"{self.loaded.path}: no mistake found\n")
            raise SystemExit(0)


def makeService(options: Options) -> MultiService:
    """What twistd runs.

    :param options: parsed.
    """
    from twisted.internet import reactor

    return build(options.loaded, reactor)
