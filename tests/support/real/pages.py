"""The test pages: bundled by esbuild, served on http://localhost (a secure context, as getUserMedia wants)."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tests.support.real.part import Part
from tests.support.real.ports import LOOPBACK, free_port, listens_tcp

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "tests" / "browser" / "pages"

OLDER = {"jssip-3.3": "jssip", "jssip-3.9": "jssip", "jssip-3.10": "jssip", "sip.js-0.20": "sip.js"}
"""Older releases, as package.json names them, each with the package in whose place a page is built with it."""


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
        """Where the phone on that library is: `jssip`, `sipjs`, `sipjs-0.15`, `simpleuser`, or one of `OLDER`."""
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
        build = ("npm", "run", "--silent", "build", "--")
        _run(*build, f"--outdir={self.folder / 'build'}")
        for older, package in OLDER.items():
            _run(*build, f"--alias:{package}={older}", f"--outdir={self.folder / older}")
            shutil.copy(self.folder / older / f"{package.replace('.', '')}.js", self.folder / "build" / f"{older}.js")
        shutil.copy(SOURCE / "index.html", self.folder / "build")


def install() -> None:
    """Install the packages of the pages, where that was not done by this lock file."""
    _run("sh", str(ROOT / "etc" / "setup.sh"), "npm", str(SOURCE.relative_to(ROOT)))


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
