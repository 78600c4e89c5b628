"""What becomes of a description on its way: from a peer to rtpengine (`from_peer`), and from rtpengine to a peer
(`for_peer`). Nothing passes as it came: each is read, and what the other side is told is newly written.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from twisted.internet.defer import Deferred

from webrtcproxy.media.profile import Profile
from webrtcproxy.runtime.errors import BadDescription, NgRefused, Refusal
from webrtcproxy.sip.sdp.answering import answering_direction, fit
from webrtcproxy.sip.sdp.attributes import OF_BROWSER, OF_TRUNK
from webrtcproxy.sip.sdp.browsers import keep_what_browsers_take
from webrtcproxy.sip.sdp.bundling import groups_in
from webrtcproxy.sip.sdp.description import DISCARD_PORT, NOWHERE, NOWHERES, OVER_TCP, Description, Media, about
from webrtcproxy.sip.sdp.keys import keep_answered_key, keep_one_of_each_tag, keep_usable_keys
from webrtcproxy.sip.sdp.reading import BadSdp, read

MAX_NAMES = 4
"""Names of hosts in one description that are looked up."""

_OF_DTLS = frozenset(("fingerprint", "setup", "tls-id"))

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
    why = to.unusable
    if offer is not None:
        is_wanted = fit(described, offer)
    else:
        is_wanted = not all(media.is_refused for media in described.media)
        if to.decodes and of_browser:
            for media in described.media:
                _number_events(media)
    if "SAVP" in to.required_protocol:
        _keep_keys(described, offer)
    for media in described.media:
        if media.is_refused:
            continue
        if to.codecs is not None:
            media.keep([each for each, codec in media.codecs.items() if _name(codec) in to.codecs])
        if _is_useless(media, to):
            media.refuse()
        elif of_browser:
            if media.protocol in OVER_TCP:
                media.offered_protocol, media.protocol = media.protocol, OVER_TCP[media.protocol]
            if not _complete(media, described, is_answer=offer is not None):
                why = "the SDP has no fingerprint that can be used"
                media.refuse()
    if offer is not None and described.attributes and not groups_in(offer):  # rtpengine has not offered any
        described.attributes = [each for each in described.attributes if each[0] != "group"]
    if offer is None and len(described.media) > 1 and not of_browser:
        _keep_one_profile(described)
    if is_wanted and not described.is_usable:
        raise BadDescription(why)
    return described


def for_peer(sdp: object, to: Profile, offered: Description, answer: Description | None = None) -> Description:
    """What a peer is told.

    :param sdp: what rtpengine has made. What it has besides, that of an earlier offer which was refused, is left out.
    :param to: the profile of the peer.
        A browser is offered no kind and no protocol that it can't read, refused media included: Firefox would refuse
        the offer. Such a medium keeps its place as one of audio that is refused.
    :param offered: the offer of the one side or the other, as `from_peer` has given it to rtpengine.
    :param answer: if the peer has made that offer, the answer to it as `from_peer` has given it to rtpengine. Each
        medium is answered in the protocol that was offered (RFC 3264 section 6, RFC 5124 section 3.3). Codecs have the
        numbers that the answerer has given them: what is not decoded passes with the number that it has.
    :raises NgRefused: rtpengine has made none (10.5 accepts an empty description, and returns none).
    :raises BadDescription: browsers know nothing of what is offered.
    """
    try:
        described = read(sdp if isinstance(sdp, bytes) else b"", to.attributes)
    except BadSdp as error:
        raise NgRefused("no SDP in the reply") from error
    del described.media[len(offered.media) :]
    if answer is not None:
        _make_answer(described, to, offered, answer)
    else:
        _make_offer(described, to, offered)
    for media in described.media:
        if to.has_dtls:
            keep_what_browsers_take(media)
        if media.of_formats and not media.protocol.endswith("F"):
            media.of_formats = [each for each in media.of_formats if each[0] != "rtcp-fb"]
    if answer is None and offered.is_usable and not described.is_usable:
        raise BadDescription(to.unusable)
    return described


def _make_answer(described: Description, to: Profile, offered: Description, answer: Description) -> None:
    """Answer each medium in its protocol, its direction, and with the payload types of `answer`."""
    for media, asked, given in zip(described.media, offered.media, answer.media, strict=False):
        media.protocol = asked.offered_protocol or asked.protocol
        media.direction = answering_direction(media.direction, asked.direction)
        if media.is_refused:
            media.kind, media.formats = asked.kind, asked.formats[:1]
        elif given.numbers is not None and not to.decodes:
            media.renumber({ours: theirs for ours, theirs in given.numbers.items() if ours in media.codecs})
        elif given.numbers is not None:  # rtpengine was told the offer with these, of which some were not offered
            known, others = {codec.lower() for codec in asked.codecs.values()}, given.numbers.values()
            media.keep([each for each, codec in media.codecs.items() if each not in others or codec.lower() in known])
        if to.decodes and not media.is_refused:
            _keep_events(media, asked, given)


def _make_offer(described: Description, to: Profile, offered: Description) -> None:
    """Offer a browser nothing that it can't read; and no codec with the number that the peer had for it in addition to
    the one in `offered`, as rtpengine does from 12.5 on where it decodes."""
    for media, asked in zip(described.media, offered.media, strict=False):
        if media.is_refused:
            if to.has_dtls and not _suits_browser(media):
                media.kind, media.protocol, media.formats = "audio", "UDP/TLS/RTP/SAVPF", ["0"]
        elif to.decodes and not media.codecs.keys() <= asked.codecs.keys():
            known = {codec.lower() for each, codec in media.codecs.items() if each in asked.codecs}
            media.keep(
                [each for each, codec in media.codecs.items() if each in asked.codecs or codec.lower() not in known]
            )


def is_encrypted(described: Description) -> bool:
    """Whether all media are encrypted, with keys from SDES (RFC 4568) or DTLS (RFC 5764)."""
    for media in described.media:  # noqa: SIM110 - asked with each command, and a generator takes four times as long
        if "SAVP" not in media.protocol and media.is_usable:
            return False
    return True


def names_in(described: Description) -> list[str]:
    """The names of hosts that stand for addresses (RFC 8866 section 5.7), without those of media that ICE finds."""
    found = []
    for media in described.media:
        if media.address and not _is_address(media.address) and media.is_usable:
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
    """Whether the leg has no use for a medium: it is of a kind or a protocol that it does not take, has no codec, no
    address, or no key that can be used (RFC 4568 section 5.1.2)."""
    if to.has_dtls and not _suits_browser(media):
        return True
    if media.kind in to.rejected_media or not media.protocol.startswith(to.required_protocol) or not media.formats:
        return True
    if not media.address and not media.has("ice-ufrag"):  # nobody would hear anything
        return True
    if to.codecs is not None and not media.has_sound_or_pictures:
        return True
    return to.source != "browser" and media.protocol.startswith("RTP/SAVP") and not media.has("crypto")


def _keep_keys(described: Description, offer: Description | None) -> None:
    """Keep the keys that can be used, one of each tag in an offer, and of an answer that which was offered."""
    for media in described.media:
        keep_usable_keys(media)
        if offer is None:
            keep_one_of_each_tag(media)
    for media, offered in zip(described.media, offer.media if offer is not None else (), strict=False):
        keep_answered_key(media, offered)


def _keep_one_profile(described: Description) -> None:
    """Of media of one kind, keep those with the profile of the first: ``RTP/AVP`` beside ``RTP/AVPF`` are two ways to
    offer one stream, as a plain medium beside an encrypted one is."""
    taken: dict[str, str] = {}
    for media in described.media:
        if media.is_rtp and not media.is_refused and taken.setdefault(media.kind, media.protocol) != media.protocol:
            media.refuse()


def _suits_browser(media: Media) -> bool:
    """Whether browsers know the kind and the protocol: of applications data channels only (RFC 8841), not what video
    phones offer (RFC 4573, RFC 4583)."""
    if media.kind == "application":
        return media.protocol.upper().endswith("DTLS/SCTP")
    return media.kind in ("audio", "video") and media.is_rtp


def _name(codec: str) -> str:
    return codec.partition("/")[0].lower()


def _number_events(media: Media) -> None:
    """Offer a trunk events of 8000 Hz with the number that nearly all trunks have for them. rtpengine plays
    digits with the number that was offered; a trunk that answers with its own would not hear them."""
    if media.is_refused or EVENTS in media.codecs:
        return
    for payload, codec in media.codecs.items():
        if _is_narrow_event(codec):
            media.renumber({payload: EVENTS})
            return


def _keep_events(media: Media, offered: Media, given: Media) -> None:
    """Answer a browser whose events are of 8000 Hz alone, while its audio is of another clock rate, with those of the
    trunk, and their number. rtpengine leaves such events out of its answer, but passes packets with a number that it
    does not know as they are, within the stream that it encodes."""
    if any(map(_is_event, media.codecs.values())) or not any(map(_is_narrow_event, offered.codecs.values())):
        return
    for payload, codec in given.codecs.items():
        if _is_narrow_event(codec) and payload not in media.codecs:
            media.formats.append(payload)
            media.codecs[payload] = codec
            media.of_formats += about(given.of_formats, {payload: codec})
            return


def _is_event(codec: str) -> bool:
    return _name(codec) == "telephone-event"


def _is_narrow_event(codec: str) -> bool:
    return codec.lower() == "telephone-event/8000"


def _complete(media: Media, described: Description, *, is_answer: bool) -> bool:
    """Add what rtpengine has to know of a browser's medium.

    With ICE, ``0.0.0.0`` means that there is no default candidate, and no hold (RFC 8840 section 4.1.1): rtpengine
    takes it so where the medium trickles, and the port is 9.

    :returns: whether it can be used: without a fingerprint there would be no DTLS, and so no keys (RFC 5763 section 5).
    """
    said = dict(reversed(media.attributes))  # the first of each name counts
    if "ice-ufrag" in said:
        options = said.get("ice-options", "")
        if "trickle" not in options.split():
            media.attributes = [each for each in media.attributes if each[0] != "ice-options"]
            media.attributes.append(("ice-options", f"{options} trickle".lstrip()))
        if not _is_address(media.address or NOWHERE):
            media.address = NOWHERE
        if media.address in NOWHERES and media.port:
            media.port = DISCARD_PORT
    if "fingerprint" in said:
        _complete_dtls(media, said, is_answer=is_answer)
        return True
    return "SAVP" not in media.protocol or _has_fingerprint_of_bundle(media, described)


def _has_fingerprint_of_bundle(media: Media, described: Description) -> bool:
    """Whether it is carried with a medium that has one, which is then its own, too (RFC 9143 section 7.1.3)."""
    bundled = {mid for mids in groups_in(described) if media.mid in mids for mid in mids}
    return any(each.mid in bundled and each.has("fingerprint") for each in described.media)


def _complete_dtls(media: Media, said: dict[str, str], *, is_answer: bool) -> None:
    """Leave one fingerprint, that of the strongest hash (RFC 8122 section 5.1), and one role.

    An offer without a role leaves it open, and an answer that does is one of the client (RFC 8842 sections 5.2 and
    5.3). A connection that is held back does not exist there (RFC 5763 section 5). By the ``tls-id`` rtpengine sees
    that an ICE restart does not restart DTLS (RFC 8842 section 4): from 11.3 on, it would without one. With another
    fingerprint, as of a page that was reloaded, it is another one.
    """
    role = said.get("setup", "")
    if role not in ("active", "passive"):
        role = "active" if is_answer else "actpass"
    fingerprint = said["fingerprint"]
    others = [each for each in media.attributes if each[0] not in _OF_DTLS]
    if len(media.attributes) - len(others) > len(said.keys() & _OF_DTLS):
        fingerprint = max([value for name, value in media.attributes if name == "fingerprint"], key=len)
    tls_id = said.get("tls-id") or fingerprint.partition(" ")[2].replace(":", "")
    media.attributes = [*others, ("fingerprint", fingerprint), ("setup", role), ("tls-id", tls_id)]
