"""What makes a description an answer to an offer (RFC 3264 section 6)."""

from __future__ import annotations

from webrtcproxy.sip.sdp.description import Description, Media


def fit(answer: Description, offer: Description) -> None:
    """Change an answer so that it is one to `offer`: a medium for each that was offered, in that order, and with codecs
    that were offered. What the answer lacks, and what has no codec in common, is refused; what was not offered is
    dropped.

    :param answer: as its sender has written it: some answer with one medium for two, or in an order of their own.
    """
    if [media.kind for media in answer.media] != [media.kind for media in offer.media]:
        answer.media = _in_order(answer.media, offer.media)
    for given, offered in zip(answer.media, offer.media, strict=True):
        if given.is_refused:
            continue
        if offered.is_refused:
            given.refuse()
        elif given.is_rtp:
            _keep_common(given, offered)


def _in_order(given: list[Media], offered: list[Media]) -> list[Media]:
    """One for each offered medium: that of the same kind, one that is accepted before one that is refused."""
    left = sorted(given, key=lambda media: media.is_refused)
    ordered = []
    for each in offered:
        found = next((media for media in left if media.kind == each.kind), None)
        if found is None:
            found = Media(each.kind, 0, each.protocol, each.formats[:1])
            found.refuse()
        else:
            left.remove(found)
        ordered.append(found)
    return ordered


def _keep_common(given: Media, offered: Media) -> None:
    """Keep the codecs that were offered, with the numbers that they were offered with. A payload type without a codec
    has that of the offer."""
    for payload in given.unnamed:
        if payload in offered.codecs:
            given.formats.append(payload)
            given.codecs[payload] = offered.codecs[payload]
    if not given.codecs.items() <= offered.codecs.items():
        names = {_name(codec) for codec in offered.codecs.values()}
        given.keep([payload for payload, codec in given.codecs.items() if _name(codec) in names])
        _use_numbers_of(given, offered)
    if not given.codec_names() and offered.codec_names():
        given.refuse()


def _use_numbers_of(given: Media, offered: Media) -> None:
    """Renumber codecs that the answer calls otherwise (RFC 3264 section 6.1: they SHOULD be the same), and note how."""
    numbers: dict[str, str] = {}
    for payload, codec in given.codecs.items():
        same = [other for other, known in offered.codecs.items() if known.lower() == codec.lower()]
        if same and payload not in same and same[0] not in numbers.values() and same[0] not in given.codecs:
            numbers[payload] = same[0]
    if numbers:
        given.numbers = {ours: theirs for theirs, ours in numbers.items()}
        given.renumber(numbers)


def _name(codec: str) -> str:
    return codec.partition("/")[0].lower()
