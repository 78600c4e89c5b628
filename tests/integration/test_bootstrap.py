"""The bootstrap document of a real proxy over TLS: for users who have logged in, and nothing for anybody else."""

import json
import ssl
import tempfile
from base64 import b64encode
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet.threads import deferToThread

from tests.support.real.case import RealCase
from tests.support.real.ports import LOOPBACK
from webrtcproxy.access.guard import FREE
from webrtcproxy.users.passwd import set_password

SECRET = "0123456789abcdef-of-the-tests"
PAGE = "https://phone.example.com"


class Response(NamedTuple):
    """An HTTP response; its headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        """What it says in JSON."""
        found: dict[str, Any] = json.loads(self.body)
        return found


def basic(username: str, password: str) -> dict[str, str]:
    """The header of a login."""
    return {"Authorization": "Basic " + b64encode(f"{username}:{password}".encode()).decode()}


class HttpCase(RealCase):
    """A RealCase that speaks HTTPS."""

    async def ask(self, method: str = "GET", headers: dict[str, str] | None = None) -> Response:
        """A request for the document, on a connection of its own."""

        def ask() -> Response:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = HTTPSConnection(LOOPBACK, self.proxy.wss, timeout=10, context=context)
            try:
                connection.request(method, "/bootstrap.json", headers=headers or {})
                response = connection.getresponse()
                headers_read = {name.lower(): value for name, value in response.getheaders()}
                return Response(response.status, headers_read, response.read())
            finally:
                connection.close()

        return await deferToThread(ask)


class WithDomain(HttpCase):
    """A domain with one user, and TURN."""

    async def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="webrtcproxy-users-"))
        set_password(folder / "users", "alice@phone.test", "wonderland", "phone.test")
        self.changes = (
            ("origins = *\n", f"origins = {PAGE}\n"),
            (
                "[access]\n",
                f"[domain phone.test]\nusers = {folder / 'users'}\n\n[turn]\nservers = turn:turn.test\n"
                f"secret = {SECRET}\n\n[access]\n",
            ),
        )
        await super().setUp()
        self.proxy_log = self.proxy.log_size()

    async def test_user(self) -> None:
        """The user gets the document, and it names the WebSocket of this proxy."""
        found = (await self.ask(headers=basic("alice", "wonderland"))).document
        self.assertEqual((found["websocket"], found["address"]), (self.proxy.url, "sip:alice@phone.test"))
        (turn,) = found["iceServers"]
        self.assertRegex(turn["username"], r"^\d+:alice@phone\.test$")

    async def test_stranger(self) -> None:
        """Without a login nothing is handed out; an unknown user is told what a known one is told, byte for byte."""
        answers = [
            await self.ask(headers=headers)
            for headers in ({}, basic("alice", "guess"), basic("mallory", "guess"), {"Authorization": "Bearer x.y.z"})
        ]
        self.assertEqual({(answer.status, answer.body) for answer in answers}, {(401, b'{"error": "login"}\n')})
        dates = {frozenset((answer.headers | {"date": ""}).items()) for answer in answers}
        self.assertEqual(len(dates), 1)

    async def test_guesses(self) -> None:
        """After some failed logins no further one is looked at, for a known or an unknown user: 429, Retry-After."""
        for _ in range(FREE + 3):
            answer = await self.ask(headers=basic("alice", "guess"))
        self.assertEqual(answer.status, 429)
        for username in ("alice", "mallory"):
            answer = await self.ask(headers=basic(username, "guess"))
            self.assertEqual((answer.status, answer.document), (429, {"error": "too-many-logins"}))
            self.assertGreater(int(answer.headers["retry-after"]), 0)

    async def test_origins(self) -> None:
        """The page of a site in `origins` may read it, that of another site may not: 403, before anybody is asked."""
        answer = await self.ask(headers={"Origin": PAGE, **basic("alice", "wonderland")})
        self.assertEqual((answer.status, answer.headers["access-control-allow-origin"]), (200, PAGE))
        answer = await self.ask(headers={"Origin": "https://evil.example", **basic("alice", "wonderland")})
        self.assertEqual(answer.status, 403)
        self.assertNotIn(b"websocket", answer.body)

    async def test_nothing_in_the_log(self) -> None:
        """Neither passwords nor the secret nor the credentials made with it are in the log."""
        for password in ("wonderland", "a-wrong-one"):
            answer = await self.ask(headers=basic("alice", password))
            if answer.status == 200:
                credential = answer.document["iceServers"][0]["credential"]
        log = self.proxy.log(self.proxy_log)
        for secret in ("wonderland", "a-wrong-one", SECRET, credential, basic("alice", "wonderland")["Authorization"]):
            self.assertNotIn(secret, log)


class WithoutDomain(HttpCase):
    """No login: the demo, or a proxy whose users register elsewhere."""

    changes = (("[access]\n", f"[turn]\nservers = turn:turn.test\nsecret = {SECRET}\n\n[access]\n"),)

    async def test_nothing(self) -> None:
        """Where nobody can log in nothing is handed out: there is no such document."""
        self.assertEqual((await self.ask()).status, 404)
