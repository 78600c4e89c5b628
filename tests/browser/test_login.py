"""Users of a domain log in by password and by token, with JsSIP and with SIP.js, in Chromium and in Firefox."""

import tempfile
from pathlib import Path
from typing import ClassVar

from tests.browser.case import BrowserCase, Phone
from tests.support.real.https import ask, basic
from tests.support.real.kamailio import PASSWORDS
from webrtcproxy.users.passwd import set_password


class LoginCase(BrowserCase):
    """The domain phone.test with alice and bob."""

    async def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="webrtcproxy-users-"))
        for user, password in PASSWORDS.items():
            set_password(folder / "users", f"{user}@phone.test", password, "phone.test")
        domain = f"[domain phone.test]\nusers = {folder / 'users'}\ntrunk = plain\n\n[access]\n"
        self.changes = (("[access]\n", domain),)
        await super().setUp()

    async def by_password(self, library: str, user: str) -> Phone:
        """A phone that registers with the user's password."""
        phone = await self.phone(library, user, uri=f"sip:{user}@phone.test")
        self.assertEqual(200, (await phone.register())["code"])
        return phone

    async def by_token(self, library: str, user: str) -> Phone:
        """A phone that has the token of the user's bootstrap document, and no password."""
        document = (await ask(self.proxy.wss, "/bootstrap.json", basic(user, PASSWORDS[user]))).document
        phone = await self.phone(
            library, user, password="none", server=f"{self.proxy.url}?token={document['token']}",
            uri=document["address"],
        )  # fmt: skip
        self.assertEqual(200, (await phone.register())["code"])
        return phone

    async def call(self, alice: Phone, bob: Phone) -> None:
        """alice calls bob: audio both ways; bob hangs up."""
        await alice.do("call", "sip:bob@phone.test")
        self.assertIn("alice@phone.test", (await bob.event("incoming"))["from"])
        await bob.do("answer")
        for phone in (alice, bob):
            await phone.event("confirmed")
        for phone in (alice, bob):
            await phone.assert_audio()
        await bob.do("hangup")
        self.assertEqual("remote", (await alice.event("ended"))["by"])


class Logins:
    """What holds with either library and browser; the classes below name them."""

    library: ClassVar[str]

    async def test_password(self) -> None:
        """Both log in with their passwords (RFC 8760), and one calls the other."""
        await self.call(await self.by_password(self.library, "alice"), await self.by_password(self.library, "bob"))

    async def test_token(self) -> None:
        """Both have tokens and no password: REGISTER and INVITE are challenged by nobody."""
        await self.call(await self.by_token(self.library, "alice"), await self.by_token(self.library, "bob"))

    async def test_other_user(self) -> None:
        """With the token of one user nobody registers as another."""
        document = (await ask(self.proxy.wss, "/bootstrap.json", basic("alice", PASSWORDS["alice"]))).document
        server = f"{self.proxy.url}?token={document['token']}"
        phone = await self.phone(self.library, "bob", password="none", server=server, uri="sip:bob@phone.test")
        await phone.do("register")
        self.assertIn((await phone.event("registrationFailed"))["code"], (401, 403))


class JsSipInChromium(Logins, LoginCase):
    """JsSIP in Chromium."""

    library = "jssip"


class SipJsInChromium(Logins, LoginCase):
    """SIP.js in Chromium."""

    library = "sipjs"


class JsSipInFirefox(Logins, LoginCase):
    """JsSIP in Firefox."""

    library, browser_name = "jssip", "firefox"


class SipJsInFirefox(Logins, LoginCase):
    """SIP.js in Firefox."""

    library, browser_name = "sipjs", "firefox"
