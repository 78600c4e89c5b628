"""How two session descriptions compare (RFC 3264). They are octets here, as in messages."""

from __future__ import annotations

import re

from webrtcproxy.sip.sdp.bundling import groups_in
from webrtcproxy.sip.sdp.reading import BadSdp, read

_PTIME = b"a=ptime:"
_KEY = b"a=crypto:"
_EVENTS = re.compile(rb"^a=rtpmap:(\d+) telephone-event/", re.MULTILINE | re.IGNORECASE)
_CREDENTIALS = (b"a=ice-ufrag:", b"a=ice-pwd:")


def same_session(one: bytes, other: bytes) -> bool:
    """Whether two descriptions mean the same to the same peer. Ignored are the version; the DTLS role, which an offer
    leaves open and an answer does not; a ptime that rtpengine has taken from the other side meanwhile; and that events
    are 0 to 15, which they are where nothing is said (RFC 4733 section 2.4.1)."""
    ignored = [b"o=", b"a=setup:"]
    if one.count(_PTIME) != other.count(_PTIME):
        ignored.append(_PTIME)
    return _lines_without(one, ignored) == _lines_without(other, ignored)


def same_but_for_order(offer: bytes, last: bytes, answer: bytes) -> bool:
    """Whether an offer differs from the description before it only by the order of codecs, and begins with what was
    chosen; and by keys that were not chosen: the peer would choose the same again. Firefox puts what is agreed first
    in each later offer; rtpengine offers further keys in each (RFC 4568).

    :param last: what the peer was sent before it.
    :param answer: what the peer has sent: the answer to that, or the offer that that answers.
    """
    sections, old, chosen = (each.split(b"\nm=") for each in (offer, last, answer))
    if not len(sections) == len(old) == len(chosen):
        return False
    for place, (section, other) in enumerate(zip(sections, old, strict=True)):
        ignored = [b"o=", b"a=setup:", *([_PTIME] if section.count(_PTIME) != other.count(_PTIME) else [])]
        new_lines, old_lines = _lines_without(section, ignored), _lines_without(other, ignored)
        if place:
            keys = _keys(other) & _keys(chosen[place])
            new_lines, old_lines = _with_keys(new_lines, keys), _with_keys(old_lines, keys)
            formats, before, taken = new_lines.pop(0).split(), old_lines.pop(0).split(), chosen[place].split()
            if sorted(formats) != sorted(before) or formats[:3] != before[:3]:
                return False
            if formats != before and formats[3:4] != taken[3:4]:
                return False
        if sorted(new_lines) != sorted(old_lines):
            return False
    return True


def _lines_without(sdp: bytes, ignored: list[bytes]) -> list[bytes]:
    starts = tuple(ignored)
    usual = {b"a=fmtp:%b 0-15" % number for number in _EVENTS.findall(sdp)}
    return [line for line in sdp.splitlines() if not line.startswith(starts) and line not in usual]


def _keys(section: bytes) -> set[bytes]:
    """The tags of the keys of a medium (RFC 4568 section 9.1), each as it stands in its line."""
    return {line.partition(b" ")[0] for line in section.splitlines() if line.startswith(_KEY)}


def _with_keys(lines: list[bytes], keys: set[bytes]) -> list[bytes]:
    """The lines without those of other keys."""
    return [line for line in lines if not line.startswith(_KEY) or line.partition(b" ")[0] in keys]


def is_ice_restart(sdp: bytes, last: bytes) -> bool:
    """Whether a description is an ICE restart, compared with the sender's last one (RFC 8839 section 4.4.3.1.1): some
    of its credentials have changed."""
    return bool(_credentials(last) - _credentials(sdp))


def _credentials(sdp: bytes) -> set[bytes]:
    return {line for line in sdp.splitlines() if line.startswith(_CREDENTIALS)}


def restarts_dtls(sdp: bytes) -> bool:
    """Whether the sender of a description is known to be able to begin DTLS again with another fingerprint (RFC 8842
    section 5.5). Firefox is not: it keeps the connection and its keys, and nothing is heard."""
    return b"\na=fingerprint:" not in sdp or not sdp.partition(b"\no=")[2].startswith(b"mozilla")


def lacks_candidates(sdp: bytes, other: bytes) -> bool:
    """Whether a browser has media that it has gathered no candidates of as yet, beside others of which it has (RFC 8829
    section 5.2.2): it has added a medium in the hope that this is carried with the others (BUNDLE, RFC 9143), and it is
    not. One that names none at all is expected to be found by its checks.

    :param sdp: of the browser.
    :param other: the description that it was sent, which answers or offers the same media.
    """
    if sdp.count(b"\nm=") < 2 or b"\na=candidate:" not in sdp or b"\na=ice-ufrag:" not in other:
        return False
    try:
        theirs, ours = read(sdp), read(other)
    except BadSdp:
        return False
    bundled = {mid for group in groups_in(ours) for mid in group[1:]}
    named = [
        media.has("candidate")
        for media, same in zip(theirs.media, ours.media, strict=False)
        if media.is_usable and same.is_usable and media.has("ice-ufrag") and media.mid not in bundled
    ]
    return any(named) and not all(named)


def has_joined(sdp: bytes, other: bytes) -> bool:
    """Whether a browser has media that it was told are carried with others, and inactive, though it has not said so
    itself: an offer has to move them out of the group (`webrtcproxy.sip.sdp.bundling`).

    :param sdp: of the browser.
    :param other: the description that it was sent in answer.
    """
    if b"\na=group:BUNDLE" not in other or b"\na=inactive" not in other or other.count(b"\nm=") < 2:
        return False
    try:
        theirs, ours = read(sdp), read(other)
    except BadSdp:
        return False
    members = {mid for group in groups_in(ours) for mid in group[1:]}
    return any(
        same.mid in members and same.is_usable and same.direction == "inactive" != media.direction
        for media, same in zip(theirs.media, ours.media, strict=False)
    )


def has_only_formats_of(sdp: bytes, offer: bytes) -> bool:
    """Whether a description has only formats of an offer, medium by medium, so that it may answer that offer (RFC 3264
    section 6.1)."""
    return all(ours <= offered for ours, offered in zip(_formats(sdp), _formats(offer), strict=False))


def _formats(sdp: bytes) -> list[set[bytes]]:
    return [set(line.split()[3:]) for line in sdp.splitlines() if line.startswith(b"m=")]
