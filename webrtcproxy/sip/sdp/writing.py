"""`write` makes octets of a `Description`, in a form that strict readers take (RFC 8866 section 9); and the `Origin` of
the descriptions that one leg is sent.

The order of lines is that of the RFC, line ends are CRLF, each medium has its address, and what is refused has nothing
more (RFC 3264 section 6).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from webrtcproxy.sip.sdp.bundling import groups_in
from webrtcproxy.sip.sdp.description import NOWHERE, Attribute, Description, Media

_OPEN = "a=setup:actpass"


class Origin:
    """The origin of the descriptions that one leg is sent (RFC 8866 section 5.2).

    The version begins at 1, and is increased by one with each description that differs from the one before, and only
    then (RFC 3264 section 8). The DTLS role is no difference: an offer leaves it open, an answer does not.

    :ivar tags: the mid of the first medium of each group in the last one (RFC 9143); None before the first one.
    """

    __slots__ = ("_last", "_session_id", "_version", "tags")

    def __init__(self) -> None:
        self._session_id = secrets.randbits(61)  # below 2**62, as the version has to be (RFC 3264 section 5)
        self._version = 0
        self._last = ""
        self.tags: Sequence[str] | None = None

    def write(self, description: Description) -> bytes:
        """The octets of the next description."""
        body = _body(description)
        session = body.replace("a=setup:active", _OPEN).replace("a=setup:passive", _OPEN)
        if session != self._last:
            self._version += 1
            self._last = session
        self.tags = [group[0] for group in groups_in(description) if group] if description.attributes else ()
        return _written(self._session_id, self._version, description, body)


def write(description: Description, session_id: int = 1, version: int = 1) -> bytes:
    """The octets of a description."""
    return _written(session_id, version, description, _body(description))


def _written(session_id: int, version: int, description: Description, body: str) -> bytes:
    address = NOWHERE
    for media in description.media:
        if media.is_usable:
            address = media.address or NOWHERE
            break
    return f"v=0\r\no=- {session_id} {version} {_network(address)}\r\n{body}".encode("utf-8", "replace")


def _body(description: Description) -> str:
    """All but the lines of version and origin."""
    out = ["s=-"]
    out += [f"b={name}:{value}" for name, value in description.bandwidths]
    out.append("t=0 0")
    _add(out, description.attributes)
    for media in description.media:
        _medium(out, media)
    out.append("")
    return "\r\n".join(out)


def _medium(out: list[str], media: Media) -> None:
    if not media.is_usable:
        formats = "0" if media.is_rtp or not media.formats else media.formats[0]
        out.append(f"m={media.kind} 0 {media.protocol} {formats}\r\nc={_network(NOWHERE)}")
        if media.mid:
            out.append(f"a=mid:{media.mid}")
        return
    formats = " ".join(media.formats)
    out.append(f"m={media.kind} {media.port} {media.protocol} {formats}\r\nc={_network(media.address or NOWHERE)}")
    if media.bandwidths:
        out += [f"b={name}:{value}" for name, value in media.bandwidths]
    if media.codecs:
        out.append("a=rtpmap:" + "\r\na=rtpmap:".join(map(" ".join, media.codecs.items())))
    _add(out, media.of_formats)
    _add(out, media.attributes)
    if media.mid:
        out.append(f"a=mid:{media.mid}")
    if media.is_rtp:
        out.append(f"a={media.direction}")


def _add(out: list[str], attributes: list[Attribute]) -> None:
    if attributes:
        said = [f"{name}:{value}" if value else name for name, value in attributes]
        out.append("a=" + "\r\na=".join(said))


def _network(address: str) -> str:
    return f"IN {'IP6' if ':' in address else 'IP4'} {address}"
