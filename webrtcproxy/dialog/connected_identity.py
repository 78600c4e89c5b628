"""Connected identity: what the peer of one leg says of who it is, and what it was shown of the peer of the other leg
(RFC 3325, RFC 4916, RFC 5876)."""

from __future__ import annotations

from webrtcproxy.routing.header_policy import ASSERTED_IDENTITY, wants_anonymity
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Headers, Message, Response

FROM_CHANGE = "from-change"
"""The option tag of a peer that accepts another From within a dialog (RFC 4916 section 4.4.2)."""

CROSSING = ASSERTED_IDENTITY | {"Privacy"}
"""The headers of a connected identity."""

_COMPARED = ("P-Asserted-Identity", "P-Preferred-Identity", "Remote-Party-ID", "Additional-Identity", "Privacy")
"""Those that are the same as long as the identity is: a signature differs in each message."""

Shown = tuple[tuple[str, str], ...]


class ConnectedIdentity:
    """What the peer of one leg has said of itself, and was shown of the other side.

    :ivar stated: the identity headers of its last message that had any; None before.
    :ivar own: its own address in that message or in the last one with another address: From of a request, To of a
        response.
    :ivar renamed: whether it has changed the address in From within the dialog.
    :ivar fresh: whether it has said something within the dialog that the other side was not shown yet.
    :ivar shown: the identity of the other side that it was shown last, as of `shown_in`.
    :ivar private: whether it wants to be shown as nobody.
    :ivar takes_from_change: whether it accepts another From within the dialog.
    """

    __slots__ = ("fresh", "own", "private", "renamed", "shown", "stated", "takes_from_change")

    def __init__(self) -> None:
        self.stated: Headers | None = None
        self.own = ""
        self.renamed = False
        self.fresh = False
        self.shown: Shown = ()
        self.private = False
        self.takes_from_change = False

    def learn(self, message: Message, within: bool) -> None:
        """Note what a message of the peer says.

        :param within: whether it is within the dialog; else it belongs to the INVITE that has begun it.
        """
        headers = message.headers
        if headers.has_any(ASSERTED_IDENTITY):
            self.stated = headers.only(CROSSING)
            self.own = headers.get("To" if isinstance(message, Response) else "From") or ""
            self.fresh = self.fresh or within
        if "Privacy" in headers:
            self.private = wants_anonymity(headers)
        self.takes_from_change = self.takes_from_change or takes_from_change(headers)

    def introduce(self, header: str, own: str) -> None:
        """Let it be shown by its address in the dialog, unless it has said more of itself, or wants to be nobody.

        :param header: the name of that which says so.
        :param own: From of its requests, or To of its responses.
        """
        if self.stated is None and not self.private:
            self.own, self.stated = own, Headers([(header, f"<{NameAddr.parse(own).uri}>")])

    def rename(self, own: str) -> None:
        """The peer has changed the address in its From."""
        self.own, self.renamed, self.fresh = own, True, True


def takes_from_change(headers: Headers) -> bool:
    """Whether the sender of these headers accepts another From within the dialog."""
    if "Supported" in headers:
        for line in headers.lines("Supported"):
            if FROM_CHANGE in line:
                return True
    return False


def supported_with(supported: tuple[str, str], from_change: bool) -> tuple[str, str]:
    """A Supported header that tells a peer of the dialog that it may change its From.

    :param supported: the header without this.
    :param from_change: whether the peer of the other leg accepts another From.
    """
    return (supported[0], f"{supported[1]}, {FROM_CHANGE}") if from_change else supported


def shown_in(headers: Headers) -> Shown:
    """The identity that headers show, in a form that can be compared; empty where they show none."""
    if not headers.has_any(ASSERTED_IDENTITY):
        return ()
    return tuple((name, value) for name in _COMPARED if name in headers for value in _values(headers, name))


def _values(headers: Headers, name: str) -> list[str]:
    try:
        values = headers.all(name)
        return sorted(value.strip().lower() if name == "Privacy" else str(NameAddr.parse(value)) for value in values)
    except BadMessage:
        return headers.lines(name)
