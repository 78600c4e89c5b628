"""``twistd webrtcproxy``: its options, and the one place that builds every object and joins them."""

from __future__ import annotations

import gc
import platform
import sys
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    LogPublisher,
    formatEvent,
    globalLogPublisher,
)
from twisted.python import usage
from zope.interface import implementer

from webrtcproxy import __version__
from webrtcproxy.admin.page import phone_resource
from webrtcproxy.admin.web import web_service
from webrtcproxy.call.calls import Calls
from webrtcproxy.call.context import Context
from webrtcproxy.call.legs import Legs
from webrtcproxy.call.location import Location
from webrtcproxy.call.pairing import Pairings
from webrtcproxy.call.policy import Policy
from webrtcproxy.call.registrar import Registrar
from webrtcproxy.call.router import Router
from webrtcproxy.call.trunk import Sources, Upstream
from webrtcproxy.config import SPAWN, Config, ConfigError, HostPort, load
from webrtcproxy.config.places import try_places
from webrtcproxy.demo.service import demo_service
from webrtcproxy.media.nodes import Nodes
from webrtcproxy.media.process import Rtpengine
from webrtcproxy.metrics import LoopLag, Metrics
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transport.browsers import Browsers
from webrtcproxy.transport.browsers import Options as BrowserOptions
from webrtcproxy.transport.resolve import Resolver
from webrtcproxy.transport.sockets import Listen, Sockets

log = Logger()


def build(config: Config, reactor: Any) -> MultiService:
    """Build every object once and join them.

    :param config: the whole configuration.
    :param reactor: the only reactor there is.
    :returns: the service that listens when it is started, and ends what it began when it is stopped.
    """
    metrics = Metrics(process=True)
    transactions = Transactions(reactor, last_resort=config.calls.ring + 120, metrics=metrics)
    sockets = Sockets(reactor, transactions, config.sip.listen, advertise=config.sip.advertise)
    resolver = Resolver(reactor)
    media = _media(config, reactor, metrics)
    location = Location(reactor, config.registrations.multiple)
    legs = Legs()
    context = Context(
        clock=reactor,
        transactions=transactions,
        nodes=media[-1],
        upstream=Upstream(resolver, sockets),
        sources=Sources(config.trunks, resolver),
        policy=Policy(config),
        location=location,
        pairings=Pairings(reactor),
        limits=config.calls,
        metrics=metrics,
    )
    calls = Calls(context, legs)
    multiple = config.registrations.multiple
    registrar = Registrar(transactions, location, context.upstream, context.pairings, reactor, multiple, metrics)
    transactions.user = Router(context, calls, legs, registrar)
    limit = LogLevelLimit(config.logging.level, globalLogPublisher, reactor)
    proxy = Proxy(reactor, context, calls, legs, location)
    browsers = _browsers(config, reactor, transactions, metrics)
    watch(metrics, calls, browsers, location, transactions)
    web = web_service(reactor, config.web.listen, lambda: health(media[-1], calls, browsers, location), metrics.text)
    lag = LoopLag(reactor, metrics.loop_lag.observe)
    for service in (limit, *media, sockets, browsers, web, lag, *_demo(config, reactor)):
        service.setServiceParent(proxy)
    return proxy


def health(nodes: Nodes, calls: Calls, browsers: Browsers, location: Location) -> dict[str, object]:
    """What ``/health`` tells: calls can be taken while an rtpengine answers, and has answered at all."""
    alive = sum(node.alive and node.answered > 0 for node in nodes.nodes)
    return {
        "healthy": alive > 0,
        "rtpengine": f"{alive} of {len(nodes.nodes)}",
        "calls": len(calls),
        "sockets": browsers.connections,
        "bindings": len(location),
    }


def watch(metrics: Metrics, calls: Calls, browsers: Browsers, location: Location, transactions: Transactions) -> None:
    """Let `metrics` read what there is, whenever it is asked."""
    metrics.active_calls.labels("up").set_function(lambda: calls.up)
    metrics.active_calls.labels("setup").set_function(lambda: len(calls) - calls.up)
    metrics.bindings.set_function(lambda: len(location))
    metrics.sockets.set_function(lambda: browsers.connections)
    metrics.transactions.labels("server").set_function(lambda: transactions.servers)
    metrics.transactions.labels("client").set_function(lambda: transactions.clients)


def _media(config: Config, reactor: Any, metrics: Metrics) -> tuple[Any, ...]:
    """What drives rtpengine; the last of these is the `Nodes`."""
    if config.rtpengine.nodes != SPAWN:
        nodes = Nodes(reactor, config.rtpengine.nodes, timeout=config.rtpengine.timeout, metrics=metrics)  # type: ignore[arg-type]
        return (nodes,)
    engine = Rtpengine(reactor, binary=config.rtpengine.binary, interface=config.rtpengine.interface)
    return engine, Nodes(reactor, [engine.address], timeout=config.rtpengine.timeout, metrics=metrics)


def _browsers(config: Config, reactor: Any, receiver: Transactions, metrics: Metrics) -> Browsers:
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
    advertise = config.sip.advertise
    return Browsers(reactor, receiver, wss.listen, options, page=page, advertise=advertise, metrics=metrics)


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


