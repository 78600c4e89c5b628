"""What becomes of a description on its way: from a peer to rtpengine (`from_peer`), and from rtpengine to a peer
(`for_peer`). Nothing passes as it came: each is read, and what the other side is told is newly written.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from twisted.internet.defer import Deferred

from webrtcproxy.media.profile import Profile
from webrtcproxy.runtime.errors import BadDescription, NgRefused, Refusal
from webrtcproxy.sip.sdp.answering import fit
from webrtcproxy.sip.sdp.attributes import OF_BROWSER, OF_TRUNK
from webrtcproxy.sip.sdp.description import NOWHERE, Description, Media
from webrtcproxy.sip.sdp.reading import BadSdp, read

MAX_NAMES = 4
"""Names of hosts in one description that are looked up."""

_SHORTEST_TLS_ID = 20

EVENTS = "101"
"""The payload type that trunks usually have for telephone-event/8000."""


def from_peer(sdp: bytes, to: Profile, offer: Description | None = None) -> Description:
    """What rtpengine is told of the description of a peer.

    :param sdp: as the peer has sent it.
    :param to: the profile of the leg that it goes to.
    :param offer: what the peer was offered, if this is its answer.
    :raises BadDescription: it can't be read, or all that it accepts or offers is of no use to the leg.
    """
    of_browser = to.source == "browser"
    try:
        described = read(sdp, OF_BROWSER if of_browser else OF_TRUNK)
    except BadSdp as error:
        raise BadDescription(f"the SDP can't be read: {error.why}") from error
    is_wanted = not all(media.is_refused for media in described.media)
    if offer is not None:
        fit(described, offer)
    elif to.plays_digits:
        for media in described.media:
            _number_events(media)
    for media in described.media:
        if media.is_refused:
            continue
        if to.codecs is not None:
            media.keep([each for each, codec in media.codecs.items() if _name(codec) in to.codecs])
        if _is_useless(media, to):
            media.refuse()
        elif of_browser:
            _complete(media)
            if offer is not None:
                _decide_role(media)
    if is_wanted and not described.is_usable:
        raise BadDescription(to.unusable)
    return described


def for_peer(
    sdp: object, to: Profile, offered: Description | None = None, answer: Description | None = None
) -> Description:
    """What a peer is told.

    :param sdp: what rtpengine has made.
    :param to: the profile of the peer.
        A browser is offered no kind and no protocol that it can't read, refused media included: Firefox would refuse
        the offer. Such a medium keeps its place as one of audio that is refused.
    :param offered: the peer's offer, if this is the answer to it; each medium is answered in the protocol that was
        offered (RFC 3264 section 6, RFC 5124 section 3.3).
    :param answer: the answer to it as `from_peer` has given it to rtpengine. Codecs have the numbers that the answerer
        has given them, since packets of the peer pass with the number that they have.
    :raises NgRefused: rtpengine has made none (10.5 accepts an empty description, and returns none).
    """
    try:
        described = read(sdp if isinstance(sdp, bytes) else b"", to.attributes)
    except BadSdp as error:
        raise NgRefused("no SDP in the reply") from error
    if offered is not None:
        for media, asked in zip(described.media, offered.media, strict=False):
            media.protocol = asked.protocol
            if media.is_refused:
                media.kind, media.formats = asked.kind, asked.formats[:1]
    elif to.has_dtls:
        for media in described.media:
            if media.is_refused and not _suits_browser(media):
                media.kind, media.protocol, media.formats = "audio", "UDP/TLS/RTP/SAVPF", ["0"]
    if answer is not None:
        for media, given in zip(described.media, answer.media, strict=False):
            if given.numbers is not None:
                media.renumber({ours: theirs for ours, theirs in given.numbers.items() if ours in media.codecs})
    for media in described.media:
        if not media.protocol.endswith("F"):
            media.attributes = [each for each in media.attributes if each[0] != "rtcp-fb"]
    return described


def is_encrypted(described: Description) -> bool:
    """Whether all media are encrypted, with keys from SDES (RFC 4568) or DTLS (RFC 5764)."""
    return all("SAVP" in media.protocol for media in described.media if media.is_usable)


def names_in(described: Description) -> list[str]:
    """The names of hosts that stand for addresses (RFC 8866 section 5.7), without those of media that ICE finds."""
    found = []
    for media in described.media:
        if media.is_usable and media.address and not _is_address(media.address):
            found.append(media.address)
    return found


async def _find(described: Description, address_of: Callable[[str], Deferred[str]]) -> None:
    names = names_in(described)
    if len(set(names)) > MAX_NAMES:
        raise BadDescription("the SDP names too many hosts")
    for name in sorted(set(names)):
        if name.endswith(".local"):  # a name of multicast DNS (RFC 6762)
            raise BadDescription(f"{name}, which the SDP names, is not looked up")
        try:
            address = await address_of(name)
        except Refusal as why:
            raise BadDescription(f"no address of {name}, which the SDP names: {why}") from why
        for media in described.media:
            if media.address == name:
                media.address = address


def find_addresses(described: Description, address_of: Callable[[str], Deferred[str]]) -> Deferred[None]:
    """Put an address in the place of each name of a host (RFC 8866 section 5.7).

    :param address_of: finds the address of a name; fails with a Refusal.
    :returns: fires with None; fails with `BadDescription` where there is no address, or there are too many names.
    """
    return Deferred.fromCoroutine(_find(described, address_of))


def _is_address(host: str) -> bool:
    if host[-1].isdigit() or ":" in host:  # as the reader writes them
        return True
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def _is_useless(media: Media, to: Profile) -> bool:
    """Whether the leg has no use for a medium: it is of a kind or a protocol that it does not take, has no codec, or no
    key (RFC 4568 section 5.1.2)."""
    if to.has_dtls and not _suits_browser(media):
        return True
    if media.kind in to.rejected_media or not media.protocol.startswith(to.required_protocol) or not media.formats:
        return True
    if to.codecs is not None and not media.codec_names():
        return True
    return to.source != "browser" and media.protocol.startswith("RTP/SAVP") and not media.has("crypto")


def _decide_role(media: Media) -> None:
    """In an answer, the DTLS role is not open (RFC 8842 section 5.3): a browser that leaves it so is the client."""
    if ("setup", "actpass") in media.attributes:
        media.attributes = [("setup", "active") if each[0] == "setup" else each for each in media.attributes]


def _suits_browser(media: Media) -> bool:
    """Whether browsers know the kind and the protocol."""
    return (media.kind in ("audio", "video") and media.is_rtp) or media.kind == "application"


def _name(codec: str) -> str:
    return codec.partition("/")[0].lower()


def _number_events(media: Media) -> None:
    """Offer events of a clock rate of 8000 Hz with the number that nearly all trunks have for them. rtpengine plays
    digits with the number that was offered; a trunk that answers with its own would not hear them."""
    if media.is_refused or EVENTS in media.codecs:
        return
    for payload, codec in media.codecs.items():
        if codec.lower() == "telephone-event/8000":
            media.renumber({payload: EVENTS})
            return


def _complete(media: Media) -> None:
    """Add what rtpengine has to know of a browser's medium.

    With ICE, ``0.0.0.0`` means that there is no default candidate, and no hold (RFC 8840 section 4.1.1): rtpengine
    takes it so where the medium trickles. And by the ``tls-id`` it sees that an ICE restart does not restart DTLS (RFC
    8842 section 4): from 11.3 on, it would without one. With another fingerprint, as of a page that was reloaded, it is
    another one.
    """
    fingerprint = own = options = ""
    has_ice = False
    for name, value in media.attributes:
        if name == "ice-ufrag":
            has_ice = True
        elif name == "ice-options":
            options = value
        elif name == "fingerprint":
            fingerprint = fingerprint or value
        elif name == "tls-id":
            own = value
    if has_ice:
        if "trickle" not in options.split():
            media.attributes = [each for each in media.attributes if each[0] != "ice-options"]
            media.attributes.append(("ice-options", f"{options} trickle".lstrip()))
        if not _is_address(media.address or NOWHERE):
            media.address = NOWHERE
    if fingerprint and not own:
        tls_id = fingerprint.partition(" ")[2].replace(":", "")
        if len(tls_id) >= _SHORTEST_TLS_ID:
            media.attributes.append(("tls-id", tls_id))
