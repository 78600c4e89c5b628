"""The test pages: bundled by esbuild, served on http://localhost (a secure context, as getUserMedia wants)."""

import atexit
import shutil
import subprocess
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.interfaces import IListeningPort
from twisted.web.server import Site
from twisted.web.static import File

from tests.support.real.ports import LOOPBACK, free_port

SOURCE = Path(__file__).parents[2] / "browser" / "pages"


class Pages:
    """The folder with the built pages, and the port that they are served on while a test runs."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="webrtcproxy-pages-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.port = free_port()
        self._listening: IListeningPort | None = None
        self._build()

    @property
    def origin(self) -> str:
        """The origin of the pages, for the proxy's `origins`."""
        return f"http://localhost:{self.port}"

    def url(self, library: str) -> str:
        """Where the phone on that library (`jssip` or `sipjs`) is."""
        return f"{self.origin}/index.html?library={library}"

    def serve(self) -> None:
        """Listen. Not for longer than one test: trial wants the reactor clean after each."""
        self._listening = reactor.listenTCP(self.port, Site(File(str(self.folder)), timeout=None), interface=LOOPBACK)

    async def stop_serving(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            await self._listening.stopListening()

    def _build(self) -> None:
        """Install by the lock file where that was not done, and bundle."""
        installed = SOURCE / "node_modules" / ".package-lock.json"
        lock = SOURCE / "package-lock.json"
        if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
            _run("npm", "ci", "--ignore-scripts")
        _run("npm", "run", "--silent", "build", "--", f"--outdir={self.folder}")
        shutil.copy(SOURCE / "index.html", self.folder)


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
