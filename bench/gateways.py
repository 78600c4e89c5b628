"""The gateways that are compared, and the rtpengine that they share."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from tests.support.real.part import Part
from tests.support.real.ports import LOOPBACK, free_port, listens_tcp, listens_udp
from tests.support.real.proxy import ROOT, Proxy
from tests.support.real.rtpengine import Rtpengine

HERE = Path(__file__).parent

INI = """
[wss]
listen = ssl:{wss}:interface=127.0.0.1:privateKey=key.pem:certKey=cert.pem
origins = *
page = no
connections = 100000
connections-per-address = 100000

[sip]
listen = udp:{sip}:interface=127.0.0.1

[rtpengine]
nodes = @ENGINE@
timeout = 5

[registrations]
multiple = no

[calls]
limit = 100000
limit-per-connection = 100000
limit-unregistered = 100000

[limits]
share = 100

[trunk sipp]
host = @TRUNK@

[access]
destinations = trunks

[web]
listen = tcp:{web}:interface=127.0.0.1

[logging]
level = info
"""


class Gateway(Protocol):
    """What is measured: a part that browsers and the trunk can reach.

    :ivar label: its name in the table.
    :ivar wss: its port for browsers.
    :ivar sip: its UDP port.
    """

    label: str
    wss: int
    sip: int

    @property
    def pid(self) -> int:
        """Its first process; all others descend from it."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""

    async def start(self) -> None:
        """Start, and wait until it serves."""

    def stop(self, seconds: float = 5) -> None:
        """End."""

    def log(self, since: int = 0) -> str:
        """What it printed."""


class Engine(Rtpengine):
    """rtpengine with ports for many calls, long timeouts for calls without media, and little to say.

    :param number: of several; each has a loopback address of its own for media, and with it all ports.
    """

    PORTS = range(10000, 65000)
    SOCKETS = 4
    """That it opens for a call, at most: each is a file."""
    OTHERS = 500
    """Other files of its own."""

    def __init__(self, number: int = 0) -> None:
        super().__init__()
        self.media = self.PORTS
        self._interface = f"127.0.0.{2 + number}"

    @classmethod
    def capacity(cls) -> int:
        """Calls that one of them can hold."""
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - cls.OTHERS
        return min(files, len(cls.PORTS)) // cls.SOCKETS

    def command(self) -> Sequence[str]:
        """The same as in the tests, but for these."""
        changes = {
            f"--interface={LOOPBACK}": f"--interface={self._interface}",
            "--timeout=60": "--timeout=7200",
            "--log-level=6": "--log-level=3",
        }
        return [changes.get(word, word) for word in super().command()]


COMPILED = Path("run/compiled").resolve()
"""Where `sh bench/run.sh` puts the package, compiled; see setup.py."""


class Webrtcproxy(Proxy):
    """The proxy as its user starts it, with its limits out of the way.

    :param engines: host:port of each rtpengine's ng socket.
    :param trunk: host:port that browsers call and register at.
    :param variant: what stands after ``webrtcproxy-`` in its label: ``pure`` for the sources as they are, else how
        many workers carry the calls.
    """

    def __init__(self, engines: Sequence[str], trunk: str, variant: str = "") -> None:
        text = f"{INI}\n[proxy]\nworkers = {variant}\n" if variant.isdigit() else INI
        super().__init__(text.replace("@ENGINE@", " ".join(engines)).replace("@TRUNK@", trunk))
        self.label = f"webrtcproxy-{variant}" if variant else "webrtcproxy"
        self._pure = variant == "pure"

    def environment(self) -> dict[str, str]:
        """The compiled package, unless the sources are wanted."""
        environment = super().environment()
        if not self._pure:
            if not COMPILED.is_dir():
                raise SystemExit(f"{COMPILED} is missing: `sh bench/run.sh` makes it")
            environment["PYTHONPATH"] = str(COMPILED)
        return environment


class Floor(Webrtcproxy):
    """The least that a gateway on Twisted can cost (floor.py).

    :param engines: host:port of rtpengine's ng socket; there is to be one.
    """

    def __init__(self, engines: Sequence[str]) -> None:
        super().__init__(engines, "")
        self.label = "floor"
        self._engine = engines[0]

    def command(self) -> Sequence[str]:
        """With the certificate of the proxy."""
        super().command()
        return (sys.executable, "-m", "bench.floor", str(self.wss), str(self.sip), self._engine)

    def environment(self) -> dict[str, str]:
        """The compiled package, and this one."""
        environment = super().environment()
        environment["PYTHONPATH"] = f"{COMPILED}:{ROOT}"
        return environment


class Kamailio(Part):
    """Debian's Kamailio with kamailio/gateway.cfg.

    :param engines: host:port of each rtpengine's ng socket.
    :param workers: processes for UDP, and as many for WSS; Kamailio's own default is 8.
    """

    name: ClassVar[str] = "kamailio"
    DEFAULT_WORKERS = 8

    def __init__(self, engines: Sequence[str], workers: int = DEFAULT_WORKERS) -> None:
        super().__init__()
        self.label = "kamailio" if workers == self.DEFAULT_WORKERS else f"kamailio-{workers}"
        self.wss, self.sip = free_port(), free_port()
        text = (HERE / "kamailio" / "gateway.cfg").read_text()
        words = {"HOST": LOOPBACK, "WSS_PORT": self.wss, "SIP_PORT": self.sip, "WORKERS": workers}
        words["NG"] = " ".join(f"udp:{engine}" for engine in engines)
        for word, value in words.items():
            text = text.replace(f"@{word}@", str(value))
        (self.folder / "gateway.cfg").write_text(text)

    def command(self) -> Sequence[str]:
        """In the foreground, with memory for some 5,000 clients."""
        self._run(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
            "-keyout key.pem -out cert.pem"
        )
        self._run(f"cc -shared -fPIC -O1 -o fork.so {HERE}/kamailio/fork.c -lpthread")
        return (
            "kamailio", "-f", str(self.folder / "gateway.cfg"), "-DD", "-E", "-Y", str(self.folder),
            "-w", str(self.folder), "-m", "1024", "-M", "16", "-P", str(self.folder / "pid"),
        )  # fmt: skip

    def environment(self) -> dict[str, str]:
        """With the remedy for its crashes (see fork.c)."""
        return {**os.environ, "LD_PRELOAD": str(self.folder / "fork.so")}

    def is_ready(self) -> bool:
        """Whether both sides listen."""
        return listens_tcp(self.wss) and listens_udp(self.sip)

    def _run(self, command: str) -> None:
        subprocess.run(command.split(), cwd=self.folder, check=True, capture_output=True)


LABELS = ("webrtcproxy", "webrtcproxy-pure", "kamailio", "kamailio-1")
"""What is compared where nothing else is said."""


def make(label: str, engines: Sequence[str], trunk: str) -> Gateway:
    """The gateway of that name.

    :param label: `webrtcproxy`, `webrtcproxy-pure`, `webrtcproxy-WORKERS`, `floor`, `kamailio` or
        `kamailio-WORKERS`.
    """
    kind, _, variant = label.partition("-")
    if kind == "webrtcproxy":
        return Webrtcproxy(engines, trunk, variant)
    if kind == "floor":
        return Floor(engines)
    return Kamailio(engines, int(variant or Kamailio.DEFAULT_WORKERS))
