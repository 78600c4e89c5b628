"""Logging in with a token (docs/tokens.rst): a real twistd at level debug, and a real web server with the keys."""

from __future__ import annotations

import json
import ssl
from typing import ClassVar
from urllib.error import HTTPError
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

from twisted.internet.threads import deferToThread

from tests.support.real.case import RealCase
from tests.support.real.issuer import DOMAIN, Issuer, configured, issued, parts_of
from tests.support.real.part import pause, until
from tests.support.real.softphone import Browser
from tests.support.tokens import public_jwk
from webrtcproxy.sip.authentication import Challenge
from webrtcproxy.sip.message import Response

EXPIRED = (3000, "the token has expired")
PAGE = "https://phone.test"


class TokensCase(RealCase):
    """A proxy whose users have tokens; no token is in its log afterwards."""

    lines: ClassVar[tuple[str, ...]] = ("query = token", "cookie = session")
    more: ClassVar[tuple[tuple[str, str], ...]] = (("origins = *", f"origins = {PAGE}"),)
    at_first: ClassVar[bool] = True
    issuer: ClassVar[Issuer]

    async def setUp(self) -> None:
        cls = type(self)
        if "issuer" not in cls.__dict__:
            cls.issuer = Issuer()
            cls.changes = (*configured(f"keys = {cls.issuer.url}", *cls.lines), *cls.more)
            if cls.at_first:
                await cls.issuer.start()
        self.tokens: list[str] = []
        await super().setUp()
        self.addCleanup(self.assert_silent)

    def assert_silent(self) -> None:
        """No token that was shown is in the log."""
        log = self.proxy.log(self._log_start)
        for token in self.tokens:
            for part in parts_of(token):
                self.assertNotIn(part, log)

    def token(self, user: str = "alice", seconds: float = 600, **how: object) -> str:
        """A token of a user."""
        self.tokens.append(issued(user, seconds, **how))  # type: ignore[arg-type]
        return self.tokens[-1]

    async def home(self, user: str = "alice", **options: object) -> Browser:
        """A scripted browser of a user of the domain, connected."""
        return await self.browser(user, domain=DOMAIN, **options)

    async def bearer(self, token: str, user: str = "alice") -> Browser:
        """One that connects with a token in Authorization, as programs do."""
        return await self.home(user, headers={"Authorization": f"Bearer {token}"})

    async def refused(self, **options: object) -> str:
        """Why a browser can't connect."""
        try:
            await self.home(**options)
        except ConnectionError as error:
            return str(error)
        raise AssertionError("it was let in")

    async def registers(self, browser: Browser, *credentials: str) -> Response:
        """The final response to its REGISTER."""
        request = browser.registration()
        for value in credentials:
            request.headers.add("Authorization", value)
        browser.send(request)
        return await browser.response(request)