class Proxy(MultiService):
    """Everything that runs. Calls end before the sockets close.

    :param reactor: the clock.
    :param context: what calls work with.
    :param calls: the calls.
    :param legs: their dialogs.
    :param location: the bindings.
    """

    FAREWELL = 2.0
    """Seconds that the BYEs of a stopping proxy have for their answers."""
    REFRESH = 60.0
    """Seconds between two looks at what the trunks' names resolve to."""

    def __init__(self, reactor: IReactorTime, context: Context, calls: Calls, legs: Legs, location: Location) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._context = context
        self._calls = calls
        self._legs = legs
        self._location = location
        self._refresh = LoopingCall(context.sources.refresh)
        self._refresh.clock = reactor

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        _settle_memory()
        self._refresh.start(self.REFRESH).addErrback(
            lambda failure: log.failure("The trunks' addresses are not looked up any more", failure)
        )

    async def _stop(self) -> None:
        if self._refresh.running:
            self._refresh.stop()
        await self._calls.stop()
        until = self._reactor.seconds() + self.FAREWELL
        while len(self._legs) and self._reactor.seconds() < until:
            await deferLater(self._reactor, 0.05)
        await maybeDeferred(super().stopService)
        self._context.transactions.stop()
        self._location.stop()

    def stopService(self) -> Deferred[None]:
        """End the calls, wait a moment for the answers to the BYEs, then close the sockets.

        :returns: fires with None when all of it is done.
        """
        return Deferred.fromCoroutine(self._stop())


def _settle_memory() -> None:
    """Keep the garbage collector off what is there to stay: a look at all of it takes a tenth of a second, in which no
    call is served. A call leaves no cycle behind, so that looking seldom does no harm."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@implementer(ILogObserver)
class Printable:
    """Hands events on with what peers wrote made harmless: control characters, line ends and octets that are no text,
    in a Call-ID or a reason phrase, are written as escapes. Else they would act on a terminal, or cost the line.

    :param observer: who gets the events.
    """

    def __init__(self, observer: ILogObserver) -> None:
        self._observer = observer

    def __call__(self, event: LogEvent) -> None:
        text = _text(event)
        if not text.isprintable():
            text = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
        # The text has nothing left to fill in: formatting it again costs the observers next to nothing.
        self._observer({**event, "log_format": text.replace("{", "{{").replace("}", "}}")})


def _text(event: LogEvent) -> str:
    """The text of an event. Our own have plain formats: Python fills them in at a tenth of what Twisted's way costs."""
    if event.get("log_namespace", "").startswith("webrtcproxy."):
        with suppress(Exception):
            text: str = event["log_format"].format_map(event)
            return text
    return formatEvent(event)


@implementer(ILogObserver)
class Gathered:
    """Hands events on at once while they are few, and in stock while they are many, a moment later: a line that is
    written behind another costs a third of one that is written alone. Warnings never wait.

    :param observer: who gets the events.
    :param clock: tells the time, and when a moment is over.
    """

    MOMENT = 0.25
    """Seconds that an event may wait."""

    def __init__(self, observer: ILogObserver, clock: IReactorTime) -> None:
        self._observer = observer
        self._clock = clock
        self._waiting: list[LogEvent] = []
        self._last = float("-inf")
        self._timer: IDelayedCall | None = None

    def __call__(self, event: LogEvent) -> None:
        self._waiting.append(event)
        if event.get("log_level", LogLevel.error) > LogLevel.info or self._clock.seconds() - self._last >= self.MOMENT:
            self.hand_over()
        elif self._timer is None:
            self._timer = self._clock.callLater(self.MOMENT, self.hand_over)

    def hand_over(self) -> None:
        """Hand on what waits, in order."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self._last = self._clock.seconds()
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            self._observer(event)


class LogLevelLimit(Service):
    """Hides log events below a level from the observers that twistd has set up, for as long as it runs.

    Where the log goes to is twistd's own affair (``--logfile``, ``--syslog``, ``--logger``).

    :param level: the lowest level that passes, by name.
    :param publisher: the one whose observers are meant.
    :param clock: for `Gathered`.
    """

    def __init__(self, level: str, publisher: LogPublisher, clock: IReactorTime) -> None:
        self._clock = clock
        self._gathered: list[Gathered] = []
        self._passes = LogLevelFilterPredicate(LogLevel.levelWithName(level))
        self._publisher = publisher
        self._replaced: list[tuple[ILogObserver, ILogObserver]] = []

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        # A publisher tells its observers to nobody, and twistd gives no other hold on the one that it has made.
        for observer in tuple(self._publisher._observers):
            gathered = Gathered(Printable(observer), self._clock)
            limited = FilteringLogObserver(gathered, [self._passes])
            self._replace(observer, limited)
            self._gathered.append(gathered)
            self._replaced.append((observer, limited))

    def stopService(self) -> None:
        super().stopService()  # type: ignore[no-untyped-call]
        for gathered in self._gathered:
            gathered.hand_over()
        self._gathered.clear()
        while self._replaced:
            observer, limited = self._replaced.pop()
            self._replace(limited, observer)

    def _replace(self, old: ILogObserver, new: ILogObserver) -> None:
        self._publisher.removeObserver(old)
        self._publisher.addObserver(new)


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
