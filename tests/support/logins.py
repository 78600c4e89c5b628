"""What a browser makes of the challenges that it gets, and a domain with users."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from webrtcproxy.config import Domain
from webrtcproxy.sip.authentication import Challenge
from webrtcproxy.sip.digest import authorize
from webrtcproxy.users.domains import Domains, ServedDomain
from webrtcproxy.users.passwd import set_password
from webrtcproxy.users.users_file import UsersFile

DOMAIN = "example.com"


def answer(
    challenges: Iterable[str],
    username: str,
    password: str,
    method: str,
    uri: str,
    *,
    algorithm: str = "MD5",
    body: bytes = b"",
    count: int = 1,
    changes: Mapping[str, str | None] | None = None,
) -> str:
    """The credentials for the challenge of this algorithm.

    :param challenges: the values of WWW-Authenticate or Proxy-Authenticate.
    :param algorithm: as the challenge has it.
    :param changes: parameters that are other than they should be; None takes one out.
    """
    for text in challenges:
        challenge = Challenge.parse(text)
        if challenge.params.get("algorithm") == algorithm:
            made = authorize(challenge, method, uri, username, password, body=body, count=count)
            params = {**made.params, **(changes or {})}
            return str(type(made)(made.scheme, {name: value for name, value in params.items() if value is not None}))
    raise AssertionError(f"no challenge with {algorithm}")


def domain_with(folder: str, *lines: str, **options: object) -> tuple[Domains, Path]:
    """The domain example.com, and its users file, in which alice has the password ``wonderland`` and bob ``builder``.

    :param folder: a folder that can be made.
    :param lines: further lines of the file.
    :param options: of the section.
    """
    path = Path(folder) / "users"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    realm = str(options.get("realm", DOMAIN))
    for name, password in (("alice", "wonderland"), ("bob", "builder")):
        set_password(path, f"{name}@{DOMAIN}", password, realm)
    file = UsersFile(path, [DOMAIN])
    domain = Domain(DOMAIN, users=path, **{"realm": realm, **options})  # type: ignore[arg-type]
    return Domains([ServedDomain(domain, file)], [file]), path
