"""The bans over HTTP."""

from __future__ import annotations

import json

from twisted.internet.defer import succeed
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.access.bans import BanReport
from webrtcproxy.admin.web import web_service

BAN = BanReport(network="2001:db8::/64", reason="logins", seconds=77.5, times=2)


class BanListTests(SynchronousTestCase):
    """``/bans`` of the administrator's port (docs/access.rst, Strangers)."""

    def setUp(self) -> None:
        self.lifted: list[str] = []
        self.later = False
        reactor = MemoryReactorClock()
        web = web_service(reactor, ["tcp:8080"], lambda: {"healthy": True}, lambda: b"", lambda: [BAN], self.lift)
        web.privilegedStartService()
        self.site = reactor.tcpServers[0][1]
        self.site.doStart()
        self.addCleanup(self.site.doStop)

    def lift(self, name: str) -> bool:
        self.lifted.append(name)
        was_banned = name == "2001:db8::/64"
        return succeed(was_banned) if self.later else was_banned  # type: ignore[return-value]

    def ask(self, line: str, *headers: str) -> tuple[int, str, bytes]:
        """The status, the head and the body of a response."""
        channel = self.site.buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(
            "\r\n".join([f"{line} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]).encode()
        )
        head, _, body = transport.value().partition(b"\r\n\r\n")
        return int(head.split()[1]), head.decode().lower(), body

    def test_listed(self) -> None:
        """GET lists them as JSON."""
        status, head, body = self.ask("GET /bans")
        self.assertEqual((status, json.loads(body)), (200, [BAN]))
        self.assertIn("content-type: application/json", head)
        self.assertIn("cache-control: no-store", head)

    def test_lifted(self) -> None:
        """DELETE ends one, by an address or by the network as it is listed; 404 where there is none."""
        for self.later in (False, True):
            self.assertEqual(self.ask("DELETE /bans/2001:db8::/64")[0], 204)
            self.assertEqual(self.ask("DELETE /bans/2001:db8::%2F64")[0], 204)
            self.assertEqual(self.ask("DELETE /bans/203.0.113.1")[0], 404)
        self.assertEqual(self.lifted[:3], ["2001:db8::/64", "2001:db8::/64", "203.0.113.1"])

    def test_no_page_of_another_site(self) -> None:
        """A page can't lift a ban: a browser sends Origin with each DELETE, and asks with OPTIONS before one to another
        origin, which no response here permits (Fetch, sections 3.1 and 3.2.2)."""
        for origin in ("https://evil.example", "null", "http://x"):
            self.assertEqual(self.ask("DELETE /bans/2001:db8::/64", f"Origin: {origin}")[0], 403)
        self.assertEqual(self.lifted, [])
        preflight = ("Origin: https://evil.example", "Access-Control-Request-Method: DELETE")
        for line in ("OPTIONS /bans/2001:db8::/64", "GET /bans"):
            status, head, _ = self.ask(line, *preflight)
            self.assertNotIn("access-control", head)
            self.assertEqual(status, 200 if line.startswith("GET") else 501)

    def test_nonsense(self) -> None:
        """Octets that are no address lift nothing, and raise nothing."""
        for name in ("", "%00%ff", "x" * 5000, "../health"):
            self.assertEqual(self.ask(f"DELETE /bans/{name}")[0], 404)
