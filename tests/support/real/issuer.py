"""The issuer of tokens: a web server with its public keys, and what it signs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any, ClassVar

import jwt

from tests.support.real.part import Part
from tests.support.real.ports import LOOPBACK, free_port, listens_tcp
from tests.support.tokens import algorithm_of, jwks, private_key, public_jwk

AUDIENCE = "https://phone.test"
DOMAIN = "home.test"


class Issuer(Part):
    """A web server of its own process: ``/jwks.json`` has the key of the kind ``OKP`` with the name ``first``.

    :param port: 0 for a free one; that of another one which was stopped, to come back there.
    """

    name: ClassVar[str] = "issuer"

    def __init__(self, port: int = 0) -> None:
        super().__init__()
        self.port = port or free_port()
        self.publish(public_jwk("OKP", kid="first"))

    @property
    def url(self) -> str:
        """Where the keys are."""
        return f"http://{LOOPBACK}:{self.port}/jwks.json"

    def publish(self, *keys: dict[str, object]) -> None:
        """Have these keys."""
        (self.folder / "jwks.json").write_bytes(jwks(*keys))

    def command(self) -> Sequence[str]:
        """Python's own file server."""
        return (
            sys.executable,
            "-m",
            "http.server",
            str(self.port),
            "--bind",
            LOOPBACK,
            "--directory",
            str(self.folder),
        )

    def is_ready(self) -> bool:
        """Whether it listens."""
        return listens_tcp(self.port)


def issued(
    user: str = "alice",
    seconds: float = 600,
    kind: str = "OKP",
    kid: str = "first",
    key: Any = None,
    **claims: object,
) -> str:
    """A token of a user that is valid for so many seconds.

    :param key: it is signed with; None for the first of the kind.
    :param claims: further ones, or others; None takes one out.
    """
    now = time.time()
    given = {"sub": user, "aud": AUDIENCE, "iat": now, "exp": now + seconds, "name": user.title(), **claims}
    present = {name: value for name, value in given.items() if value is not None}
    return jwt.encode(present, private_key(kind) if key is None else key, algorithm_of(kind), {"kid": kid})


def configured(source: str, *lines: str, leeway: int = 0) -> tuple[tuple[str, str], ...]:
    """The changes of the proxy's configuration: a domain whose users have tokens only, and may use the trunk `plain`.

    :param source: the line of ``[tokens]`` that says where the keys are.
    :param lines: further lines of ``[tokens]``.
    """
    section = ["[tokens]", source, f"audience = {AUDIENCE}", f"domain = {DOMAIN}", f"leeway = {leeway}", *lines]
    text = "\n".join([f"[domain {DOMAIN}]", "trunk = plain", "", *section, "", "[access]"])
    return (("[access]", text), ("level = info", "level = debug"))


def parts_of(token: str) -> list[str]:
    """What of a token must be in no log: the parts after the header, which is the same for all."""
    return [token, *token.split(".")[1:], json.dumps(token)]
