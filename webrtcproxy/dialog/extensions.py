"""Extensions: which side an option tag of Require, Supported and Unsupported is for (RFC 3261 sections 8.2.2.3, 19.2).

Some extensions are about a session, a dialog or a hop: each leg has its own, and the proxy is an end of both. All
others (lists of subscriptions, recipients of a MESSAGE, what is invented tomorrow) are between the two user agents:
where a request only crosses, they cross with it, and the far side says whether it can do what is required.
"""

from __future__ import annotations

from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.capabilities import EXTENSIONS
from webrtcproxy.sip.message import Headers, Request

OF_THE_LEG = frozenset({
    "100rel", "199", "early-session", "from-change", "gruu", "ice", "join", "mediasec", "outbound", "path",
    "precondition", "privacy", "replaces", "sdp-anat", "sec-agree", "tdialog", "timer", "trickle-ice",
})  # fmt: skip
"""Option tags that mean the proxy."""

_ENDS_HERE = frozenset({"INVITE", "UPDATE", "PRACK", "BYE", "REGISTER", "OPTIONS"})
"""Methods that the proxy takes as an end, and makes new on the other leg: what they require is required of it."""


def refuse_required(request: Request) -> None:
    """Check what `request` requires of the proxy.

    :raises Refusal: 420 with all that it cannot do: no extension of a leg, and none that a proxy has to know.
    """
    headers = request.headers
    if "Require" not in headers and "Proxy-Require" not in headers:
        return
    required = headers.all("Require")
    if request.method not in _ENDS_HERE:
        required = [tag for tag in required if tag.lower() in OF_THE_LEG]
    missing = [tag for tag in (*required, *headers.all("Proxy-Require")) if tag and tag not in EXTENSIONS]
    if missing:
        raise Refusal(420, "", [("Unsupported", ", ".join(missing))])


def carry_extensions(source: Headers, target: Headers) -> None:
    """Put what `source` says of extensions into `target`, as far as it is not of a leg."""
    for name in ("Require", "Supported", "Unsupported"):
        if name in source:
            tags = [tag for tag in source.all(name) if tag and tag.lower() not in OF_THE_LEG]
            if tags:
                target.add(name, ", ".join(tags))
