"""A DNS server on loopback, of twisted.names: tells what a test gives it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.names import dns
from twisted.names.authority import FileAuthority
from twisted.names.server import DNSServerFactory


class Zone(FileAuthority):
    """The records of ``test``, from memory.

    :ivar records: by name.
    """

    def __init__(self) -> None:
        super().__init__("")

    def loadFile(self, filename: str) -> None:
        soa = dns.Record_SOA(mname=b"ns.test", rname=b"root.test", serial=1, minimum=5, ttl=5)
        self.soa = (b"test", soa)
        self.records: dict[bytes, list[Any]] = {b"test": [soa]}


class DnsServer:
    """Listens on UDP and TCP of one port of 127.0.0.1.

    :ivar asked: name and type of each question.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._zone = Zone()
        self._ports: list[Any] = []
        self.asked: list[tuple[str, int]] = []
        zone_query = self._zone.query

        def query(query: dns.Query, timeout: Any = None) -> Any:
            self.asked.append((str(query.name), query.type))
            return zone_query(query, timeout)

        self._zone.query = query  # type: ignore[method-assign]

    def add(self, name: str, *records: Any, ttl: int = 60) -> None:
        """Have some records for a name below ``test``."""
        for record in records:
            record.ttl = ttl
        self._zone.records.setdefault(name.encode(), []).extend(records)

    def clear(self, name: str) -> None:
        """Forget a name."""
        self._zone.records.pop(name.encode(), None)

    def listen(self, port: int = 0) -> int:
        """Begin; returns the port."""
        factory = DNSServerFactory(authorities=[self._zone])
        factory.noisy = False
        protocol = dns.DNSDatagramProtocol(factory)
        protocol.noisy = False
        udp = self._reactor.listenUDP(port, protocol, "127.0.0.1")
        number: int = udp.getHost().port
        self._ports = [udp, self._reactor.listenTCP(number, factory, interface="127.0.0.1")]
        return number

    def stop(self) -> Deferred[Any]:
        """End."""
        return gatherResults([maybeDeferred(port.stopListening) for port in self._ports])