class Connecting(TokensCase):
    """The token comes with the WebSocket."""

    async def test_each_way(self) -> None:
        """In Authorization, a subprotocol, the query, and a cookie: its user registers at once, without a challenge,
        and nobody else does."""
        for options in (
            {"headers": {"Authorization": f"Bearer {self.token()}"}},
            {"protocols": ("sip", f"token.{self.token()}")},
            {"path": f"/?token={self.token()}"},
            {"headers": {"Cookie": f"a=b; session={self.token()}"}, "origin": PAGE},
        ):
            browser = await self.home(**options)
            self.assertEqual(200, (await self.registers(browser)).status)
            await browser.close()
            mallory = await self.home("mallory", **options)
            self.assertEqual(401, (await self.registers(mallory)).status)
            await mallory.close()

    async def test_calls(self) -> None:
        """Who has logged in calls a number by the trunk of the domain, without a REGISTER; the trunk sees no token."""
        alice, trunk = await self.bearer(self.token()), await self.peer()
        calling = alice.invite(f"sip:+49301@{DOMAIN}", headers=[("Authorization", f"Bearer {self.token()}")])
        invite = await trunk.request("INVITE")
        self.assertNotIn("Bearer", str(invite.headers.get("Authorization")))
        callee = trunk.accept(invite)
        caller = await calling.answered()
        await trunk.request("ACK")
        await self.hang_up(caller, callee)

    async def test_bootstrap(self) -> None:
        """The bootstrap document is for who has a token, in the same places; it is valid for no longer than the token,
        and none is in it."""
        url = f"https://127.0.0.1:{self.proxy.wss}/bootstrap.json"

        def get(query: str, **headers: str) -> tuple[int, dict[str, object]]:
            request = UrlRequest(url + query, headers={"Origin": PAGE, **headers})
            try:
                with urlopen(request, timeout=5, context=ssl._create_unverified_context()) as response:
                    return response.status, json.loads(response.read())
            except HTTPError as error:
                return error.code, json.loads(error.read())

        token = self.token(seconds=100)
        for query, headers in (
            ("", {"Authorization": f"Bearer {token}"}), (f"?token={token}", {}), ("", {"Cookie": f"session={token}"}),
        ):  # fmt: skip
            status, document = await deferToThread(get, query, **headers)
            self.assertEqual(
                (200, f"sip:alice@{DOMAIN}", "Alice"), (status, document["address"], document["displayName"])
            )
            self.assertIn(document["expires"], range(90, 101))
            self.assertNotIn(token, str(document))
        self.assertEqual(401, (await deferToThread(get, ""))[0])
        self.assertEqual(401, (await deferToThread(get, "", Authorization=f"Bearer {self.token(seconds=-1)}"))[0])

    async def test_without(self) -> None:
        """Without a token a browser connects, and gets a challenge that offers both ways."""
        browser = await self.home()
        lines = (await self.registers(browser)).headers.lines("WWW-Authenticate")
        self.assertEqual(["Bearer", "Digest", "Digest"], [Challenge.parse(line).scheme for line in lines])

    async def test_refused(self) -> None:
        """Wrong, expired, for others, signed by others, too long, twice, in a cookie without Origin: the handshake
        fails, and says as little as it can."""
        wrong = self.token()[:-8] + "AAAAAAAA"
        for token in (wrong, self.token(seconds=-1), self.token(aud="https://other.test"), "x" * 9000):
            self.assertIn("401", await self.refused(path=f"/?token={token}"))
        both = {"path": f"/?token={self.token()}", "protocols": ("sip", f"token.{self.token()}")}
        self.assertIn("400", await self.refused(**both))
        cookie = {"Cookie": f"session={self.token()}"}
        self.assertIn("403", await self.refused(headers=cookie, origin=None))
        self.assertIn("403", await self.refused(headers=cookie, origin="https://evil.test"))

    async def test_huge(self) -> None:
        """64 kB are refused before anything of them is read."""
        await self.refused(path=f"/?token={'x' * 65536}")
        await self.refused(headers={"Authorization": f"Bearer {'x' * 65536}"})
        browser = await self.home()
        self.assertEqual(513, (await self.registers(browser, f"Bearer {'x.y.' * 12000}")).status)


class Guessing(TokensCase):
    """Who tries tokens."""

    lines = ("query = token",)

    async def test_delayed(self) -> None:
        """Guesses are delayed; who comes back with an old token is not."""
        for _ in range(6):
            self.assertIn("401", await self.refused(path=f"/?token={self.token(seconds=-1)}"))
        seen = [await self.refused(path=f"/?token={self.token(kind='EC')}") for _ in range(4)]
        self.assertEqual([True, True, True, False], ["401" in line for line in seen])
        self.assertIn("429", seen[-1])


class BySip(TokensCase):
    """The token comes with a SIP request (RFC 8898)."""

    async def test_register(self) -> None:
        """REGISTER with a token; the same connection needs no further one."""
        browser = await self.home()
        self.assertEqual(200, (await self.registers(browser, f"Bearer {self.token()}")).status)
        self.assertEqual(200, (await self.registers(browser)).status)

    async def test_wrong(self) -> None:
        """A wrong one gets a challenge that says so."""
        browser = await self.home()
        response = await self.registers(browser, f"Bearer {self.token(seconds=-1)}")
        challenge = Challenge.parse(response.headers.lines("WWW-Authenticate")[0])
        self.assertEqual((401, "invalid_token"), (response.status, challenge.params["error"]))


