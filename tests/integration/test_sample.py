"""etc/proxy.ini exactly as it stands in the tree, started as README.rst says: it comes up where it lies, with a
certificate that it makes itself and an rtpengine that it spawns.

It lies in a folder of its own, and its three port numbers are replaced by free ones, so that a run beside this one can
have theirs; nothing else in it is changed. Its sockets are those of all addresses, as it says.
"""

import atexit
import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any, ClassVar
from urllib.error import HTTPError
from urllib.request import urlopen

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.support.real.part import Part, pause, runs, until
from tests.support.real.ports import LOOPBACK, free_port, listens_tcp, listens_udp
from tests.support.real.proxy import FAULTS, ROOT
from tests.support.real.softphone import Browser

PORTS = (("listen = ssl:8443 ", "wss"), ("listen = udp:5060 ", "sip"), ("listen = tcp:8080:", "web"))
"""Its lines with a port, up to what follows that, and what the port is for."""


class Sample(Part):
    """twistd with the sample, in the foreground."""

    name: ClassVar[str] = "sample"

    def __init__(self) -> None:
        super().__init__()
        self.ports = {what: free_port() for _, what in PORTS}
        text = (ROOT / "etc" / "proxy.ini").read_text()
        for line, what in PORTS:
            assert text.count(f"\n{line}") == 1, f"not in etc/proxy.ini: {line}"
            text = text.replace(f"\n{line}", f"\n{re.sub('[0-9]+', str(self.ports[what]), line)}")
        (self.folder / "etc").mkdir()
        (self.folder / "etc" / "proxy.ini").write_text(text)

    @property
    def twistd(self) -> str:
        """That of the interpreter that runs the tests."""
        return str(Path(sys.executable).with_name("twistd"))

    def command(self) -> Sequence[str]:
        """As README.rst has it."""
        return (self.twistd, "-n", "webrtcproxy", "-c", "etc/proxy.ini")

    def environment(self) -> dict[str, str]:
        """The package of this source tree, whatever is installed besides."""
        return {**os.environ, "PYTHONPATH": str(ROOT)}

    def listens(self, what: str) -> bool:
        """Whether its socket for that is open."""
        return (listens_udp if what == "sip" else listens_tcp)(self.ports[what])

    def is_ready(self) -> bool:
        """Whether it listens where the file says."""
        return all(map(self.listens, self.ports))


