"""``twistd webrtcproxy``: its command line, and the service: a single proxy, or a hub with workers."""

from __future__ import annotations

import os
import platform
import signal
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from socket import AF_UNIX
from typing import Any, ClassVar

from twisted.application.service import MultiService, Service
from twisted.cred.strcred import AuthOptionMixin
from twisted.logger import Logger, globalLogBeginner, globalLogPublisher
from twisted.python import usage

from webrtcproxy import __version__
from webrtcproxy.admin.web import web_service
from webrtcproxy.cluster.cluster import Cluster
from webrtcproxy.cluster.link import LinkFactory
from webrtcproxy.cluster.logs import LogForwarder
from webrtcproxy.cluster.slot import LINK
from webrtcproxy.cluster.worker import Worker
from webrtcproxy.config import SPAWN, Config, ConfigErrors, HostPort
from webrtcproxy.config.warnings import warnings_of
from webrtcproxy.demo.service import demo_service
from webrtcproxy.preflight import preflight
from webrtcproxy.proxy import Proxy, build_proxy, spawned
from webrtcproxy.runtime.log import LogFilter, escape_first
from webrtcproxy.runtime.lookup_threads import end_without_lookups
from webrtcproxy.runtime.signals import Signals
from webrtcproxy.runtime.steady_clock import use_steady_clock
from webrtcproxy.standalone import Standalone
from webrtcproxy.transport.sip.sockets import Listen
from webrtcproxy.users.credentials import SUPPORTED

log = Logger()


def build(config: Config, reactor: Any) -> Proxy | Cluster:
    """Build and connect all services.

    :param config: the whole configuration.
    :param reactor: the only reactor.
    :returns: the service that listens when it is started, and cleans up when it is stopped.
    """
    if config.proxy.workers > 1:
        return build_hub(config, reactor)
    proxy, answers = build_proxy(config, reactor, Standalone(reactor))
    web = web_service(
        reactor,
        config.web.listen,
        answers["health"],
        lambda: answers["metrics"]().encode(),
        answers["bans"],
        answers["lift"],
    )
    for service in (web, *_demo(config, reactor)):
        service.setServiceParent(proxy)
    return proxy


def build_hub(config: Config, reactor: Any) -> Cluster:
    """Build the hub, which starts, monitors and connects several workers."""
    engine = spawned(config, reactor) if config.rtpengine.nodes == SPAWN else None
    node = None if engine is None else HostPort(*engine.address)
    cluster = Cluster(config, reactor, node, globalLogPublisher)
    limit = LogFilter(config.logging.level, globalLogPublisher, reactor)
    web = web_service(reactor, config.web.listen, cluster.health, cluster.metrics, cluster.bans, cluster.lift)
    for service in (limit, *([engine] if engine else []), web, *_demo(config, reactor)):
        service.setServiceParent(cluster)
    return cluster


def _demo(config: Config, reactor: Any) -> tuple[Service, ...]:
    if config.demo is None:
        return ()
    listen = Listen.parse(config.demo.listen)
    return (demo_service(reactor, listen.interface, listen.port, password=config.demo.password),)


class Warnings(Service):
    """Tells the log at the start what the configuration opens.

    :param config: the whole configuration.
    """

    def __init__(self, config: Config) -> None:
        self._config = config

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        for line in warnings_of(self._config):
            log.warn("The configuration opens something. {line}", line=line)


def run_worker() -> None:
    """Run a worker process. It gets everything over its link, including its configuration.

    Signals to the whole group are for the hub, which stops its workers in order. When the hub dies, the kernel sends
    SIGUSR2; the worker notices it by its link too, and ends by itself; if it can't, SIGALRM ends it.
    """
    import_module(sys.argv[1]).install()
    from twisted.internet import reactor as installed

    reactor: Any = installed
    use_steady_clock(reactor)
    end_without_lookups(reactor)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, lambda *_: signal.alarm(Proxy.LAST_RESORT))
    codes: list[int] = []

    def exited(code: int) -> None:
        codes.append(code)
        reactor.stop()

    worker = Worker(reactor, build_proxy, lambda: logs.flush(), exited)
    logs = LogForwarder(reactor, worker.send_log)
    globalLogBeginner.beginLoggingTo([logs], redirectStandardIO=False)
    reactor.adoptStreamConnection(LINK, AF_UNIX, LinkFactory(lambda: worker.link))
    os.close(LINK)
    reactor.run(installSignalHandlers=False)
    sys.exit(codes[0] if codes else 1)


