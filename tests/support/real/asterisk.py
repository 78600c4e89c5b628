"""A real Asterisk in a root of its own: a PBX with accounts, and a trunk that trusts the proxy's address."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tests.support.real.part import Part, until
from tests.support.real.ports import LOOPBACK, free_port, listens_udp

ROOT = Path(os.environ.get("ASTERISK_ROOT", "run/asterisk")).absolute()

CONFIGURATION = {
    "asterisk.conf": """
[directories]
astetcdir = {folder}
astmoddir = {modules}
astvarlibdir = /var/lib/asterisk
astdbdir = {folder}
astkeydir = {folder}
astdatadir = /usr/share/asterisk
astagidir = {folder}
astspooldir = {folder}
astrundir = {folder}
astlogdir = {folder}
""",
    "modules.conf": """
[modules]
autoload = yes
noload = chan_iax2.so
noload = res_pjsip_transport_websocket.so
noload = cdr_csv.so
""",
    "logger.conf": "[logfiles]\nconsole = notice,warning,error,verbose\n",
    "rtp.conf": "[general]\nrtpstart = {rtp}\nrtpend = {rtp_end}\nicesupport = no\n",
    "extensions.conf": """
[general]
[calls]
exten => _[+0-9].,1,Verbose(0,CALL ${{EXTEN}} FROM ${{CALLERID(num)}} PAI ${{PJSIP_HEADER(read,P-Asserted-Identity)}})
 same => n,Answer()
 same => n,Echo()
 same => n,Hangup()
""",
    "pjsip.conf": """
[udp]
type = transport
protocol = udp
bind = 127.0.0.1:{port}

; an account: registers, digest
[1001]
type = endpoint
context = calls
disallow = all
allow = ulaw
auth = 1001
aors = 1001
direct_media = no

[1001]
type = auth
auth_type = userpass
username = 1001
password = wonderland

[1001]
type = aor
max_contacts = 5

; a trunk without a registrar: whoever has this address
[proxy]
type = endpoint
context = calls
disallow = all
allow = ulaw
aors = proxy
direct_media = no
trust_id_inbound = yes

[proxy]
type = aor
contact = sip:127.0.0.1:{proxy}

[proxy]
type = identify
endpoint = proxy
match = 127.0.0.1
match_header = X-Trunk: proxy

[global]
type = global
endpoint_identifier_order = auth_username,username,header,ip
""",
}


class Asterisk(Part):
    """Asterisk. It answers each number and echoes; its log says who was shown as the caller."""

    name: ClassVar[str] = "asterisk"
    start_seconds: ClassVar[float] = 60

    def __init__(self) -> None:
        super().__init__()
        assert (ROOT / "usr/sbin/asterisk").exists(), f"no Asterisk in {ROOT}: run sh etc/asterisk.sh"
        self.port = free_port()
        inside = Path(tempfile.mkdtemp(prefix="conf-", dir=ROOT / "tmp"))
        self._conf = inside

    def lead_to(self, proxy: int) -> None:
        """Write its configuration.

        :param proxy: port of the proxy to which it sends the calls of its trunk.
        """
        (modules,) = ROOT.glob("usr/lib/*/asterisk/modules")
        rtp = 34000 + self.port % 1000 * 8
        words = {
            "folder": f"/tmp/{self._conf.name}", "modules": f"/{modules.relative_to(ROOT)}", "port": self.port,
            "proxy": proxy, "rtp": rtp, "rtp_end": rtp + 100,
        }  # fmt: skip
        for name, text in CONFIGURATION.items():
            (self._conf / name).write_text(text.format(**words))

    def command(self) -> Sequence[str]:
        """In the foreground, its log to stdout."""
        conf = f"/tmp/{self._conf.name}/asterisk.conf"
        return "chroot", str(ROOT), "/usr/sbin/asterisk", "-f", "-n", "-vvv", "-C", conf

    def is_ready(self) -> bool:
        """Whether its UDP port is bound and it has loaded everything."""
        return listens_udp(self.port) and "Asterisk Ready" in self.log()

    async def order(self, text: str) -> str:
        """Give an order on its console; returns what it prints."""
        conf = f"/tmp/{self._conf.name}/asterisk.conf"
        words = ["chroot", str(ROOT), "/usr/sbin/asterisk", "-C", conf, "-rx", text]
        return subprocess.run(words, capture_output=True, text=True, timeout=10, check=True).stdout

    async def told(self, text: str) -> None:
        """Wait until its log has this text."""
        await until(lambda: text in self.log(), f"{text!r} in Asterisk's log:\n{self.log()[-3000:]}")

    @property
    def host(self) -> str:
        """host:port for Request-URIs."""
        return f"{LOOPBACK}:{self.port}"