class Expiring(TokensCase):
    """The end of a token."""

    async def test_idle(self) -> None:
        """An idle connection is closed at the end of its token, which a newer one puts off."""
        browser = await self.bearer(self.token(seconds=2))
        self.assertEqual(200, (await self.registers(browser, f"Bearer {self.token(seconds=4)}")).status)
        await pause(3)
        self.assertFalse(browser.closed.called)
        self.assertEqual(EXPIRED, await browser.closed)

    async def test_in_call(self) -> None:
        """A call goes on over the end of the token, both ways, until somebody hangs up; then the connection is
        closed."""
        alice, trunk = await self.bearer(self.token(seconds=2)), await self.peer()
        calling = alice.invite(f"sip:+49301@{DOMAIN}")
        callee = trunk.accept(await trunk.request("INVITE"))
        caller = await calling.answered()
        await trunk.request("ACK")
        await pause(4)
        info = caller.send("INFO", [("Content-Type", "application/dtmf-relay")], b"Signal=1\r\nDuration=100\r\n")
        trunk.reply(await trunk.request("INFO"), 200)
        self.assertEqual(200, (await alice.response(info)).status)
        self.assertEqual(407, (await alice.invite(f"sip:+49302@{DOMAIN}").final()).status)
        await self.hang_up(caller, callee)
        self.assertEqual(EXPIRED, await alice.closed)


class Required(TokensCase):
    """No WebSocket without a token; at its end the user is logged out."""

    lines = ("required = yes", "on-expiry = logout")

    async def test_required(self) -> None:
        """Without one, and with one where it is not looked for, the handshake fails."""
        self.assertIn("401", await self.refused())
        self.assertIn("401", await self.refused(path=f"/?token={self.token()}"))
        await self.bearer(self.token())

    async def test_logout(self) -> None:
        """The connection stays, and its user is a stranger on it."""
        alice = await self.bearer(self.token(seconds=2))
        self.assertEqual(200, (await self.registers(alice)).status)
        await pause(3)
        self.assertFalse(alice.closed.called)
        self.assertEqual(401, (await self.registers(alice)).status)


class KeysGone(TokensCase):
    """A web server with the keys that is not there when the proxy starts, comes, and goes."""

    at_first = False

    async def test_down(self) -> None:
        """Without keys nobody can say who it is (503); when the server is there, a token lets in within seconds; when
        it is gone, the keys stay. A key that nobody knows is looked for once, and only once a minute."""
        self.assertIn("503", await self.refused(path=f"/?token={self.token()}"))
        issuer = type(self).issuer
        await issuer.start()
        self.addCleanup(issuer.stop)
        await until(lambda: "keys for tokens were read" in self.proxy.log(self._log_start), "the keys", 8)
        await self.bearer(self.token())
        issuer.publish(public_jwk("EC", kid="second"))
        self.assertIn("401", await self.refused(path=f"/?token={self.token(kind='EC', kid='second')}"))
        issuer.terminate()
        await until(lambda: not issuer.alive, "the end of the issuer")
        await self.bearer(self.token())


class Workers(TokensCase):
    """With two workers."""

    more = (("origins = *", f"origins = {PAGE}"), ("workers = @workers@", "workers = 2"))

    async def test_each(self) -> None:
        """Each worker verifies tokens by itself, and users reach each other whichever has their connections."""
        bob = await self.bearer(self.token("bob"), "bob")
        self.assertEqual(200, (await self.registers(bob)).status)
        for _ in range(6):
            alice = await self.bearer(self.token())
            self.assertEqual(200, (await self.registers(alice)).status)
            message = alice.build("MESSAGE", f"sip:bob@{DOMAIN}")
            alice.send(message)
            bob.reply(await bob.request("MESSAGE"), 200)
            self.assertEqual(200, (await alice.response(message)).status)
            await alice.close()
