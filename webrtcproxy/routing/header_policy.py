"""Header policy: which header fields cross from one leg to the other."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from webrtcproxy.config import Trunk
from webrtcproxy.config.headers import CREDENTIALS, OF_THE_LEG
from webrtcproxy.sip.message import Headers

ASSERTED_IDENTITY = frozenset({"P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID"})
"""Headers in which the sender states its own identity."""

TO_TRUNK = OF_THE_LEG | ASSERTED_IDENTITY | {"Diversion"}
"""Headers that are removed from a browser's message to a trunk."""

TO_BROWSER = OF_THE_LEG | CREDENTIALS
"""Headers that are removed from a trunk's message to a browser."""


class _DeniedNames:
    """The names of headers that do not cross, with those that a trunk's section adds.

    :param names: canonical names.
    :param patterns: names in lower case, or prefixes followed by ``*``.
    """

    def __init__(self, names: frozenset[str], patterns: tuple[str, ...]) -> None:
        self._names = names
        self._more = frozenset(patterns)
        self._beginnings = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*"))

    def __contains__(self, name: object) -> bool:
        if name in self._names or not isinstance(name, str):
            return True
        lower = name.lower()
        return lower in self._more or lower.startswith(self._beginnings)


@dataclass(frozen=True, slots=True)
class HeaderPolicy:
    """Which headers cross to one trunk and from it; created once for each trunk.

    :ivar to_trunk: the names that do not cross towards it.
    :ivar to_browser: the names that do not cross from it towards a browser.
    :ivar sets: name and value of the headers that each request to it gets, in place of those that crossed.
    """

    to_trunk: Container[str] = TO_TRUNK
    to_browser: Container[str] = TO_BROWSER
    sets: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def of(trunk: Trunk) -> HeaderPolicy:
        """The policy that the trunk's section configures."""
        to_trunk = OF_THE_LEG if trunk.pass_identity else TO_TRUNK
        if not trunk.strip:
            return HeaderPolicy(to_trunk, TO_BROWSER, trunk.set)
        return HeaderPolicy(_DeniedNames(to_trunk, trunk.strip), _DeniedNames(TO_BROWSER, trunk.strip), trunk.set)


DEFAULT_HEADER_POLICY = HeaderPolicy()
"""The policy for a browser, and for a peer without a section."""


def keeps_identity(headers: Headers) -> bool:
    """Whether the sender wants its identity withheld from untrusted peers (RFC 3325 section 7)."""
    wishes = ";".join(headers.lines("Privacy")).lower().split(";")
    return "id" in map(str.strip, wishes)


def order_challenges(headers: Headers) -> None:
    """Move the challenges that a browser can answer to the end: JsSIP and SIP.js support only MD5, and use the last
    challenge of a response. The others keep the server's order of preference (RFC 8760 section 2.4)."""
    for name in ("WWW-Authenticate", "Proxy-Authenticate"):
        challenges = headers.lines(name)
        if len(challenges) > 1:
            headers.remove(name)
            for challenge in sorted(challenges, key=_is_md5):
                headers.add(name, challenge)


def _is_md5(challenge: str) -> bool:
    """Whether a challenge is for MD5, which is also the default where it names no algorithm."""
    text = challenge.lower().replace(" ", "").replace('"', "")
    return "algorithm=md5" in text or "algorithm=" not in text
