"""Pages that log in with a token, in Chromium with JsSIP and with SIP.js (docs/tokens.rst)."""

from __future__ import annotations

from typing import ClassVar

from tests.browser.case import BrowserCase, Phone
from tests.support.real.issuer import DOMAIN, Issuer, configured, issued
from tests.support.real.lab import LAB


class TokensCase(BrowserCase):
    """A proxy whose users have tokens, and no passwords."""

    line = "query = token"
    issuer: ClassVar[Issuer]

    async def setUp(self) -> None:
        cls = type(self)
        if "issuer" not in cls.__dict__:
            cls.issuer = Issuer()
            await cls.issuer.start()
            cls.changes = (*configured(f"keys = {cls.issuer.url}", cls.line), *await cls.more())
        await super().setUp()

    @classmethod
    async def more(cls) -> tuple[tuple[str, str], ...]:
        """Further changes of the configuration."""
        return ()

    async def in_house(self, library: str, user: str = "alice", **config: object) -> Phone:
        """A phone of a user of the domain, connected; it has no password."""
        return await self.phone(library, user, "", uri=f"sip:{user}@{DOMAIN}", **config)


class WithTokens:
    """What holds with either library; the classes below name it."""

    library: ClassVar[str]
    other: ClassVar[str]

    async def test_query(self) -> None:
        """The token in the query: the page registers without a challenge, calls another one, and is heard."""
        alice = await self.in_house(self.library, server=f"{self.proxy.url}?token={issued('alice')}")
        bob = await self.in_house(self.other, "bob", server=f"{self.proxy.url}?token={issued('bob')}")
        self.assertEqual(200, (await alice.register())["code"])
        self.assertEqual(200, (await bob.register())["code"])
        await self.talk(alice, bob, DOMAIN)

    async def test_subprotocol(self) -> None:
        """The token as a subprotocol beside ``sip``."""
        alice = await self.in_house(self.library, protocol=f"token.{issued('alice')}")
        self.assertEqual(200, (await alice.register())["code"])

    async def test_bearer(self) -> None:
        """The token with the REGISTER (RFC 8898), as the library sends it; a call without another challenge."""
        sipp = await self.sipp("uas")
        alice = await self.in_house(self.library, bearer=f"Bearer {issued('alice')}")
        self.assertEqual(200, (await alice.register())["code"])
        await alice.do("call", f"sip:+49301@{DOMAIN}")
        await alice.event("confirmed")
        await alice.do("hangup")
        await alice.event("ended")
        await sipp.passed()

    async def test_wrong(self) -> None:
        """A token that is not valid: the page is told 401, and can read the response with its two kinds of
        challenges."""
        alice = await self.in_house(self.library, bearer=f"Bearer {issued('alice', -5)}")
        await alice.do("register")
        self.assertEqual(401, (await alice.event("registrationFailed"))["code"])

    async def test_expires(self) -> None:
        """At the end of its token the page is disconnected; not in a call."""
        sipp = await self.sipp("uas")
        alice = await self.in_house(self.library, server=f"{self.proxy.url}?token={issued('alice', 5)}")
        await alice.register()
        await alice.do("call", f"sip:+49301@{DOMAIN}")
        await alice.event("confirmed")
        await alice.assert_audio(20)
        self.assertNotIn("disconnected", await alice.events())
        await alice.do("hangup")
        await alice.event("ended")
        await alice.event("disconnected", 15)
        await sipp.passed()


class JsSipWithTokens(WithTokens, TokensCase):
    """With JsSIP."""

    library, other = "jssip", "sipjs"


class SipJsWithTokens(WithTokens, TokensCase):
    """With SIP.js."""

    library, other = "sipjs", "jssip"


class Cookies(TokensCase):
    """The proxy serves the pages, too; the token is in a cookie of their origin."""

    line = "cookie = session"

    @classmethod
    async def more(cls) -> tuple[tuple[str, str], ...]:
        folder = (await LAB.pages()).folder / "build"
        return (("origins = *\n", ""), ("page = no", f"page = {folder}"))

    async def open(self, library: str) -> Phone:
        """A page of the proxy's, connected."""
        where = self.proxy.url.replace("wss", "https")
        tab = await self.tools.open(f"{where}index.html?library={library}", own_scripts=True)
        phone = Phone(tab, library, "alice")
        config = {"server": self.proxy.url, "uri": f"sip:alice@{DOMAIN}"}
        self.assertEqual("connected", await phone.do("start", config))
        return phone

    async def test_cookie(self) -> None:
        """Chromium sends the cookie by itself, with the Origin of the page: a page of either library is logged in.
        Without the cookie it is a stranger."""
        url = self.proxy.url.replace("wss", "https")
        cookie = {"name": "session", "url": url, "sameSite": "Strict", "secure": True, "httpOnly": True}
        self.addCleanup(self.tools.command, "Storage.clearCookies")
        for library in ("jssip", "sipjs"):
            await self.tools.command("Storage.setCookies", cookies=[{**cookie, "value": issued("alice")}])
            self.assertEqual(200, (await (await self.open(library)).register())["code"])
            await self.tools.command("Storage.clearCookies")
            other = await self.open(library)
            await other.do("register")
            self.assertEqual(401, (await other.event("registrationFailed"))["code"])
