"""The bootstrap document of a real proxy over TLS: for users who have logged in, and nothing for anybody else."""

import tempfile
from pathlib import Path

from tests.support.real.case import RealCase
from tests.support.real.https import Response, ask, basic
from webrtcproxy.access.guard import FREE
from webrtcproxy.users.passwd import set_password

SECRET = "0123456789abcdef-of-the-tests"
TURN = ["turn:turn.test:3478?transport=udp", "turns:turn.test:5349?transport=tcp"]
PAGE = "https://phone.example.com"
UPGRADE = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "sip",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}  # fmt: skip
"""The headers of a request for a WebSocket (RFC 6455 section 4.1)."""


class HttpCase(RealCase):
    """A RealCase that speaks HTTPS."""

    async def ask(self, headers: dict[str, str] | None = None) -> Response:
        """Ask for the document."""
        return await ask(self.proxy.wss, "/bootstrap.json", headers)


class WithDomain(HttpCase):
    """A domain with one user, and TURN."""

    async def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="webrtcproxy-users-"))
        set_password(folder / "users", "alice@phone.test", "wonderland", "phone.test")
        self.changes = (
            ("origins = *\n", f"origins = {PAGE}\n"),
            (
                "[access]\n",
                f"[domain phone.test]\nusers = {folder / 'users'}\n\n[turn]\nservers = {' '.join(TURN)}\n"
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
        self.assertEqual(turn["urls"], TURN)
        self.assertRegex(turn["username"], r"^\d+:alice@phone\.test$")

    async def test_token(self) -> None:
        """The token of the document opens a WebSocket, and gets the document again; any other gets 401, and no more."""
        token = (await self.ask(headers=basic("alice", "wonderland"))).document["token"]
        for given, statuses in ((token, (101, 200)), (token[:-9] + "AAAAAAAAA", (401, 401))):
            opened = await ask(self.proxy.wss, f"/?token={given}", UPGRADE)
            again = await self.ask(headers={"Authorization": f"Bearer {given}"})
            self.assertEqual((opened.status, again.status), statuses, given)
        self.assertNotIn(token, self.proxy.log(self.proxy_log))

    async def test_stranger(self) -> None:
        """Without a login nothing is handed out; an unknown user is told what a known one is told, byte for byte."""
        logins = ({}, basic("alice", "guess"), basic("mallory", "guess"), {"Authorization": "Bearer xyz"})
        answers = [await self.ask(headers=headers) for headers in logins]
        self.assertEqual({(answer.status, answer.body) for answer in answers}, {(401, b'{"error": "login"}\n')})
        heads = {frozenset((answer.headers | {"date": ""}).items()) for answer in answers[:3]}
        self.assertEqual(len(heads), 1)

    async def test_guesses(self) -> None:
        """After some failed logins no further one is looked at, for a known or an unknown user: 429, Retry-After."""
        for _ in range(FREE + 3):  # each further one doubles the delay
            answers = [await self.ask(headers=basic(username, "guess")) for username in ("alice", "mallory")]
            if {answer.status for answer in answers} == {429}:
                break
        for answer in answers:
            self.assertEqual((answer.status, answer.document), (429, {"error": "too-many-logins"}))
            self.assertGreater(int(answer.headers["retry-after"]), 0)

    async def test_origins(self) -> None:
        """The page of a site in `origins` may read it, that of another site may not: 403, before anybody is asked."""
        answer = await self.ask(headers={"Origin": PAGE, **basic("alice", "wonderland")})
        self.assertEqual((answer.status, answer.headers["access-control-allow-origin"]), (200, PAGE))
        answer = await self.ask(headers={"Origin": "https://evil.example", **basic("alice", "wonderland")})
        self.assertEqual(answer.status, 403)
        self.assertNotIn(b"websocket", answer.body)

    async def test_octets(self) -> None:
        """Octets that are no text, wherever a stranger writes them: refused as what is wrong, and no failure is
        logged."""
        for headers in (
            {"Authorization": "Basic \xff"}, {"Authorization": "Bearer \xff"}, {"Authorization": "\xff"},
            {"Cookie": "a=\xff"}, {"Origin": "https://\xff"}, {"Sec-Fetch-Site": "\xff"}, {"X-Forwarded-For": "\xff"},
            {"X-Forwarded-Proto": "\xff"}, {"Host": "\xff"}, {"Accept": "\xff"},
        ):  # fmt: skip
            for path, more in (
                ("/bootstrap.json", {}),
                ("/bootstrap.json?token=%ff", {}),
                ("/%ff", {}),
                ("/", UPGRADE),
            ):
                answer = await ask(self.proxy.wss, path, {**more, **headers})
                self.assertIn(answer.status, (101, 400, 401, 403, 404, 429), (path, headers))
        self.proxy.assert_clean(self.proxy_log)

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