class Daemon(Sample):
    """The same without ``-n``: the command ends when the service is up, and twistd.log and twistd.pid are left."""

    name: ClassVar[str] = "sample-daemon"

    async def start(self) -> None:
        """Run the command, and wait until it serves."""
        atexit.register(self.stop)
        command = [word for word in self.command() if word != "-n"]
        ended = await deferToThread(
            subprocess.run, command, cwd=self.folder, env=self.environment(), capture_output=True, timeout=60
        )
        assert ended.returncode == 0, ended
        assert not ended.stdout + ended.stderr, ended
        await until(self.is_ready, "it listens")

    @property
    def pid(self) -> int:
        """What twistd.pid says."""
        return int((self.folder / "twistd.pid").read_text())

    def log(self, since: int = 0) -> str:
        """twistd.log."""
        return (self.folder / "twistd.log").read_text("utf-8", "replace")[since:]

    def terminate(self) -> None:
        """SIGTERM, as who has started it ends it."""
        os.kill(self.pid, SIGTERM)

    def stop(self, seconds: float = 5) -> None:
        """End it at once, where it is still there. Its folder goes with it."""
        atexit.unregister(self.stop)
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.kill(self.pid, SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


class AsItStands(TestCase):
    """`etc/proxy.ini` (field.rst Y1: Sample in a clone)."""

    timeout = 90

    async def started(self, part: Sample) -> Sample:
        self.addCleanup(part.stop)
        await part.start()
        return part

    async def browser(self, part: Sample, origin: str) -> Browser:
        phone = Browser("alice", part.ports["wss"], domain="my.voipprovider.example", origin=origin)
        self.addCleanup(phone.close)
        await phone.connect()
        return phone

    async def serves(self, part: Sample) -> None:
        """Pages from this host connect, are answered and call nobody; the phone page and /health are there."""
        browser = await self.browser(part, f"https://{LOOPBACK}:{part.ports['wss']}")
        answer = await browser.ask(browser.build("OPTIONS", f"sip:{LOOPBACK}"))
        self.assertEqual(answer.status, 200)
        self.assertIn("INVITE", answer.headers.get("Allow") or "")
        for target in ("echo@my.voipprovider.example", "echo@192.0.2.1", "bob@localhost"):
            self.assertEqual((await browser.invite(f"sip:{target}").final()).status, 403, target)
        with self.assertRaises(ConnectionError):
            await self.browser(part, "https://elsewhere.example")
        self.assertIn("password", await self.fetched(f"https://{LOOPBACK}:{part.ports['wss']}/settings.json"))
        health = f"http://{LOOPBACK}:{part.ports['web']}/health"
        for _ in range(50):
            told = await self.fetched(health)
            if told["healthy"]:
                break
            await pause(0.2)
        self.assertEqual((told["healthy"], told["rtpengine"], told["sockets"]), (True, "1 of 1", 1))

    async def fetched(self, url: str) -> dict[str, Any]:
        """The JSON there, whatever its certificate."""

        def fetch() -> dict[str, Any]:
            anybody = ssl._create_unverified_context() if url.startswith("https") else None
            try:
                answer = urlopen(url, timeout=5, context=anybody)
            except HTTPError as error:
                answer = error
            with answer:
                found: dict[str, Any] = json.load(answer)
                return found

        return await deferToThread(fetch)

    async def ends(self, part: Sample) -> None:
        """At SIGTERM it ends by itself, and its rtpengine with it."""
        pid = part.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        (engine,) = [int(one) for one in children if "rtpengine" in Path(f"/proc/{one}/comm").read_text()]
        part.terminate()
        await until(lambda: not runs(pid), "the process ended", 20)
        self.assertFalse(runs(engine))
        self.assertEqual([part.listens(what) for what in part.ports], [False] * 3)
        fault = FAULTS.search(part.log())
        self.assertIsNone(fault, part.log())
        self.assertFalse((part.folder / "twistd.pid").exists())

    async def test_foreground(self) -> None:
        """In the foreground it comes up, serves, and ends. Its certificate is for its owner alone, and stays the same
        when it is started again."""
        part = await self.started(Sample())
        made = part.folder / "etc" / "self-signed"
        self.assertEqual((made / "key.pem").stat().st_mode & 0o777, 0o600)
        certificate = (made / "cert.pem").read_bytes()
        await self.serves(part)
        await self.ends(part)
        await part.start()
        self.assertEqual((made / "cert.pem").read_bytes(), certificate)
        await self.serves(part)

    async def test_daemon(self) -> None:
        """As a daemon it does the same; what it logs is in twistd.log where it was started."""
        part = await self.started(Daemon())
        await self.serves(part)
        await self.ends(part)

    async def test_checked(self) -> None:
        """--check finds no mistake, tells whose certificate it is, and leaves nothing."""
        part = Sample()
        self.addCleanup(part.stop)
        command = (part.twistd, "webrtcproxy", "--check", "-c", "etc/proxy.ini")
        ended = await deferToThread(
            subprocess.run, command, cwd=part.folder, env=part.environment(), capture_output=True, text=True
        )
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        warning, verdict = ended.stdout.splitlines()
        self.assertIn("self-signed certificate", warning)
        self.assertTrue(verdict.endswith("proxy.ini: no mistake found"), verdict)
        self.assertEqual(
            [str(path.relative_to(part.folder)) for path in part.folder.rglob("*")], ["etc", "etc/proxy.ini"]
        )
