"""Digest authentication of the tests' own (RFC 7616, RFC 8760): a second opinion on the proxy's."""

import hashlib
import re
from secrets import token_hex

HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
_PAIR = re.compile(r'([A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_BARE = ("algorithm", "qop", "nc", "stale")


def read(value: str) -> dict[str, str]:
    """The parameters of a challenge or of credentials, names in lower case."""
    scheme, _, rest = value.partition(" ")
    assert scheme.lower() == "digest", value
    return {name.lower(): quoted or bare for name, quoted, bare in _PAIR.findall(rest)}


def write(params: dict[str, str], bare: tuple[str, ...] = _BARE) -> str:
    """Credentials as a header's value: algorithm, qop and nc without quotes."""
    pairs = (f"{name}={value}" if name in bare else f'{name}="{value}"' for name, value in params.items())
    return "Digest " + ", ".join(pairs)


def challenge(realm: str, nonce: str, algorithm: str = "MD5", qop: str = "auth", **more: str) -> str:
    """A challenge as a header's value; with qop "" the old form of RFC 2069."""
    params = {"realm": realm, "nonce": nonce, "algorithm": algorithm} | ({"qop": qop} if qop else {}) | more
    return write(params, ("algorithm", "stale"))


def _hash(algorithm: str, *parts: str) -> str:
    name = HASHES[algorithm.removesuffix("-sess")]
    return hashlib.new(name, ":".join(parts).encode()).hexdigest()


def response(params: dict[str, str], method: str, password: str, body: bytes = b"") -> str:
    """What `response` must be, by the other parameters of the credentials."""
    algorithm = params.get("algorithm", "MD5")
    ha1 = _hash(algorithm, params["username"], params["realm"], password)
    if algorithm.endswith("-sess"):
        ha1 = _hash(algorithm, ha1, params["nonce"], params["cnonce"])
    qop = params.get("qop", "")
    last = (hashlib.new(HASHES[algorithm.removesuffix("-sess")], body).hexdigest(),) if qop == "auth-int" else ()
    ha2 = _hash(algorithm, method, params["uri"], *last)
    if not qop:
        return _hash(algorithm, ha1, params["nonce"], ha2)
    return _hash(algorithm, ha1, params["nonce"], params["nc"], params["cnonce"], qop, ha2)


def answer(header: str, method: str, uri: str, user: str, password: str, count: int = 1) -> str:
    """Credentials for a challenge, as a client with that user and password sends them (qop auth where offered)."""
    asked = read(header)
    params = {"username": user, "realm": asked["realm"], "nonce": asked["nonce"], "uri": uri}
    if "algorithm" in asked:
        params["algorithm"] = asked["algorithm"]
    if "opaque" in asked:
        params["opaque"] = asked["opaque"]
    if "qop" in asked or params.get("algorithm", "").endswith("-sess"):
        params["cnonce"] = token_hex(8)
    if "qop" in asked:
        params |= {"qop": "auth", "nc": f"{count:08x}"}
    return write(params | {"response": response(params, method, password)})


def verify(header: str | None, method: str, password: str, body: bytes = b"") -> dict[str, str]:
    """The parameters of credentials. Raises AssertionError where their response is not the right one."""
    assert header is not None, "no credentials"
    params = read(header)
    expected = response(params, method, password, body)
    assert params["response"] == expected, f"response is {params['response']}, not {expected}: {header}"
    return params
