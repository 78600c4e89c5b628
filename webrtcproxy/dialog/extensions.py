"""SIP extensions: which option tags of Require, Supported and Unsupported concern the proxy itself, and which are
relayed (RFC 3261 sections 8.2.2.3, 19.2).

Some extensions concern a session, a dialog or a hop: each leg has its own, and the proxy is an end of both legs. All
others (lists of subscriptions, recipients of a MESSAGE, future ones) are between the two user agents: they are relayed
with the request, and the far side decides whether it supports them.
"""

from __future__ import annotations

from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.capabilities import EXTENSIONS
from webrtcproxy.sip.grammar import is_token
from webrtcproxy.sip.message import Headers, Request

OF_THE_LEG = frozenset({
    "100rel", "199", "early-session", "from-change", "gruu", "ice", "join", "mediasec", "outbound", "path",
    "precondition", "privacy", "replaces", "sdp-anat", "sec-agree", "tdialog", "timer", "trickle-ice",
})  # fmt: skip
"""Option tags that concern the proxy."""

_ENDS_HERE = frozenset({"INVITE", "UPDATE", "PRACK", "BYE", "REGISTER", "OPTIONS"})
"""Methods that the proxy terminates, and creates for the other leg: what they require concerns the proxy."""

_REQUIRING = frozenset({"Require", "Proxy-Require"})


def refuse_required(request: Request) -> None:
    """Check what `request` requires of the proxy. A BYE requires what is an option tag at all: a call that goes on
    costs money.

    :raises Refusal: 420 with the option tags that the proxy does not support.
    """
    headers = request.headers
    if not headers.has_any(_REQUIRING):
        return
    if request.method == "BYE" and not all(map(_is_list_of_tags, headers.lines("Require"))):
        headers.note("Bad Require")
        headers.remove("Require")
    required = headers.all("Require")
    if request.method not in _ENDS_HERE:
        required = [tag for tag in required if tag.lower() in OF_THE_LEG]
    missing = [tag for tag in (*required, *headers.all("Proxy-Require")) if tag and tag not in EXTENSIONS]
    if missing:
        raise Refusal(420, "", [("Unsupported", ", ".join(missing))])


def _is_list_of_tags(line: str) -> bool:
    return all(is_token(tag.strip()) for tag in line.split(",") if tag.strip())


def carry_extensions(source: Headers, target: Headers) -> None:
    """Copy the option tags of `source` into `target`, but those that concern one leg."""
    for name in ("Require", "Supported", "Unsupported"):
        if name in source:
            tags = [tag for tag in source.all(name) if tag and tag.lower() not in OF_THE_LEG]
            if tags:
                target.add(name, ", ".join(tags))
