"""What a description says of the connection, not of what is carried: addresses, ICE, the certificate of DTLS."""

from __future__ import annotations

from dataclasses import replace

from webrtcproxy.sip.sdp.attributes import TO_BROWSER
from webrtcproxy.sip.sdp.description import DISCARD_PORT, NOWHERE, Attribute, Description, Media
from webrtcproxy.sip.sdp.reading import read

_CONNECTION = frozenset(
    ("candidate", "end-of-candidates", "fingerprint", "ice-lite", "ice-options", "ice-pwd", "ice-ufrag", "rtcp")
)
_OF_PATHS = ("candidate", "end-of-candidates", "rtcp")


def ice_ufrag(description: Description) -> str:
    """The name of the sender in the checks of ICE (RFC 8839 section 5.4), of the first medium that has one; else
    empty."""
    for media in description.media:
        for name, value in media.attributes:
            if name == "ice-ufrag":
                return value
    return ""


def before_ice(description: Description) -> Description:
    """A description as its sender might have written it before it had gathered candidates of ICE (RFC 8840 section
    4.1.1), with credentials that it does not have. Media without ICE stay as they are."""
    return replace(description, media=[*map(_before_ice, description.media)])


def _before_ice(media: Media) -> Media:
    if not media.is_usable or not media.has("ice-ufrag"):
        return media
    attributes = [_of_nobody(each) for each in media.attributes if each[0] not in _OF_PATHS]
    return replace(media, port=DISCARD_PORT, address=NOWHERE, attributes=attributes)


def _of_nobody(attribute: Attribute) -> Attribute:
    name, value = attribute
    if name not in ("ice-ufrag", "ice-pwd"):
        return attribute
    return name, value[:-1] + ("0" if value[-1:] != "0" else "1")


def keep_transport(description: Description, last: bytes) -> None:
    """Give each medium the connection that it had in the last description for the same peer. A medium that was not in
    that, or was refused, is refused.

    :param last: a description that the proxy itself has written.
    """
    old = read(last, TO_BROWSER).media
    for place, media in enumerate(description.media):
        if media.is_refused:
            continue
        if place < len(old) and not old[place].is_refused:
            _connect(media, old[place])
        else:
            media.refuse()


def _connect(media: Media, old: Media) -> None:
    media.port, media.address = old.port, old.address
    media.attributes = [each for each in media.attributes if each[0] not in _CONNECTION]
    media.attributes += [each for each in old.attributes if each[0] in _CONNECTION]
