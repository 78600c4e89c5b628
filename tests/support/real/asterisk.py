"""A real Asterisk in a root of its own: a PBX with accounts, and a trunk that trusts the proxy's address."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tests.support.authority import Authority
from tests.support.real.part import Part, until
from tests.support.real.ports import LOOPBACK, free_port, listens_udp

ROOT = Path(os.environ.get("ASTERISK_ROOT", "run/asterisk")).absolute()
CONFIGURATION = Path(__file__).parents[2] / "asterisk" / "conf"

PASSWORD = "wonderland"
"""Of each account."""

MUSIC = (b"\x80" * 8 + b"\x00" * 8) * 10
"""20 ms of its music on hold, which is 500 Hz: neither Chromium's microphone nor Firefox's has that. PCMU."""

DIRECT = "allow = !all,ulaw\ndirect_media = yes\ndirect_media_method = "
TIMERS = "timers = always\ntimers_sess_expires = 90\ntimers_min_se = 90"
IDENTITY = (
    "trust_id_inbound = yes\nsend_pai = yes\nsend_rpid = yes\ntrust_connected_line = yes\nsend_connected_line = yes"
)
ACCOUNTS = {
    "1001": "", "1002": "", "1003": "",
    "1011": f"{DIRECT}invite", "1012": f"{DIRECT}invite", "1013": f"{DIRECT}invite",
    "1021": f"{DIRECT}update",
    "1031": "media_encryption = sdes",
    "1041": "mailboxes = 1041@default",
    "1051": "bundle = yes",
    "1061": TIMERS, "1062": TIMERS,
    "1071": f"{IDENTITY}\ncallerid = Alice <1071>", "1072": f"{IDENTITY}\ncallerid = Bob <1072>",
    "1073": f"{IDENTITY}\ncallerid = Carol <1073>",
}  # fmt: skip
"""The numbers of the accounts, and what each has differently: pjsip.conf has what they have in common."""

PLACES = {
    "1042": "mailboxes = 1042@default",
    "1043": "qualify_frequency = 1\nqualify_timeout = 2\nqualify_2xx_only = yes",
}
"""Accounts of which the AOR has something differently."""


class Asterisk(Part):
    """Asterisk. Its accounts call each other and, by any other number, themselves; its log says who was shown as the
    caller.

    :ivar port: of its UDP and TCP.
    :ivar tls: of its TLS.
    :ivar proxy: the port to which it sends the calls of its trunk; 0 before lead_to().
    """

    name: ClassVar[str] = "asterisk"
    start_seconds: ClassVar[float] = 60

    def __init__(self) -> None:
        super().__init__()
        assert (ROOT / "usr/sbin/asterisk").exists(), f"no Asterisk in {ROOT}: run sh etc/asterisk.sh"
        self.port, self.tls, self.proxy = free_port(), free_port(), 0
        self._conf = Path(tempfile.mkdtemp(prefix="conf-", dir=ROOT / "tmp"))
        self._since = 0  # where the log of what runs now begins

    def lead_to(self, proxy: int, authority: Authority) -> None:
        """Write its configuration.

        :param proxy: port of the proxy to which it sends the calls of its trunk.
        :param authority: signs its certificate, for the domain tls.asterisk.test.
        """
        self.proxy = proxy
        (modules,) = ROOT.glob("usr/lib/*/asterisk/modules")
        rtp = 34000 + self.port % 1000 * 8
        words = {
            "folder": f"/tmp/{self._conf.name}", "modules": f"/{modules.relative_to(ROOT)}", "port": self.port,
            "tls": self.tls, "proxy": proxy, "rtp": rtp, "rtp_end": rtp + 100,
        }  # fmt: skip
        for file in CONFIGURATION.glob("*.conf"):
            text = file.read_text() + (_accounts() if file.name == "pjsip.conf" else "")
            (self._conf / file.name).write_text(re.sub("@([a-z_]+)@", lambda found: str(words[found[1]]), text))
        for source, name in zip(authority.issue("tls.asterisk.test", LOOPBACK), ("key.pem", "cert.pem"), strict=True):
            shutil.copy(source, self._conf / name)
        (self._conf / "moh").mkdir(exist_ok=True)
        (self._conf / "moh" / "tone.ulaw").write_bytes(MUSIC * 50 * 60)

    def command(self) -> Sequence[str]:
        """In the foreground, its log to stdout."""
        return (
            "chroot",
            str(ROOT),
            "/usr/sbin/asterisk",
            "-f",
            "-n",
            "-vvv",
            "-C",
            f"/tmp/{self._conf.name}/asterisk.conf",
        )

    def is_ready(self) -> bool:
        """Whether its UDP port is bound and it has loaded everything."""
        return listens_udp(self.port) and "Asterisk Ready" in self.log(self._since)

    async def order(self, text: str) -> str:
        """Give an order on its console; returns what it prints."""
        conf = f"/tmp/{self._conf.name}/asterisk.conf"
        words = ["chroot", str(ROOT), "/usr/sbin/asterisk", "-C", conf, "-rx", text]
        return subprocess.run(words, capture_output=True, text=True, timeout=10, check=True).stdout

    async def told(self, text: str, since: int = 0) -> None:
        """Wait until its log has this text.

        :param since: byte of the log from which it counts.
        """
        await until(lambda: text in self.log(since), f"{text!r} in Asterisk's log:\n{self.log()[-3000:]}")

    def kill(self) -> None:
        """End it as a power cut does: nobody is told, and the folder stays, for start() again."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self._since = self.log_size()

    def stop(self, seconds: float = 5) -> None:
        """End it; both of its folders go with it."""
        super().stop(seconds)
        shutil.rmtree(self._conf, ignore_errors=True)

    @property
    def host(self) -> str:
        """host:port for Request-URIs."""
        return f"{LOOPBACK}:{self.port}"


def _accounts() -> str:
    """The sections of pjsip.conf for each account."""
    return "".join(
        f"\n[{number}](account)\nauth = {number}\naors = {number}\n{ACCOUNTS.get(number, '')}\n"
        f"\n[{number}](login)\nusername = {number}\n"
        f"\n[{number}](place)\n{PLACES.get(number, '')}\n"
        for number in sorted(ACCOUNTS | PLACES)
    )
