"""One real program as a child process: its files, its log, its start and its end."""

import atexit
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from twisted.internet import reactor, task
from twisted.internet.defer import Deferred

POLL = 0.02
"""Seconds between two looks at a condition that is waited for."""


def pause(seconds: float) -> Deferred[None]:
    """A Deferred that fires with None after `seconds`."""
    return task.deferLater(reactor, seconds)


async def until(condition: Callable[[], object], what: str, seconds: float = 10) -> object:
    """Wait until condition() is true.

    Returns what it returned. Raises AssertionError that names `what` when `seconds` have passed.
    """
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        await pause(POLL)
    return value


def runs(pid: int) -> bool:
    """Whether that process lives; one that is dead and only not buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Part:
    """A child process with a folder of its own and one log file for what it prints.

    It is ended with the test run at the latest: by atexit, and by the kernel where the run itself is killed.
    """

    name: ClassVar[str] = "part"
    start_seconds: ClassVar[float] = 60

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"webrtcproxy-{self.name}-"))
        self.log_file = self.folder / f"{self.name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        """The program and its arguments."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Whether it serves now."""
        raise NotImplementedError

    def environment(self) -> dict[str, str] | None:
        """The environment of the child; None: ours."""
        return None

    @property
    def pid(self) -> int:
        """The process id of the running child."""
        assert self.process is not None, f"{self.name} was not started"
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether the child runs."""
        return self.process is not None and self.process.poll() is None

    async def start(self) -> None:
        """Start the child and wait until it serves. Raises AssertionError, with its log, where it does not."""
        program, *arguments = self.command()
        found = shutil.which(program)
        assert found, f"{program} is not installed: `sh etc/test.sh` installs what the tests need"
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", found, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.environment(),
            )
        atexit.register(self.stop)
        try:
            await until(lambda: self.is_ready() or not self.alive, f"{self.name} ready", self.start_seconds)
            assert self.alive, f"{self.name} ended with {self.process.returncode} before it was ready"
        except AssertionError as error:
            log = self.log()
            self.stop()
            raise AssertionError(f"{error}\n{log[-8000:]}") from None

    def log(self, since: int = 0) -> str:
        """What the child printed, from byte `since` on."""
        if not self.log_file.exists():
            return ""
        with self.log_file.open("rb") as file:
            file.seek(since)
            return file.read().decode("utf-8", "replace")

    def log_size(self) -> int:
        """How many bytes the child has printed."""
        return self.log_file.stat().st_size if self.log_file.exists() else 0

    def terminate(self) -> None:
        """Ask the child to end (SIGTERM), and do not wait."""
        assert self.process is not None
        self.process.terminate()

    def stop(self, seconds: float = 5) -> None:
        """End the child: SIGTERM, and SIGKILL after `seconds`. Its folder goes with it. Twice is once."""
        atexit.unregister(self.stop)
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
