"""Tokens with keys of each kind and source, shown in each place (docs/tokens.rst: Which tokens log in), and what is no
token."""

from __future__ import annotations

import hmac
import json
import re
import time
from base64 import urlsafe_b64encode
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import ClassVar

from tests.integration.test_tokens import PAGE, TokensCase
from tests.support.real.issuer import AUDIENCE, Issuer, configured
from tests.support.real.part import until
from tests.support.tokens import SECRET, jwks, private_key, public_jwk

ADDRESSES = (f"127.7.{number // 250}.{number % 250 + 1}" for number in count())
"""Of loopback; each guess is somebody else's, so that none is delayed."""


class KeysCase(TokensCase):
    """A proxy that has the keys of one source.

    :cvar kind: of the issuer's key.
    """

    kind: ClassVar[str] = "RSA"
    lines = ("query = token", "cookie = session")
    leeway: ClassVar[int] = 0
    folder: ClassVar[Path]

    async def setUp(self) -> None:
        cls = type(self)
        if "folder" not in cls.__dict__:
            cls.folder = Path(mkdtemp(prefix="keys", dir=Path.cwd()))
            cls.issuer = Issuer()
            cls.changes = (*configured(await cls.source(), *cls.lines, leeway=cls.leeway), *cls.more)
        await super().setUp()

    @classmethod
    async def source(cls) -> str:
        """The line of ``[tokens]`` that says where the keys are: an address, which answers."""
        cls.issuer.publish(public_jwk(cls.kind, kid="first"))
        await cls.issuer.start()
        return f"keys = {cls.issuer.url}"

    def signed(self, number: int = 1, **how: object) -> str:
        """A token of the issuer's, with its key of this number."""
        return self.token(kind=self.kind, key=private_key(self.kind, number), **how)  # type: ignore[arg-type]

    async def shown(self, token: str) -> list[int]:
        """The HTTP status of the upgrade with a token in each place, 101 where its user is registered then; and the
        status of a REGISTER with it, on a WebSocket without one."""
        found = []
        for options in places(token):
            try:
                browser = await self.home(address=next(ADDRESSES), **options)
            except ConnectionError as error:
                status = re.search(r"\b[45]\d\d\b", str(error))
                found.append(int(status[0]) if status else 0)
            else:
                found.append(101 if (await self.registers(browser)).status == 200 else 0)
                await browser.close()
        browser = await self.home(address=next(ADDRESSES))
        found.append((await self.registers(browser, f"Bearer {token}")).status)
        await browser.close()
        return found


IN, OUT = [101] * 4 + [200], [401] * 5


def places(token: str) -> list[dict[str, object]]:
    """How a browser connects with a token in Authorization, a subprotocol, the query, and a cookie."""
    return [
        {"headers": {"Authorization": f"Bearer {token}"}},
        {"protocols": ("sip", f"token.{token}")},
        {"path": f"/?token={token}"},
        {"headers": {"Cookie": f"session={token}"}, "origin": PAGE},
    ]


def b64(value: object) -> str:
    """A part of a token."""
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


class EachPlace:
    """What holds whatever the key is, and wherever it comes from; the classes below name both."""

    async def test_right(self: KeysCase) -> None:
        """In each place its user registers; in none does another user, or one of another domain."""
        self.assertEqual(IN, await self.shown(self.signed()))
        for options in places(self.signed()):
            mallory = await self.home("mallory", **options)
            self.assertEqual(401, (await self.registers(mallory)).status)
            await mallory.close()

    async def test_wrong_key(self: KeysCase) -> None:
        """Signed with another key of the same kind, that has the same name (RFC 8725 section 3.2)."""
        self.assertEqual(OUT, await self.shown(self.signed(number=2)))

    async def test_none(self: KeysCase) -> None:
        """``none`` is no signature (RFC 8725 section 3.1), with the signature of a right token behind it, too."""
        _, payload, signature = self.signed().split(".")
        for head in ({"alg": "none"}, {"alg": "None", "kid": "first"}):
            for end in ("", signature):
                self.assertEqual(OUT, await self.shown(f"{b64(head)}.{payload}.{end}"))

    async def test_public_as_secret(self: KeysCase) -> None:
        """What everybody knows of the issuer is no secret: neither its key set nor nothing (RFC 8725 section 2.1)."""
        payload = self.signed().split(".")[1]
        for secret in (jwks(public_jwk(self.kind, kid="first")) if self.kind != "HS" else b"first", b""):
            head = f"{b64({'alg': 'HS256', 'kid': 'first'})}.{payload}"
            signature = urlsafe_b64encode(hmac.digest(secret, head.encode(), "sha256")).decode().rstrip("=")
            self.assertEqual(OUT, await self.shown(f"{head}.{signature}"))

    async def test_audience(self: KeysCase) -> None:
        """For another service, or for none."""
        for audience in ("https://other.test", [], None):
            self.assertEqual(OUT, await self.shown(self.signed(aud=audience)))
        self.assertEqual(IN, await self.shown(self.signed(aud=["https://other.test", AUDIENCE])))

    async def test_changed(self: KeysCase) -> None:
        """A right token with another user in it."""
        head, _, signature = self.signed().split(".")
        other = self.signed(user="bob").split(".")[1]
        self.assertEqual(OUT, await self.shown(f"{head}.{other}.{signature}"))


