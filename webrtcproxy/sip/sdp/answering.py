"""What makes a description an answer to an offer (RFC 3264 section 6)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from webrtcproxy.sip.sdp.description import NO_AUDIO_OR_VIDEO, Description, Media, about

Numbers = Mapping[str, str]
"""Payload types of an answer, by those of its offer."""


def fit(answer: Description, offer: Description) -> bool:
    """Change an answer so that it is one to `offer`: a medium for each that was offered, in that order, and with codecs
    that were offered, with the numbers that they were offered with. What the answer lacks, and what has no codec in
    common, is refused; what was not offered is dropped, and noted.

    :param answer: as its sender has written it: some answer with one medium for two, or in an order of their own.
    :returns: whether it accepts anything but what the offer itself has refused.
    """
    accepted = sum([not media.is_refused for media in answer.media])
    if [media.kind for media in answer.media] != [media.kind for media in offer.media]:
        answer.media, answer.not_offered = _in_order(answer.media, offer.media)
    for given, offered in zip(answer.media, offer.media, strict=True):
        if given.is_refused:
            continue
        if offered.is_refused:
            given.refuse()
            accepted -= 1
        elif given.is_rtp:
            _keep_common(given, offered)
    return accepted > 0


def _in_order(given: list[Media], offered: list[Media]) -> tuple[list[Media], list[Media]]:
    """One for each offered medium, and those that are left: that of the same kind, one that is accepted before one that
    is refused, and of these one with the protocol that was offered, or one that is encrypted as it is."""
    left = list(given)
    ordered = []
    for each in offered:
        found = min(
            (media for media in left if media.kind == each.kind),
            key=lambda media: (media.is_refused, _unlike(media.protocol, each.protocol)),
            default=None,
        )
        if found is None:
            found = Media(each.kind, 0, each.protocol, each.formats[:1])
            found.refuse()
        else:
            left.remove(found)
        ordered.append(found)
    return ordered, left


def _unlike(protocol: str, offered: str) -> int:
    """How far a protocol is from the one that was offered."""
    return 0 if protocol == offered else 1 if ("SAVP" in protocol) == ("SAVP" in offered) else 2


def _keep_common(given: Media, offered: Media) -> None:
    """Keep the codecs that were offered, with the numbers that they were offered with. A payload type without a codec
    has that of the offer."""
    if given.unnamed:
        _name(given, offered)
    if not given.codecs.items() <= offered.codecs.items():
        names = {_name_of(codec) for codec in offered.codecs.values()}
        given.keep([payload for payload, codec in given.codecs.items() if _name_of(codec) in names])
        _use_numbers_of(given, offered)
    if not given.has_sound_or_pictures and offered.has_sound_or_pictures:
        given.refuse()


def _name(given: Media, offered: Media) -> None:
    """Give payload types that were offered the codecs that they were offered with, and their places."""
    missing = 0
    for payload, place in given.unnamed.items():
        if payload in offered.codecs:
            given.formats.insert(place - missing, payload)
            given.codecs[payload] = offered.codecs[payload]
        else:
            missing += 1
    given.codecs = {payload: given.codecs[payload] for payload in given.formats}
    given.of_formats += about(given.of_unnamed, given.codecs)


def _use_numbers_of(given: Media, offered: Media) -> None:
    """Renumber codecs that the answer calls otherwise (RFC 3264 section 6.1: they SHOULD be the same), and note how.
    What has the number of another codec that was offered is dropped."""
    left = {payload: codec.lower() for payload, codec in offered.codecs.items()}
    others = []
    for payload, codec in given.codecs.items():
        if left.get(payload) == codec.lower():
            del left[payload]
        else:
            others.append(payload)
    numbers: dict[str, str] = {}
    dropped = []
    for payload in others:
        codec = given.codecs[payload]
        same = [other for other, known in left.items() if known == codec.lower()]
        if same:
            other = same[0] if len(same) == 1 else _closest(_parameters(given, payload, numbers), same, offered)
            numbers[other] = payload
            del left[other]
        elif payload in offered.codecs and _name_of(offered.codecs[payload]) != _name_of(codec):
            dropped.append(payload)
    given.keep([payload for payload in given.formats if payload not in dropped])
    if numbers:
        given.numbers = numbers
        given.renumber({theirs: ours for ours, theirs in numbers.items()})


def _parameters(media: Media, payload: str, numbers: Numbers) -> set[str]:
    """The parameters of a format (RFC 8866 section 6.15).

    :param numbers: payload types of others that they name (``apt`` of RFC 4588), by what to call them instead.
    """
    own = {theirs: ours for ours, theirs in numbers.items()}
    found: set[str] = set()
    for kind, value in media.of_formats:
        about, _, said = value.partition(" ")
        if kind == "fmtp" and about == payload:
            for each in said.lower().replace(" ", "").split(";"):
                name, equals, other = each.partition("=")
                found.add(f"apt={own.get(other, other)}" if name == "apt" and equals else each)
    return found


def _closest(parameters: set[str], payloads: list[str], media: Media) -> str:
    """Which of the payload types of one codec has most of these parameters."""
    found, most = payloads[0], -1
    for payload in payloads:
        common = len(parameters & _parameters(media, payload, {}))
        if common > most:
            found, most = payload, common
    return found


def numbers_in(answer: Description) -> list[Numbers | None] | None:
    """The numbers of each medium of an answer; None where all are those of the offer."""
    for media in answer.media:
        if media.numbers is not None:
            return [each.numbers for each in answer.media]
    return None


def as_numbered(offer: Description, answer: Description) -> Description:
    """An offer as it would be with the payload types that its answer has.

    :param answer: as `fit` has left it. Where the offerer would lose the number of its only codec to another, the
        numbers stay those of the offer.
    """
    media = [_as_numbered(offered, given) for offered, given in zip(offer.media, answer.media, strict=False)]
    return Description(media + offer.media[len(media) :], offer.attributes, offer.bandwidths)


def _as_numbered(offered: Media, given: Media) -> Media:
    if given.numbers is None:
        return offered
    named = {theirs: given.codecs[ours] for ours, theirs in given.numbers.items()}
    known = offered.codecs
    numbers = {
        ours: theirs for ours, theirs in given.numbers.items() if known.get(ours, "").lower() == named[theirs].lower()
    }
    displaced = [payload for payload in named if payload in known and payload not in numbers]
    left = _signals(offered, displaced)
    if left != _signals(offered) and not left & _signals(given):
        given.numbers = None
        return offered
    for payload, free in zip(displaced, _free_numbers(known, named), strict=False):
        numbers[payload] = free
    media = replace(offered)
    media.renumber(numbers)
    added = {payload: codec for payload, codec in named.items() if payload not in media.codecs}
    media.formats = [*media.formats, *added]  # rtpengine has offered these besides
    media.codecs = {**media.codecs, **added}
    return media


def _signals(media: Media, without: Collection[str] = ()) -> set[str]:
    """The names of codecs for sound or pictures, without those of some payload types."""
    return {_name_of(codec) for each, codec in media.codecs.items() if each not in without} - NO_AUDIO_OR_VIDEO


def _free_numbers(*used: Mapping[str, str]) -> list[str]:
    """Payload types of the dynamic range (RFC 3551 section 6) that are not used."""
    return [number for number in map(str, range(96, 128)) if not any(number in each for each in used)]


def use_numbers(answer: Description) -> None:
    """Give the codecs of an answer the payload types that its sender gave them."""
    for media in answer.media:
        if media.numbers is not None:
            media.renumber(media.numbers)


def _name_of(codec: str) -> str:
    return codec.partition("/")[0].lower()


def answering_direction(direction: str, offered: str) -> str:
    """The direction of an answer, without what the offer does not allow (RFC 3264 section 6.1).

    :param direction: as the answer has it.
    :param offered: that of the offer.
    """
    if offered == "sendrecv":
        return direction
    if offered == "recvonly" and direction in ("sendrecv", "sendonly"):
        return "sendonly"
    return "recvonly" if offered == "sendonly" and direction in ("sendrecv", "recvonly") else "inactive"
