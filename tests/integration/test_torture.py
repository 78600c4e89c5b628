"""The 61 torture messages of RFC 4475 and RFC 5118 on the wire, treated as the table in tests/data/torture says."""

import re
from pathlib import Path
from typing import ClassVar, NamedTuple

from twisted.internet import reactor
from twisted.internet.protocol import DatagramProtocol

from tests.support.real.case import RealCase
from tests.support.real.part import pause, until
from tests.support.real.softphone import Browser, Peer

DATA = Path(__file__).parents[1] / "data" / "torture"
SENDER = "127.0.0.7"
PARSER = {400, 505, 513}
POLICY = {401, 403, 404, 407}
BRANCH = re.compile(rb"branch=z9hG4bK[^;,\s]*")
TOP_VIA_PORT = re.compile(rb"(?mi)^(?:via|v)[ \t]*:\s*SIP\s*/[^;,]*?[^\s:]:\s*(\d+)\s*[;,\r\n]")
STATUS = re.compile(rb"SIP/2\.0 (\d{3}) ")


class Row(NamedTuple):
    """One row of the table."""

    file: str
    treat: str
    codes: frozenset[int]

    @property
    def data(self) -> bytes:
        """The message."""
        return (DATA / self.file).read_bytes()


def table() -> list[Row]:
    """The rows of the table in README.md: file, section, kind, treat, codes asked, ..."""
    rows = []
    for line in (DATA / "README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0].endswith(".dat"):
            rows.append(Row(cells[0], cells[3], frozenset(map(int, re.findall(r"\d{3}", cells[4])))))
    assert len(rows) == 61, len(rows)
    return rows


class _Ear(DatagramProtocol):
    """Another port of the sender: where the Via of a message says that its answers go."""

    def __init__(self, heard: list[bytes]) -> None:
        self._heard = heard

    def datagramReceived(self, data: bytes, address: object) -> None:
        self._heard.append(data)


class OverUdp(RealCase):
    """From an address of a trunk's, 127.0.0.7: an answer is heard wherever the Via's port sends it."""

    changes: ClassVar = (("host = 127.0.0.1:@plain@", f"host = 127.0.0.1:@plain@\nsources = 127.0.0.1/32 {SENDER}/32"),)
    timeout = 120

    async def test_all(self) -> None:
        """Each message is treated as the table says, and OPTIONS after it is answered 200
        (original.rst: garbage of all sorts)."""
        sender = await self.peer(5060, SENDER)
        wire = Wire(sender, [], f"sip:127.0.0.1:{self.proxy.sip}")
        for port in self._other_ports():
            listening = reactor.listenUDP(port, _Ear(wire.heard), SENDER)
            self.addCleanup(listening.stopListening)
        faults = []
        for row in table():
            faults += await wire.judge(row)
        self.assertEqual([], faults)

    def _other_ports(self) -> set[int]:
        """The ports that the top Vias name, and that are not the sender's own."""
        ports = set()
        for row in table():
            via = TOP_VIA_PORT.search(row.data)
            if via and 1024 < int(via.group(1)) < 65536:
                ports.add(int(via.group(1)))
        return ports - {5060}


class OverWebSocket(RealCase):
    """From a browser: answers come back on its connection."""

    timeout = 120

    async def test_all(self) -> None:
        """Each message is treated as the table says, and OPTIONS after it is answered 200."""
        wire = Wire(await self._listener([]), [], f"sip:127.0.0.1:{self.proxy.sip}")
        faults = []
        for row in table():
            if wire.sender.closed.called:
                wire.sender = await self._listener(wire.heard)
            if row.file == "rfc4475/dblreq.dat":
                row = row._replace(treat="either")  # a WebSocket message is exactly one SIP message (RFC 7118 5)
            faults += await wire.judge(row)
        self.assertEqual([], faults)

    async def _listener(self, heard: list[bytes]) -> Browser:
        browser = await self.browser()
        browser.heard = heard.append  # type: ignore[method-assign]
        return browser


class Wire:
    """Sends messages, and compares what comes back with the table.

    :param heard: where `sender` puts what it hears.
    :param target: what OPTIONS goes to.
    """

    def __init__(self, sender: Browser | Peer, heard: list[bytes], target: str) -> None:
        self.sender, self.heard, self._target = sender, heard, target
        self.sender.heard = self.heard.append  # type: ignore[method-assign]
        self._before: set[bytes] = set()
        self._branches: list[bytes] = []

    async def judge(self, row: Row) -> list[str]:
        """Send one message, and OPTIONS after it. Returns what was not as the table says."""
        self._before.update(self.heard)
        self.heard.clear()
        self.sender.send_bytes(self._unlike_before(row.data))
        if row.treat in ("accept", "reject"):
            try:
                await until(self._statuses, "an answer", 5)
            except AssertionError:
                return [f"{row.file}: no answer"]
        else:
            await pause(0.05)
        statuses = self._statuses()
        if isinstance(self.sender, Browser) and self.sender.closed.called:
            return [fault for fault in [_fault(row, statuses)] if fault]
        options = self.sender.build("OPTIONS", self._target)
        self.sender.send(options)
        own = options.call_id.encode()
        try:
            await until(lambda: any(own in data for data in self.heard), "200 to OPTIONS", 3)
        except AssertionError:
            return [f"{row.file}: no answer to OPTIONS behind it"]
        alive = {_status(data) for data in self.heard if own in data}
        faults = [_fault(row, statuses), None if alive == {200} else f"{row.file}: {alive} to OPTIONS behind it"]
        return [fault for fault in faults if fault]

    def _unlike_before(self, data: bytes) -> bytes:
        """The message; with another branch where one before it had the same, and so would be the same transaction."""
        found = BRANCH.search(data)
        if found is None or len(found.group()) == len(b"branch=z9hG4bK"):
            return data
        self._branches.append(found.group())
        repeats = self._branches.count(found.group()) - 1
        return data.replace(found.group(), found.group() + b"-%d" % repeats, 1) if repeats else data

    def _statuses(self) -> set[int]:
        """The final answers that are no repeats of what came before."""
        return {status for data in self.heard if data not in self._before and (status := _status(data)) >= 200}


def _status(data: bytes) -> int:
    found = STATUS.match(data)
    return int(found.group(1)) if found else 0


def _fault(row: Row, statuses: set[int]) -> str | None:
    """What is wrong with these answers to that message, or None."""
    if row.treat == "silent":
        return f"{row.file}: {statuses} to a message that must stay without an answer" if statuses else None
    if row.treat == "accept" and statuses & PARSER:
        return f"{row.file}: {statuses}, and it is well-formed"
    if row.treat == "reject" and not statuses <= row.codes | POLICY:
        return f"{row.file}: {statuses}, not {set(row.codes)}"
    return None
