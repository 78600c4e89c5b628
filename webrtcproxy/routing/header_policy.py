"""Header policy: which header fields cross from one leg to the other."""

from __future__ import annotations

from dataclasses import dataclass, replace

from webrtcproxy.config import Trunk
from webrtcproxy.config.headers import CREDENTIALS, OF_THE_LEG
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.mending import elements
from webrtcproxy.sip.message import Headers
from webrtcproxy.sip.names import SPELLINGS

ASSERTED_IDENTITY = frozenset({
    "P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Additional-Identity", "Identity",
    "Identity-Info",
})  # fmt: skip
"""Headers in which the sender states its own identity, also those that prove it by a signature (RFC 8224)."""

OF_NETWORKS = frozenset({
    "Attestation-Info", "Cellular-Network-Info", "DC-Info", "Origination-Id", "Priority-Share", "Priority-Verstat",
    "Relayed-Charge", "Resource-Share", "Response-Source", "Restoration-Info", "Service-Interact-Info",
})  # fmt: skip
"""Headers that servers of an operator exchange, on identity, charges and priorities (3GPP TS 24.229)."""

CLAIMS = ASSERTED_IDENTITY | OF_NETWORKS | {
    "Diversion", "Feature-Caps", "History-Info", "Priv-Answer-Mode", "RPID-Privacy", "Reply-To", "Resource-Priority",
}  # fmt: skip
"""Headers by which a sender claims to be somebody, to be sent by somebody, to be charged elsewhere, or to have a
privilege. A trunk believes them, since it trusts the proxy; so they don't cross from browsers, but with
``pass-identity``."""

FOR_USER_AGENTS = frozenset({
    "P-Answer-State", "P-Asserted-Identity", "P-Associated-URI", "P-Called-Party-ID", "P-Early-Media",
    "P-Media-Authorization", "P-Preferred-Identity", "P-Refused-URI-List",
})  # fmt: skip
"""The private headers, all beginning with ``P-``, that a network has for a user agent. All others are for its own
servers (RFC 3427 section 4.1), and tell of its charging, its databases, or the place of the other user."""


_KNOWN = frozenset(SPELLINGS.values())
"""All names that have a usual spelling."""


class DeniedNames:
    """The names of headers that do not cross.

    :param names: canonical names.
    :param private: the private headers (``P-``) that cross; all other private ones, known or not, are denied. None
        where they are treated as any other name.
    :param patterns: further names in lower case, or prefixes followed by ``*``.
    """

    def __init__(
        self, names: frozenset[str], private: frozenset[str] | None = None, patterns: tuple[str, ...] = ()
    ) -> None:
        self.names = names
        self.private = private
        self._more = frozenset(patterns)
        self._beginnings = tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*"))
        self._known = frozenset(name for name in _KNOWN | names if name in self)

    def with_patterns(self, patterns: tuple[str, ...]) -> DeniedNames:
        """The same names, and those that a trunk's section adds."""
        return DeniedNames(self.names, self.private, patterns)

    def among(self, headers: Headers) -> frozenset[str]:
        """Names in their usual spelling for `Headers.without`: those of `headers` that are denied, and others.

        Nearly all names of messages are known, and are looked at once for all messages.
        """
        if headers.has_only(_KNOWN):
            return self._known
        return self._known.union([name for name, _ in headers if name not in _KNOWN and name in self])

    def __contains__(self, name: object) -> bool:
        if name in self.names or not isinstance(name, str):
            return True
        private = self.private
        if private is not None and name[:2] in ("P-", "p-") and name not in private:
            return True
        if not self._more:
            return False
        lower = name.lower()
        return lower in self._more or lower.startswith(self._beginnings)


TO_TRUNK = DeniedNames(OF_THE_LEG | CLAIMS, frozenset())
"""Headers that are removed from a browser's message to a trunk."""

TO_TRUSTING_TRUNK = DeniedNames(OF_THE_LEG)
"""The same for a trunk with ``pass-identity``."""

TO_BROWSER = DeniedNames(OF_THE_LEG | CREDENTIALS | OF_NETWORKS, FOR_USER_AGENTS)
"""Headers that are removed from a trunk's message to a browser."""

