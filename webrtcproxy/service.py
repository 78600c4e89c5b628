"""``twistd webrtcproxy``: its options, and the one place that builds every object and joins them."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

from twisted.application.service import MultiService, Service
from twisted.internet.interfaces import IReactorCore
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    LogPublisher,
    globalLogPublisher,
)
from twisted.python import usage

from webrtcproxy import __version__
from webrtcproxy.config import Config, ConfigError, load


def build(config: Config, reactor: IReactorCore) -> MultiService:
    """Build every object once and join them.

    :param config: the whole configuration.
    :param reactor: the only reactor there is.
    :returns: the service that listens when it is started, and ends what it began when it is stopped.
    """
    proxy = MultiService()
    LogLevelLimit(config.logging.level, globalLogPublisher).setServiceParent(proxy)  # type: ignore[no-untyped-call]
    # ---- The wiring goes here. ----
    return proxy


class LogLevelLimit(Service):
    """Hides log events below a level from the observers that twistd has set up, for as long as it runs.

    Where the log goes to is twistd's own affair (``--logfile``, ``--syslog``, ``--logger``).

    :param level: the lowest level that passes, by name.
    :param publisher: the one whose observers are meant.
    """

    def __init__(self, level: str, publisher: LogPublisher) -> None:
        self._passes = LogLevelFilterPredicate(LogLevel.levelWithName(level))
        self._publisher = publisher
        self._replaced: list[tuple[ILogObserver, ILogObserver]] = []

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        # A publisher tells its observers to nobody, and twistd gives no other hold on the one that it has made.
        for observer in tuple(self._publisher._observers):
            limited = FilteringLogObserver(observer, [self._passes])
            self._replace(observer, limited)
            self._replaced.append((observer, limited))

    def stopService(self) -> None:
        super().stopService()  # type: ignore[no-untyped-call]
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
        "A gateway between browsers and a SIP trunk or PBX: SIP over WebSocket on one side, SIP over UDP on the other, "
        "and rtpengine for the media between them. Where the log goes, under which user it runs and whether it stays "
        "in the foreground are options of twistd, in front of the word webrtcproxy."
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
