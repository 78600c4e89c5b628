"""The far ends: SIPp as trunk, as registrar and as caller, and the browsers."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from tests.support.real.part import Part
from tests.support.real.ports import LOOPBACK, free_port, free_ports, listens_udp

HERE = Path(__file__).parent


class Sipp(Part):
    """SIPp with a scenario of sipp/.

    :param scenario: the file's name without `.xml`.
    :param port: its own; a free one where it is 0.
    :param options: more of its command line.
    :param target: host:port that it calls; None where it is called.
    """

    name: ClassVar[str] = "sipp"

    def __init__(self, scenario: str, port: int = 0, options: Sequence[str] = (), target: str | None = None) -> None:
        super().__init__()
        self.file = HERE / "sipp" / f"{scenario}.xml"
        self.port = port or free_port()
        self.options = tuple(options)
        self.target = target

    def command(self) -> Sequence[str]:
        """On loopback, with its counters in a file."""
        return (
            "sipp", *([self.target] if self.target else []), "-sf", str(self.file), "-i", LOOPBACK, "-bind_local",
            "-p", str(self.port), "-cp", str(free_port()), "-mi", LOOPBACK, "-mp", str(free_ports(6)[0]),
            "-nostdin", "-buff_size", "4194304", "-max_socket", "4000",
            "-trace_stat", "-stf", "counters.csv", "-fd", "1", "-trace_err", "-error_file", "errors", *self.options,
        )  # fmt: skip

    def is_ready(self) -> bool:
        """Whether its port is bound."""
        return listens_udp(self.port)

    def end(self, seconds: float = 4) -> int:
        """Let it end by itself.

        :returns: how many calls have failed here.
        """
        assert self.process is not None
        if self.alive:
            self.process.send_signal(signal.SIGUSR1)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        rows = self._table("counters.csv")
        return int(rows[-1]["FailedCall(C)"]) if rows else 0

    def times(self) -> list[float]:
        """Milliseconds from INVITE to 200 of each call; SIPp's clock goes in steps of some milliseconds."""
        files = self.folder.glob("*_rtt.csv")
        return [float(list(row.values())[1]) for file in files for row in self._table(file.name)]

    def errors(self) -> str:
        """What it had to complain about."""
        file = self.folder / "errors"
        return file.read_text("utf-8", "replace") if file.exists() else self.log()[-500:]

    def _table(self, name: str) -> list[dict[str, str]]:
        file = self.folder / name
        if not file.exists():
            return []
        with file.open() as lines:
            return list(csv.DictReader(lines, delimiter=";"))


class Trunk(Sipp):
    """Answers every call."""

    def __init__(self, port: int) -> None:
        # For as long as a BYE may come again (RFC 3261 section 17.1.2.2): to a call that it forgot, it is a fault.
        super().__init__("trunk", port, ("-deadcall_wait", "33000"))


class Registrar(Sipp):
    """Registers everybody, and knows where to call them."""

    def __init__(self, port: int) -> None:
        # A refresh has the Call-ID of the registration: no call may linger.
        super().__init__("registrar", port, ("-deadcall_wait", "0", "-trace_logs", "-log_file", "registered"))

    def registered(self) -> dict[str, tuple[str, str]]:
        """By user: the Contact and the Path, without < and >."""
        found = {}
        for line in (self.folder / "registered").read_text().splitlines():
            if line.count("|") == 2:
                aor, contact, path = line.split("|")
                found[aor.partition("sip:")[2].partition("@")[0]] = contact.strip(" <>"), path.strip()
        return found


class Caller(Sipp):
    """Calls the browsers that have registered, one after the other, and ends.

    :param browsers: by user, the URI to call and the Path to go by.
    :param rate: calls a second.
    :param calls: how many.
    :param hold: milliseconds that a call lasts.
    """

    def __init__(self, browsers: dict[str, tuple[str, str]], rate: float, calls: int, hold: int) -> None:
        rows = [(user, uri.split(";"), _route(path).split(";")) for user, (uri, path) in browsers.items()]
        uri, path = next(iter(browsers.values()))
        hop = re.search(r"sips?:(?:[^@>;]*@)?([^;>]+)", path or uri)
        assert hop, f"neither {uri} nor {path} tells where to send to"
        options = ("-inf", "browsers.csv", "-r", str(round(rate)), "-m", str(calls), "-l", str(max(calls, 10)),
                   "-d", str(hold), "-trace_rtt", "-rtt_freq", "1", "-recv_timeout", "10000",
                   "-timeout", str(round(calls / rate + hold / 1000 + 20)))  # fmt: skip
        super().__init__("caller", 0, options, hop[1])
        uris, routes = len(rows[0][1]), len(rows[0][2])
        text = self.file.read_text().replace("@URI@", _fields(1, uris)).replace("@ROUTE@", _fields(1 + uris, routes))
        self.file = self.folder / "caller.xml"
        self.file.write_text(text)
        lines = [";".join([user, *uri, *route]) for user, uri, route in rows]
        (self.folder / "browsers.csv").write_text("\n".join(["SEQUENTIAL", *lines, ""]))

    def finish(self, seconds: float) -> None:
        """Wait until all calls are over."""
        assert self.process is not None
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait()


def _route(path: str) -> str:
    return f"Route: {path}" if path else "X-Load: yes"


def _fields(first: int, count: int) -> str:
    return ";".join(f"[field{number}]" for number in range(first, first + count))


class Browsers:
    """The browsers of browser/load.js.

    :param options: of its command line.
    """

    def __init__(self, **options: object) -> None:
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "--", "node", str(HERE / "browser" / "load.js"), *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip

    def go_on(self) -> None:
        """Let them do what comes next."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")

    def wait_for(self, event: str) -> dict[str, Any]:
        """What they tell next, which must be this.

        :raises RuntimeError: it is not.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        told: dict[str, Any] = json.loads(line or '{"event": "the end"}')
        if told["event"] != event:
            raise RuntimeError(f"the browsers should have come to {event!r}, but: {told}")
        return told

    def stop(self) -> None:
        """End them, whatever they do."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
