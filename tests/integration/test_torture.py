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
        """Each message is treated as the table says, and OPTIONS behind it is answered 200."""
        sender = await self.peer(5060, SENDER)
        heard: list[bytes] = []
        sender.heard = heard.append  # type: ignore[method-assign]
        for port in self._other_ports():
            listening = reactor.listenUDP(port, _Ear(heard), SENDER)
            self.addCleanup(listening.stopListening)
        faults = await judge(sender, heard, f"sip:127.0.0.1:{self.proxy.sip}")
        self.assertEqual([], faults)

    def _other_ports(self) -> set[int]:
        """The ports that the top Vias name, and that are not the sender's own."""
        ports = set()
        for row in table():
            via = re.search(rb"(?mi)^(?:via|v)\s*:[^\r\n]*?(?:\r\n[ \t][^\r\n]*?)*?:(\d+)", row.data)
            if via and 1024 < int(via.group(1)) < 65536:
                ports.add(int(via.group(1)))
        return ports - {5060}


class OverWebSocket(RealCase):
    """From a browser: answers come back on its connection."""

    timeout = 120

    async def test_all(self) -> None:
        """Each message is treated as the table says, and OPTIONS behind it is answered 200."""
        browser = await self.browser()
        heard: list[bytes] = []
        browser.heard = heard.append  # type: ignore[method-assign]
        faults = await judge(browser, heard, f"sip:127.0.0.1:{self.proxy.sip}")
        self.assertEqual([], faults)


async def judge(sender: Browser | Peer, heard: list[bytes], target: str) -> list[str]:
    """Send every message, and OPTIONS after each. Returns what was not as the table says."""
    faults = []
    rows = table()
    assert len(rows) == 61, len(rows)
    for row in rows:
        heard.clear()
        sender.send_bytes(row.data)
        if row.treat in ("accept", "reject"):
            try:
                await until(lambda: _finals(heard), "an answer", 1)
            except AssertionError:
                faults.append(f"{row.file}: no answer")
        options = sender.build("OPTIONS", target)
        sender.send(options)
        call_id = options.call_id.encode()
        try:
            await until(lambda call_id=call_id: any(call_id in data for data in heard), "200 to OPTIONS", 3)
        except AssertionError:
            faults.append(f"{row.file}: no answer to OPTIONS behind it")
            continue
        if row.treat == "silent":
            await pause(0.05)
        (alive,) = {_status(data) for data in heard if call_id in data}
        if alive != 200:
            faults.append(f"{row.file}: {alive} to OPTIONS behind it")
        others = {_status(data) for data in heard if call_id not in data and _status(data) != 100}
        if (fault := _fault(row, others)) is not None:
            faults.append(fault)
    return faults


def _finals(heard: list[bytes]) -> set[int]:
    return {status for status in map(_status, heard) if status >= 200}


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
    if row.treat != "accept" and 200 in statuses and row.treat == "reject":
        return f"{row.file}: obeyed"
    return None
