"""The real twistd with files as people write them: what decides nothing is taken, and what is wrong is told in a line
that says where and what to do, by ``--check`` and by the start alike."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.support.real.ports import LOOPBACK, free_port
from tests.support.real.proxy import ROOT, Proxy, make_certificate, without_media
from tests.support.real.softphone import Browser

MARK = b"\xef\xbb\xbf"
"""A byte order mark in UTF-8."""


def crlf(path: Path) -> None:
    """Write a file again as an editor of Windows does."""
    path.write_bytes(MARK + path.read_bytes().replace(b"\n", b"\r\n"))


class OfWindows(Proxy):
    """A proxy whose files an editor of Windows has written."""

    def command(self) -> tuple[str, ...]:
        """The file, the key and the certificate have byte order marks then, and other line ends."""
        command = tuple(super().command())
        for path in (self.file, self.folder / "key.pem", self.folder / "cert.pem"):
            crlf(path)
        return command


class Taken(TestCase):
    """Files that it comes up with."""

    timeout = 60

    async def comes_up(self, proxy: Proxy) -> None:
        """A browser is answered, and so is the port for metrics; the log has no fault."""
        self.addCleanup(proxy.stop)
        await proxy.start()
        browser = Browser("alice", proxy.wss, origin=f"https://{LOOPBACK}:{proxy.wss}")
        self.addCleanup(browser.close)
        await browser.connect()
        self.assertEqual((await browser.ask(browser.build("OPTIONS", f"sip:{LOOPBACK}"))).status, 200)
        self.assertEqual((await proxy.samples())["sockets"], 1)
        proxy.assert_clean()

    async def test_byte_order_mark(self) -> None:
        """A byte order mark and line ends of Windows, in the file, the key and the certificate; a file that two were
        joined to (field.rst Y2: Byte order mark)."""
        text = without_media(f"{LOOPBACK}:9")
        await self.comes_up(OfWindows(text))
        await self.comes_up(Proxy(text.replace("\n[", "\n\ufeff[")))

    async def test_endpoints(self) -> None:
        """The port by its name and at another place, the kind in upper case, an address of IPv6 as it is (field.rst Y4:
        Endpoint written otherwise)."""
        text = without_media(f"{LOOPBACK}:9", f"tcp:interface=::1:port={free_port()}")
        for old, new in (
            ("ssl:{wss}:", "SSL:port={wss}:"),
            (f"udp:{{sip}}:interface={LOOPBACK}", f"UDP:interface={LOOPBACK}:port={{sip}}"),
            ("tcp:{web}:", "tcp:port={web}:"),
        ):
            assert old in text, old
            text = text.replace(old, new)
        await self.comes_up(Proxy(text))


class Told(TestCase):
    """Files that it does not come up with."""

    timeout = 60

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="webrtcproxy-configuration-"))
        self.addCleanup(shutil.rmtree, self.folder)
        make_certificate(self.folder)
        (self.folder / "tls").mkdir()
        make_certificate(self.folder / "tls")
        command = ["openssl", "pkey", "-in", "key.pem", "-aes256", "-passout", "pass:secret", "-out", "locked.pem"]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)

    async def said(self, text: str) -> str:
        """What --check and the start print, which is the same and one line; both exit with 1, and leave nothing."""
        (self.folder / "proxy.ini").write_text(text)
        before = sorted(self.folder.rglob("*"))
        told = set()
        for check in (["--check"], []):
            twistd = str(Path(sys.executable).with_name("twistd"))
            ended = await deferToThread(
                subprocess.run, (twistd, "webrtcproxy", *check, "-c", "proxy.ini"), cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            )  # fmt: skip
            self.assertEqual(ended.returncode, 1)
            told.add(ended.stderr)
        self.assertEqual(sorted(self.folder.rglob("*")), before)
        (line,) = told
        self.assertEqual(line.count("\n"), 1, line)
        return line

    async def test_pairs(self) -> None:
        """Key and certificate swapped, for each place that has them; of different pairs; and with a password, for which
        nobody is asked (field.rst Y3: Key and certificate swapped)."""
        swapped, other, locked = ("cert.pem", "key.pem"), ("tls/key.pem", "cert.pem"), ("locked.pem", "cert.pem")
        for place, pair, told in (
            ("wss", swapped, "swap the two"),
            ("sip", swapped, "swap the two"),
            ("trunk", swapped, "swap the two"),
            ("sip", other, "does not belong to the certificate"),
            ("trunk", locked, "has a password; take it out"),
        ):
            files = dict.fromkeys(("wss", "sip", "trunk"), ("key.pem", "cert.pem")) | {place: pair}
            wss, sip, trunk = ("privateKey={}:certKey={}".format(*files[name]) for name in files)
            ours = trunk.replace("privateKey", "tls-key").replace(":certKey", "\ntls-certificate")
            line = await self.said(
                f"[wss]\nlisten = ssl:{free_port()}:interface={LOOPBACK}:{wss}\n"
                f"[sip]\nlisten = udp:{free_port()}:interface={LOOPBACK}\n"
                f"    tls:{free_port()}:interface={LOOPBACK}:{sip}\n"
                f"[rtpengine]\nnodes = {LOOPBACK}:9\n[trunk a]\nhost = voip.example\ntransport = tls\n{ours}\n"
            )
            self.assertIn(told, line)
            self.assertIn(f": [{place.replace('trunk', 'trunk a')}] ", line)
            self.assertNotIn("pass phrase", line)
