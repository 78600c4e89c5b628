"""What must not be in the log of a proxy that tells all that it can (corners.rst 5: Privacy; CONTRIBUTING)."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar
from urllib.error import HTTPError
from urllib.request import urlopen

import jwt
from twisted.internet.threads import deferToThread

from tests.support.real import digest
from tests.support.real.case import RealCase
from tests.support.real.dialog import Calling
from tests.support.real.domain import DOMAIN, HOME, NUMBER, Home
from tests.support.real.https import Response as HttpResponse
from tests.support.real.https import ask, basic
from tests.support.real.kamailio import PASSWORDS
from tests.support.real.part import pause, until
from tests.support.real.ports import LOOPBACK, free_port
from tests.support.real.softphone import Browser
from tests.support.sdp import lines
from webrtcproxy.sip.message import Response


class Log(RealCase):
    """A proxy at level debug."""

    changes = (("level = info", "level = debug"),)

    async def test_no_secrets(self) -> None:
        """A registration with a password, a call with the trunk's password, digits by INFO, and a re-INVITE that
        rtpengine refuses: neither passwords nor digests, keys of ICE, fingerprints or digits are told."""
        browser, trunk = await self.registered(), await self.peer()
        caller, callee = await self.connected(browser, trunk)
        info = caller.send("INFO", [("Content-Type", "application/dtmf-relay")], b"Signal=8\r\nDuration=777\r\n")
        trunk.reply(await trunk.request("INFO"), 200)
        self.assertEqual(200, (await browser.response(info)).status)
        refused = caller.send("INVITE", body=b"v=0\r\nthis is none\r\na=ice-pwd:thisIsNoSdpButHasAKeyInIt\r\n")
        self.assertEqual(488, (await Calling(browser, refused, True).final()).status)
        await self.hang_up(caller, callee)
        await until(lambda: "call over" in self.proxy.log(self._log_start), "the line of the call")
        log = self.proxy.log(self._log_start)
        secrets = ["wonderland", "secret", "Signal=", "Duration=", "ice-pwd", "ice-ufrag", "fingerprint", "a=crypto"]
        for message in (*browser.received, *trunk.received):
            secrets += [line.partition(":")[2] for line in lines(message.body, "a=ice-")]
            for name in ("Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate"):
                secrets += message.headers.lines(name)
        for secret in secrets:
            self.assertNotIn(secret, log)


PAGE = "https://phone.test"
AUDIENCE = "phones-of-home.test"
TURN_SECRET = "fedcba98765432100123456789abcdef"
TOKEN_SECRET = "the-secret-that-is-shared-with-the-issuer"
WRONG = "open the door"
"""A password that is nobody's."""
REFUSED = {401, 429, 503}
"""Guesses are refused unseen, too, where they come too early."""


class UsersCase(RealCase):
    """A proxy at level debug whose users log in at the proxy itself: over SIP, WebSocket and HTTP, rightly and wrongly
    (docs/security.rst)."""

    home: ClassVar[Home]
    key: ClassVar[Path]

    async def setUp(self) -> None:
        cls = type(self)
        if "home" not in cls.__dict__:
            cls.home = Home()
            cls.key = cls.home.folder / "token.secret"
            cls.key.touch(0o600)
            cls.key.write_text(TOKEN_SECRET)
            sections = (
                f"[tokens]\nsecret-file = {cls.key}\naudience = {AUDIENCE}\ndomain = {DOMAIN}\nquery = token\n"
                f"cookie = session\n\n[turn]\nservers = turn:turn.test\nsecret = {TURN_SECRET}\n\n[trunk plain]\n"
            )
            cls.changes = (
                *cls.home.changes, ("origins = *", f"origins = {PAGE}"), ("[trunk plain]\n", sections),
                ("level = info", "level = debug"),
            )  # fmt: skip
        self.answers: list[HttpResponse] = []
        self.phones: list[Browser] = []
        self.shown: list[str] = []
        await super().setUp()

    async def at_home(self, user: str = "alice", password: str = "", **options: object) -> Browser:
        """A scripted browser of the domain, connected."""
        phone = await self.browser(user, domain=DOMAIN, password=password, origin=PAGE, **options)
        self.phones.append(phone)
        return phone

    async def get(self, path: str = "/bootstrap.json", **headers: str) -> HttpResponse:
        """Ask for the document."""
        self.shown += [value.partition(" ")[2] for name, value in headers.items() if name == "Authorization"]
        self.answers.append(await ask(self.proxy.wss, path, headers))
        return self.answers[-1]

    def token(self, **claims: object) -> str:
        """A token of alice."""
        now = int(time.time())
        given = {"sub": "alice", "aud": AUDIENCE, "iat": now, "exp": now + 600, **claims}
        token = jwt.encode(given, TOKEN_SECRET, "HS256")
        self.shown += token.split(".")[1:]  # the header is the same for all
        return token

    def check(self) -> str:
        """What ``--check`` writes."""
        command = [*self.proxy.command(), "--check"]
        environment = self.proxy.environment()
        run = subprocess.run(
            command, cwd=self.proxy.folder, env=environment, capture_output=True, text=True, timeout=30, check=False
        )
        return run.stdout + run.stderr

    def secrets(self) -> Iterator[str]:
        """What nobody may be told: passwords and their hashes, and the secrets of the configuration."""
        yield from (*HOME.values(), WRONG, TURN_SECRET, TOKEN_SECRET, PASSWORDS["alice"])
        hashes = re.findall(r"(?:md5|sha-256)=(\w+)", self.home.users.read_text())
        self.assertEqual(2 * len(HOME), len(hashes))
        yield from hashes

    async def assert_no_secrets(self, by_trunk: object = (), checked: str = "", more: str = "") -> None:
        """Nothing secret is in the log, in what is read on the port of the operator, or in a response; nothing that was
        shown in a login is in the log or on that port.

        :param by_trunk: the messages that a trunk has received.
        :param checked: what ``--check`` has written.
        :param more: a further secret.
        """
        web = [
            await deferToThread(read, f"http://{LOOPBACK}:{self.proxy.web}{path}")
            for path in ("/metrics", "/bans", "/health")
        ]
        await pause(1)  # lines are written together, half a second later
        log = self.proxy.log(self._log_start)
        self.assertIn(f"alice@{DOMAIN} is registered", log)
        told = "\n".join([log, checked, *web])
        said = [str(each.headers) + each.body.decode() for each in self.answers]
        said += [message.to_bytes().decode() for phone in self.phones for message in phone.received]
        said += [message.to_bytes().decode() for message in by_trunk]
        everything = "\n".join([told, *said])
        for secret in (*self.secrets(), *([more] if more else [])):
            self.assertNotIn(secret, everything)
        documents = [each.document for each in self.answers if each.status == 200]
        self.assertTrue(documents)
        credentials = [server["credential"] for each in documents for server in each["iceServers"]]
        self.assertTrue(credentials)
        for shown in (*self.shown, *credentials, *(each["token"] for each in documents if "token" in each)):
            self.assertGreater(len(shown), 7)
            self.assertNotIn(shown, told)


