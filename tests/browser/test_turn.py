"""Calls through Debian's coturn, with the credentials that the proxy makes (docs/access.rst: TURN)."""

import time
from typing import Any, ClassVar

from tests.browser.case import BrowserCase
from tests.support.real.coturn import SECRET
from tests.support.real.lab import LAB
from webrtcproxy.config import TurnConfig
from webrtcproxy.config.ini import Secret
from webrtcproxy.users.turn import IceServer, IceServers

UNAUTHORIZED = 401


class TurnCase(BrowserCase):
    """A BrowserCase with coturn."""

    async def setUp(self) -> None:
        await super().setUp()
        self.coturn = await LAB.coturn()

    def ice_servers(self, transport: str = "udp", secret: str = SECRET, ago: float = 0) -> list[IceServer]:
        """What the proxy tells alice, `ago` seconds ago."""
        config = TurnConfig((self.coturn.uri(transport),), Secret(secret), 3600)
        return IceServers(config, lambda: time.time() - ago).of("alice@pbx.test", 3600)[0]


class RelayOnly:
    """A browser that may use relay candidates only, as behind a firewall that lets nothing else through."""

    library: ClassVar[str]

    async def _call(self, transport: str) -> dict[str, Any]:
        sipp = await self.sipp("uas")
        ice = {"iceServers": self.ice_servers(transport), "iceTransportPolicy": "relay"}
        phone = await self.phone(self.library, ice=ice)
        await phone.do("call", f"sip:echo@{sipp.host}")
        await phone.event("confirmed")
        figures = await phone.assert_audio()
        await phone.do("hangup")
        await phone.event("ended")
        await sipp.passed()
        return figures

    async def test_audio_over_udp(self) -> None:
        """coturn takes the credentials, and audio goes both ways through it."""
        figures = await self._call("udp")
        self.assertEqual(("relay", "udp"), (figures["candidate"], figures["relayProtocol"]))


class JsSipRelayOnly(RelayOnly, TurnCase):
    """With JsSIP."""

    library = "jssip"

    async def test_audio_over_tcp(self) -> None:
        """The same where UDP does not get through to the TURN server."""
        figures = await self._call("tcp")
        self.assertEqual(("relay", "tcp"), (figures["candidate"], figures["relayProtocol"]))

    async def test_audio_over_tls(self) -> None:
        """The same where nothing but TLS gets out of a company: a turns: URI (RFC 7065)."""
        figures = await self._call("tls")
        self.assertEqual(("relay", "tls"), (figures["candidate"], figures["relayProtocol"]))


class SipJsRelayOnly(RelayOnly, TurnCase):
    """With SIP.js."""

    library = "sipjs"


class FirefoxRelayOnly(RelayOnly, TurnCase):
    """With SIP.js in Firefox."""

    library, browser_name = "sipjs", "firefox"


class Credentials(TurnCase):
    """Which credentials coturn takes."""

    async def _gather(self, servers: list[IceServer]) -> dict[str, Any]:
        phone = await self.phone("jssip")
        found: dict[str, Any] = await phone.do("gather", servers)
        return found

    async def test_valid(self) -> None:
        """What the proxy makes gives a relay candidate."""
        found = await self._gather(self.ice_servers())
        self.assertTrue(found["candidates"])
        self.assertTrue(all("typ relay" in candidate for candidate in found["candidates"]), found)

    async def test_expired(self) -> None:
        """Credentials whose time is over give none: 401."""
        found = await self._gather(self.ice_servers(ago=3601))
        self.assertEqual([], found["candidates"])
        self.assertIn(UNAUTHORIZED, found["errors"])

    async def test_other_secret(self) -> None:
        """What somebody has made who does not know the secret gives none: 401."""
        found = await self._gather(self.ice_servers(secret="a-secret-that-is-guessed"))
        self.assertEqual([], found["candidates"])
        self.assertIn(UNAUTHORIZED, found["errors"])

    async def test_other_user(self) -> None:
        """The password of one user name does not go with another, nor with another time."""
        (server,) = self.ice_servers()
        for username in (server["username"].replace("alice", "bob"), "9" + server["username"]):
            found = await self._gather([{**server, "username": username}])
            self.assertEqual([], found["candidates"], username)