class Options(AuthOptionMixin, usage.Options):
    """The command line after ``twistd webrtcproxy``; `loaded` is the configuration that it names.

    ``--auth``, ``--help-auth`` and ``--help-auth-type`` are those of any command of twistd.
    """

    supportedInterfaces = SUPPORTED

    synopsis = "-c FILE"
    longdesc = (
        "A gateway between browsers and a SIP trunk or PBX: SIP over WebSocket on one side, SIP over UDP, TCP or TLS "
        "on the other, and rtpengine for the media between them. Where the log goes, under which user it runs and "
        "whether it stays in the foreground are options of twistd, in front of the word webrtcproxy."
    )
    examples = (
        "\n"
        "Examples:\n"
        "  twistd webrtcproxy -c /etc/webrtcproxy/proxy.ini      as a daemon, log in twistd.log\n"
        "  twistd -n webrtcproxy -c etc/proxy.ini                in the foreground, log on the terminal\n"
        "  twistd webrtcproxy --check -c etc/proxy.ini           only look for mistakes, and what it opens\n"
    )
    optParameters: ClassVar = [["config", "c", None, "The configuration file; etc/proxy.ini tells every option."]]
    optFlags: ClassVar = [
        ["check", None, "Check the configuration file, say what is wrong with it and what it opens, and exit."]
    ]

    loaded: Config

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.checkers: list[str] = []

    def getUsage(self, width: int | None = None) -> str:
        return super().getUsage(width) + self.examples

    def opt_auth(self, description: str) -> None:
        """Ask this checker of twisted.cred, too, who the users of each [domain] are; several are asked in order."""
        super().opt_auth(description)  # type: ignore[no-untyped-call]
        self.checkers.append(description)

    def opt_version(self) -> None:
        """Print the versions of webrtcproxy and of its main dependencies, and exit."""
        stands_on = ", ".join(f"{name} {version(name)}" for name in ("Twisted", "autobahn", "pyOpenSSL"))
        print(f"webrtcproxy {__version__} ({stands_on}, Python {platform.python_version()})")
        raise SystemExit(0)

    def parseOptions(self, options: Any = None) -> None:
        """Parse the command line.

        :raises SystemExit: with the mistake as its text. For a UsageError, twistd would print its own usage first.
        """
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except usage.UsageError as error:
            why = str(error).rstrip(".")
            raise SystemExit(f"webrtcproxy: {why}; all options: twistd webrtcproxy --help") from None

    def postOptions(self) -> None:
        """Read the configuration before anything is started.

        :raises UsageError: no file is named.
        :raises SystemExit: with all mistakes as its text, a line for each; twistd prints them and exits with 1.
        """
        file = self["config"]
        if file is None:
            raise usage.UsageError("which configuration file? Name it, as in: twistd webrtcproxy -c etc/proxy.ini")
        if not self["check"] and self.parent is not None:
            lines = [f"webrtcproxy: {line}" for line in unwritable(self.parent)]
            if lines:
                raise SystemExit("\n".join(lines))
        try:
            self.loaded, mistakes = preflight(Path(file), self.checkers, check=bool(self["check"]))
            if self["check"]:
                for line in warnings_of(self.loaded):
                    sys.stdout.write(f"{self.loaded.path}: warning: {line}\n")
            mistakes.raise_any()
        except ConfigErrors as errors:
            raise SystemExit("\n".join(f"webrtcproxy: {mistake}" for mistake in errors.mistakes)) from None

        if self["check"]:
            sys.stdout.write(f"{self.loaded.path}: no mistake found\n")
            raise SystemExit(0)


def unwritable(options: Mapping[str, Any]) -> Iterator[str]:
    """Which of the files of twistd's own can't be written, with what to do; else the start would end in a traceback.

    :param options: of twistd itself.
    """
    if options["chroot"] or options["rundir"] not in (None, "."):
        return  # another folder, which twistd changes to later
    log_file = options["logfile"] or ("-" if options["nodaemon"] else "twistd.log")
    files = {"pidfile": options["pidfile"]}
    if log_file != "-" and not options["syslog"] and not options["logger"]:
        files["logfile"] = log_file
    for option, name in files.items():
        path = Path(name).absolute()
        folder = path.parent
        if not name or os.access(path if path.exists() else folder, os.W_OK):
            continue
        why = "Permission denied" if folder.is_dir() else "there is no such folder"
        remedy = f"start in a folder of your own, or name a file with twistd's --{option}="
        yield f"{path} can't be written ({why}); {remedy}"


def makeService(options: Options) -> MultiService:
    """Make the service that twistd runs.

    :param options: the parsed command line.
    """
    from twisted.internet import reactor

    escape_first(globalLogPublisher)
    use_steady_clock(reactor)
    end_without_lookups(reactor)
    service = build(options.loaded, reactor)
    Signals(reactor, service.hurry, service.reload).setServiceParent(service)  # type: ignore[no-untyped-call]
    Warnings(options.loaded).setServiceParent(service)  # type: ignore[no-untyped-call]
    return service
