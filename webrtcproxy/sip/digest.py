"""Digest authentication, client and server (RFC 7616, RFC 8760; peers of RFC 2069 and RFC 2617 are supported).

Client: :func:`choose` picks the challenges to answer, :func:`authorize` makes the credentials. Server: :func:`is_right`
checks credentials against the hash of a password; :class:`Nonces` makes signed nonces that carry their time, and
:func:`verify` checks credentials against both, for the demo.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote_to_bytes

from webrtcproxy.sip.authentication import Challenge, Credentials

Hash = Callable[[bytes], str]


def _hash(name: str) -> Hash:
    def digest(data: bytes) -> str:
        return hashlib.new(name, data, usedforsecurity=False).hexdigest()

    return digest


_HASHES = {
    algorithm: _hash(name)
    for algorithm, name in (("md5", "md5"), ("sha-256", "sha256"), ("sha-512-256", "sha512_256"))
    if name in hashlib.algorithms_available  # OpenSSL may lack the last one
}

_SECRET = secrets.token_bytes(32)


def _hash_of(algorithm: str) -> tuple[Hash | None, bool]:
    """The hash function of an algorithm, None if it is unknown; and whether it is a ``-sess`` variant."""
    name = algorithm.lower()
    return _HASHES.get(name.removesuffix("-sess")), name.endswith("-sess")


_separators = re.compile("[,;]")


def _qops(text: str) -> list[str]:
    return _separators.sub(" ", text).lower().split()


def is_answerable(challenge: Challenge) -> bool:
    """Whether the challenge is of a kind that :func:`authorize` can answer: Digest, a known algorithm and qop."""
    params = challenge.params
    if challenge.scheme.lower() != "digest" or "nonce" not in params or "realm" not in params:
        return False
    qops = _qops(params.get("qop", ""))
    known_qop = not qops or "auth" in qops or "auth-int" in qops
    return known_qop and _hash_of(params.get("algorithm") or "MD5")[0] is not None


def choose(challenges: Iterable[Challenge], realm: str | None = None) -> list[Challenge]:
    """The challenges to answer: for each realm the first that can be answered, since the server lists them in its order
    of preference (RFC 8760 section 2.4).

    :param realm: answer only this realm; None for all.
    """
    chosen: dict[str, Challenge] = {}
    for challenge in challenges:
        if is_answerable(challenge) and realm in (None, challenge.params["realm"]):
            chosen.setdefault(challenge.params["realm"], challenge)
    return list(chosen.values())


def authorize(
    challenge: Challenge,
    method: str,
    uri: str,
    username: str,
    password: str,
    *,
    body: bytes = b"",
    count: int = 1,
    cnonce: str = "",
) -> Credentials:
    """The credentials that answer a challenge chosen by :func:`choose`.

    :param uri: the Request-URI, which must reach the server unchanged.
    :param body: used only if the server offers nothing but ``auth-int``.
    :param count: how many requests have used this nonce, including this one.
    :param cnonce: the client's nonce. If empty, a random one that stays the same for this nonce, since the ``-sess``
        algorithms use the first cnonce for as long as the nonce lasts (RFC 7616 section 3.4.2).
    """
    params = challenge.params
    qops = _qops(params.get("qop", ""))
    qop = "auth" if "auth" in qops else "auth-int" if qops else ""
    given = {"username": username, "realm": params["realm"], "nonce": params["nonce"], "uri": uri}
    if params.get("algorithm"):
        given["algorithm"] = params["algorithm"]
    if qop or _hash_of(params.get("algorithm") or "MD5")[1]:
        given["cnonce"] = cnonce or _cnonce(username, params)
    if qop:
        given["qop"], given["nc"] = qop, f"{count:08x}"
    if "opaque" in params:
        given["opaque"] = params["opaque"]
    given["response"] = _response(given, method, password, body)
    return Credentials("Digest", given)


def _cnonce(username: str, params: Mapping[str, str]) -> str:
    text = "\n".join((username, params["realm"], params["nonce"]))
    return hmac.digest(_SECRET, text.encode("utf-8", "surrogateescape"), "sha256").hex()[:16]


def ha1(algorithm: str, username: str, realm: str, password: str) -> str:
    """The hash of a user's password in a realm, H(A1) of RFC 7616 section 3.4.2. It is all that a server needs to know
    of a password, and all that a client needs.

    :param algorithm: in any case, without ``-sess``.
    :raises KeyError: the algorithm is not known here.
    """
    return _HASHES[algorithm.lower()](f"{username}:{realm}:{password}".encode("utf-8", "surrogateescape"))


def is_right(given: Mapping[str, str], hashed: str, method: str, body: bytes = b"") -> bool:
    """Whether credentials have the right response, found in constant time.

    :param given: the parameters of the credentials; they have nonce, uri and response, and a known algorithm.
    :param hashed: `ha1` for their algorithm.
    :param method: of the request.
    """
    expected = _response_of(given, hashed, method, body)
    return hmac.compare_digest(expected.encode(), given["response"].lower().encode("utf-8", "replace"))


def algorithm_of(given: Mapping[str, str]) -> str | None:
    """The algorithm of credentials, in lower case and without ``-sess``; None for an unknown one."""
    name = (given.get("algorithm") or "MD5").lower().removesuffix("-sess")
    return name if name in _HASHES else None


def username_of(given: Mapping[str, str]) -> str | None:
    """The username of credentials; with ``username*``, the one that is encoded there (RFC 7616 section 3.4, RFC 8187).

    :returns: None where there is none, or a hash instead (``userhash``), which no challenge of this server asks for.
    """
    if given.get("userhash", "").lower() == "true":
        return None
    encoded = given.get("username*")
    if encoded is None:
        return given.get("username")
    charset, _, rest = encoded.partition("'")
    text = rest.partition("'")[2]
    if "username" in given or charset.upper() != "UTF-8" or not text.isascii():
        return None
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        return None


def _response(given: Mapping[str, str], method: str, password: str, body: bytes) -> str:
    """The value of ``response`` for credentials of a user with this password."""
    algorithm = algorithm_of(given)
    assert algorithm is not None
    return _response_of(given, ha1(algorithm, given["username"], given["realm"], password), method, body)


def _response_of(given: Mapping[str, str], hashed: str, method: str, body: bytes) -> str:
    """The value of ``response`` for credentials (RFC 7616 section 3.4.1)."""
    digest, session = _hash_of(given.get("algorithm") or "MD5")
    assert digest is not None

    def joined(*parts: str) -> str:
        return digest(":".join(parts).encode("utf-8", "surrogateescape"))

    qop = given.get("qop", "").lower()
    nonce, cnonce = given["nonce"], given.get("cnonce", "")
    one = joined(hashed, nonce, cnonce) if session else hashed
    two = joined(method, given["uri"], digest(body)) if qop == "auth-int" else joined(method, given["uri"])
    if not qop:
        return joined(one, nonce, two)
    return joined(one, nonce, given.get("nc", ""), cnonce, qop, two)


class Verdict(Enum):
    """What :func:`verify` found."""

    RIGHT = "right"
    WRONG = "wrong"
    STALE = "stale"


@dataclass(frozen=True, repr=False)
class Nonces:
    """Signed nonces that carry their time, so that the server need not store them.

    :param realm: of the challenges.
    :param lifetime: seconds for which a nonce is valid.
    :param secret: signs the nonces; empty for a random one.
    """

    realm: str
    lifetime: float = 300.0
    secret: bytes = b""

    def __post_init__(self) -> None:
        if not self.secret:
            object.__setattr__(self, "secret", secrets.token_bytes(32))

    def challenges(
        self, now: float, *, stale: bool = False, algorithms: Iterable[str] = ("SHA-256", "MD5")
    ) -> list[str]:
        """Header values for a 401 or 407, strongest algorithm first; browsers support MD5 only.

        :param now: seconds since any fixed point.
        :param stale: the credentials were right, but the nonce was too old (RFC 7616 section 3.3).
        """
        params = {"realm": self.realm, "nonce": self._make(now), "qop": "auth"}
        extra = {"stale": "true"} if stale else {}
        return [str(Challenge("Digest", {**params, "algorithm": name, **extra})) for name in algorithms]

    def is_fresh(self, nonce: str, now: float) -> bool | None:
        """Whether a nonce is still valid; None if it was not made here."""
        try:
            data = b64decode(nonce.encode("ascii"), b"-_", validate=True)
        except (ValueError, UnicodeEncodeError):
            return None
        if len(data) != 32 or not hmac.compare_digest(self._sign(data[:16]), data[16:]):
            return None
        made = int.from_bytes(data[:8], "big") / 1000
        return made <= now + 1 and now - made <= self.lifetime

    def _make(self, now: float) -> str:
        head = int(now * 1000).to_bytes(8, "big") + secrets.token_bytes(8)
        return urlsafe_b64encode(head + self._sign(head)).decode("ascii")

    def _sign(self, head: bytes) -> bytes:
        return hmac.digest(self.secret, head + self.realm.encode(), "sha256")[:16]


def verify(
    credentials: Credentials, nonces: Nonces, now: float, method: str, password: str, *, uri: str, body: bytes = b""
) -> Verdict:
    """Check the credentials of a client, in constant time.

    :param password: of the user that the credentials name.
    :param uri: the Request-URI, which the credentials must name.
    """
    given = credentials.params
    needed = ("username", "realm", "nonce", "uri", "response")
    if credentials.scheme.lower() != "digest" or any(name not in given for name in needed):
        return Verdict.WRONG
    if (
        given["realm"] != nonces.realm
        or given["uri"] != uri
        or given.get("qop", "auth").lower() not in ("auth", "auth-int")
    ):
        return Verdict.WRONG
    if _hash_of(given.get("algorithm") or "MD5")[0] is None:
        return Verdict.WRONG
    fresh = nonces.is_fresh(given["nonce"], now)
    expected = _response(given, method, password, body)
    if fresh is None or not hmac.compare_digest(
        expected.encode(), given["response"].lower().encode("utf-8", "replace")
    ):
        return Verdict.WRONG
    return Verdict.RIGHT if fresh else Verdict.STALE