_ORDERS = frozenset({"Alert-Info", "Answer-Mode", "Call-Info"})
"""Headers by which a caller may have a phone pick up by itself, and so open a microphone (RFC 5373)."""

BETWEEN_BROWSERS = DeniedNames(TO_TRUNK.names | CREDENTIALS | _ORDERS, frozenset())
"""Headers that are removed from a browser's message to another browser."""


@dataclass(frozen=True, slots=True)
class HeaderPolicy:
    """Which headers cross to one trunk and from it; created once for each trunk.

    :ivar to_trunk: the names that do not cross towards it.
    :ivar to_browser: the names that do not cross from it towards a browser.
    :ivar sets: name and value of the headers that each request to it gets, in place of those that crossed.
    """

    to_trunk: DeniedNames = TO_TRUNK
    to_browser: DeniedNames = TO_BROWSER
    sets: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def of(trunk: Trunk) -> HeaderPolicy:
        """The policy that the trunk's section configures."""
        to_trunk = TO_TRUSTING_TRUNK if trunk.pass_identity else TO_TRUNK
        if not trunk.strip:
            return HeaderPolicy(to_trunk, TO_BROWSER, trunk.set)
        return HeaderPolicy(to_trunk.with_patterns(trunk.strip), TO_BROWSER.with_patterns(trunk.strip), trunk.set)


DEFAULT_HEADER_POLICY = HeaderPolicy()
"""The policy for a browser, and for a peer without a section."""


IN_URIS = frozenset({"Join", "Replaces", "Require", "Target-Dialog"})
"""Headers of a leg that a URI may have for the request that is made from it: they name a dialog of its recipient."""

NOT_IN_URIS = frozenset({"body", "referred-by"})
"""What a URI may not have, in lower case: the body of that request, and who has referred it, which only the REFER
itself says."""


def withheld(headers: Headers) -> list[str]:
    """The headers that the sender wants withheld from untrusted peers: its identity (RFC 3325 section 7), or the way
    that its request has taken (RFC 7044 section 10.1)."""
    wishes = [wish.strip() for wish in ";".join(headers.lines("Privacy")).lower().split(";")]
    names = [*ASSERTED_IDENTITY] if "id" in wishes else []
    return [*names, "History-Info"] if "history" in wishes or "header" in wishes else names


MAY_WITHHOLD = frozenset({"Privacy", "Remote-Party-ID", "Diversion"})
"""Headers that may say that something is to be withheld: without any of them `withhold` has nothing to do."""


def withhold(headers: Headers) -> None:
    """Remove what its owner wants withheld from untrusted peers: by Privacy, or by the parameter ``privacy`` of an
    address, which concerns this one alone (RFC 5806 section 3, and drafts of RFC 3325)."""
    for name in withheld(headers) if "Privacy" in headers else ():
        headers.remove(name)
    for name in ("Remote-Party-ID", "Diversion"):
        lines = headers.lines(name)
        if any("privacy" in line.lower() for line in lines):
            values = _values(headers, name)
            headers.remove(name)
            for shown in map(_shown, values):
                if shown:
                    headers.add(name, shown)


def _values(headers: Headers, name: str) -> list[str]:
    """The values of a header; in one whose quotes are left open, what stands between commas."""
    try:
        return headers.all(name)
    except BadMessage:
        return [value for line in headers.lines(name) for value in elements(line)]


def _shown(value: str) -> str:
    """What may be shown of an address with a parameter ``privacy``; empty for nothing."""
    try:
        address = NameAddr.parse(value)
    except BadMessage:
        return "" if "privacy" in value.lower() else value
    wishes = {wish.strip().partition("-")[0] for wish in (address.param("privacy") or "").lower().strip('"').split(",")}
    if wishes & {"full", "uri"}:
        return ""
    return str(replace(address, display="")) if "name" in wishes else value


def wants_anonymity(headers: Headers) -> bool:
    """Whether the sender wants to be shown to the callee as nobody (RFC 3323 section 4.2, RFC 3325 section 9.3)."""
    wishes = {wish.strip() for wish in ";".join(headers.lines("Privacy")).lower().split(";")}
    return bool(wishes & {"id", "user", "header"})