class RsByUrl(EachPlace, KeysCase):
    """RS256, keys at an address."""


class EsByUrl(EachPlace, KeysCase):
    """ES256, keys at an address."""

    kind = "EC"


class FileCase(KeysCase):
    """Keys in a file."""

    @classmethod
    async def source(cls) -> str:
        cls.publish(public_jwk(cls.kind, kid="first"))
        return f"keys = {cls.folder / 'jwks.json'}"

    @classmethod
    def publish(cls, *keys: dict[str, object]) -> None:
        """Have these keys in the file, at once as a whole."""
        new = cls.folder / "new"
        new.write_bytes(jwks(*keys))
        new.replace(cls.folder / "jwks.json")


class RsByFile(EachPlace, FileCase):
    """RS256."""


class EdByFile(EachPlace, FileCase):
    """EdDSA."""

    kind = "OKP"


class HsBySecret(EachPlace, KeysCase):
    """HS256, with the secret in a file."""

    kind = "HS"

    @classmethod
    async def source(cls) -> str:
        (cls.folder / "secret").write_text(SECRET)
        return f"secret-file = {cls.folder / 'secret'}"


class FileChanges(FileCase):
    """The issuer changes its keys in a file."""

    async def test_rotation(self) -> None:
        """A second key is known at once, the first ends with its line, and a file that can't be read leaves the keys
        as they are; all without a restart."""
        first, second = public_jwk("RSA", kid="first"), public_jwk("RSA", 2, kid="second")
        old, new = self.signed(), self.signed(number=2, kid="second")
        self.assertEqual((IN, OUT), (await self.shown(old), await self.shown(new)))
        self.publish(first, second)
        self.assertEqual((IN, IN), (await self.shown(old), await self.shown(new)))
        self.publish(second)
        self.assertEqual((OUT, IN), (await self.shown(old), await self.shown(new)))
        (self.folder / "jwks.json").write_text("{")
        self.assertEqual((OUT, IN), (await self.shown(old), await self.shown(new)))
        (self.folder / "jwks.json").unlink()
        self.assertEqual((OUT, IN), (await self.shown(old), await self.shown(new)))


class UrlChanges(KeysCase):
    """The issuer's address answers something else, or no longer."""

    async def test_old_keys_stay(self) -> None:
        """Something that is no key set, then nobody at the address, each asked for when a token names a key that is
        not known: the keys that were read before stay."""
        token = self.signed()
        self.assertEqual(IN, await self.shown(token))
        issuer = type(self).issuer
        (issuer.folder / "jwks.json").write_text("<html>Under maintenance</html>")
        self.assertEqual(OUT, await self.shown(self.signed(number=2, kid="second")))
        self.assertEqual(IN, await self.shown(token))
        issuer.terminate()
        await until(lambda: not issuer.alive, "the end of the issuer")
        self.assertEqual(OUT, await self.shown(self.signed(number=2, kid="third")))
        self.assertEqual(IN, await self.shown(token))


class Clocks(FileCase):
    """`leeway = 30`: the issuer's clock is before or behind the proxy's."""

    leeway = 30

    async def test_skew(self) -> None:
        """By less than the leeway: a token that begins in a moment, and one that has just ended. By more: neither."""
        now = time.time()
        for ahead in (15, 60):
            begun = {"iat": now + ahead, "nbf": now + ahead}
            ended = {"iat": now - 600, "exp": now - ahead}
            for claims in (begun, ended):
                self.assertEqual(IN if ahead < self.leeway else OUT, await self.shown(self.signed(**claims)), claims)


class Huge(FileCase):
    """64 kB."""

    async def test_refused(self) -> None:
        """A token that is right but for its length is refused in each place, and so is one of nothing but letters; the
        proxy goes on."""
        for token in (self.signed(padding="x" * 48_000), "x" * 65_536):
            for options in places(token):
                await self.refused(address=next(ADDRESSES), **options)
            browser = await self.home(address=next(ADDRESSES))
            self.assertEqual(513, (await self.registers(browser, f"Bearer {token[:60_000]}")).status)
        self.assertEqual(IN, await self.shown(self.signed()))

    async def test_long(self) -> None:
        """One that fits into a request, but not into `max-size`: as any that is wrong; in SIP the line is too long."""
        self.assertEqual([401] * 4 + [513], await self.shown(self.signed(padding="x" * 6_300)))
