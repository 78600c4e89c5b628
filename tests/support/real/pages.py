"""The test pages: bundled by esbuild, served on http://localhost (a secure context, as getUserMedia wants)."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tests.support.real.part import Part
from tests.support.real.ports import LOOPBACK, free_port, listens_tcp

SOURCE = Path(__file__).parents[2] / "browser" / "pages"


class Pages(Part):
    """A web server with the built pages: a process of its own, since Chromium keeps its connections open."""

    name: ClassVar[str] = "pages"

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        self._build()

    @property
    def origin(self) -> str:
        """The origin of the pages, for the proxy's `origins`."""
        return f"http://localhost:{self.port}"

    def url(self, library: str) -> str:
        """Where the phone on that library (`jssip` or `sipjs`) is."""
        return f"{self.origin}/index.html?library={library}"

    def command(self) -> Sequence[str]:
        """Python's own file server."""
        folder = str(self.folder / "build")
        return (sys.executable, "-m", "http.server", str(self.port), "--bind", LOOPBACK, "--directory", folder)

    def is_ready(self) -> bool:
        """Whether it listens."""
        return listens_tcp(self.port)

    def _build(self) -> None:
        """Install what is needed, and bundle."""
        install()
        _run("npm", "run", "--silent", "build", "--", f"--outdir={self.folder / 'build'}")
        shutil.copy(SOURCE / "index.html", self.folder / "build")


def install() -> None:
    """Install the packages of the pages by the lock file, where that was not done."""
    installed = SOURCE / "node_modules" / ".package-lock.json"
    lock = SOURCE / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        _run("npm", "ci", "--ignore-scripts")


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