class WithPasswords(UsersCase):
    """Users who have passwords."""

    async def test_all(self) -> None:
        """A call that the trunk challenges; logins with a password, right and wrong, by each algorithm and for the
        bootstrap document, and of a user that there is not; a line of the users file that can't be used."""
        alice, trunk = await self.at_home(password=HOME["alice"]), await self.peer(free_port())
        await alice.register()
        calling = alice.invite(f"sip:{NUMBER}{trunk.port}@{DOMAIN}")
        callee = trunk.accept(await trunk.request("INVITE"))
        caller = await calling.answered()
        await trunk.request("ACK")
        await self.hang_up(caller, callee)
        for user, password in (*HOME.items(), ("alice", WRONG), ("nobody", WRONG)):
            statuses = REFUSED if password is WRONG else {200}
            for place in (0, 1):
                phone = await self.at_home(user)
                self.assertIn((await self.digest(phone, password, place)).status, statuses, (user, place))
            self.assertIn((await self.get(**basic(user, password))).status, statuses, user)
        kept = self.home.users.read_text()
        self.home.users.write_text(f"{kept}carol@{DOMAIN} md5={'c0ffee' * 5}c0 sha-256={WRONG}\n")
        await until(lambda: "line 3" in self.proxy.log(self._log_start), "the line that can't be used")
        checked = await deferToThread(self.check)
        self.assertIn("users:3: ", checked)
        self.home.users.write_text(kept)
        await self.assert_no_secrets(trunk.received, checked, "c0ffee")

    async def digest(self, phone: Browser, password: str, place: int) -> Response:
        """Log in by the challenge at that place."""
        register = phone.registration()
        phone.send(register)
        challenge = (await phone.response(register)).headers.lines("WWW-Authenticate")[place + 1]  # after Bearer
        credentials = digest.answer(challenge, "REGISTER", register.uri, phone.user, password)
        params = digest.read(credentials)
        self.shown += [params[name] for name in ("nonce", "cnonce", "response")]
        register.headers.add("Authorization", credentials)
        phone.send(register)
        return await phone.response(register)


class WithTokens(UsersCase):
    """Users who have tokens."""

    async def test_all(self) -> None:
        """Logins with a token, in each place, right and wrong; the document with it, and the token in that."""
        await self.get(**basic("alice", HOME["alice"]))
        own = self.answers[-1].document["token"]
        await (await self.at_home(path=f"/?token={own}")).register()
        self.assertEqual(200, (await self.get(Authorization=f"Bearer {own}")).status)
        late = self.token(exp=1)
        bad = jwt.encode({"sub": "alice", "aud": AUDIENCE, "exp": time.time() + 60}, WRONG * 3, "HS256")
        self.shown += bad.split(".")[1:]
        for token, statuses in ((self.token(), {200}), (late, {401}), (bad, REFUSED)):
            for options in (
                {"headers": {"Authorization": f"Bearer {token}"}}, {"protocols": ("sip", f"token.{token}")},
                {"path": f"/?token={token}"}, {"headers": {"Cookie": f"session={token}"}},
            ):  # fmt: skip
                try:
                    phone = await self.at_home(**options)
                    self.assertEqual(200, (await phone.ask(phone.registration())).status)
                    self.assertEqual({200}, statuses)
                except ConnectionError as error:
                    self.assertTrue(any(str(status) in str(error) for status in statuses), error)
            phone = await self.at_home()
            register = phone.registration()
            register.headers.add("Authorization", f"Bearer {token}")
            self.assertIn((await phone.ask(register)).status, statuses)
            self.assertIn((await self.get(Authorization=f"Bearer {token}")).status, statuses)
            self.assertIn((await self.get(f"/bootstrap.json?token={token}")).status, statuses)
        await self.assert_no_secrets()


def read(url: str) -> str:
    """What a port of the operator says, whatever its status: `/health` has 503 until rtpengine has answered."""
    try:
        with urlopen(url) as response:
            return str(response.read().decode())
    except HTTPError as refused:
        return refused.read().decode()
