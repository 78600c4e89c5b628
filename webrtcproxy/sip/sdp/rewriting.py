"""Changes to session descriptions in transit: rejects or completes media, strips attributes, sets the DTLS role.

Descriptions are octets here, as in messages and in commands to rtpengine. All other lines stay unchanged.
"""

from __future__ import annotations

from collections.abc import Collection

from webrtcproxy.sip.sdp.description import MAX_LINES, SessionDescription, new_session, reject_m_line
from webrtcproxy.sip.sdp.questions import all_m_lines

_VERSIONS = 1 << 62
_DIGITS = len(str(_VERSIONS))
_NOWHERE = "0.0.0.0"  # noqa: S104 - an address that is never sent to
_DISCARD = {b"c=IN IP4 ": b"c=IN IP4 127.0.0.1\r\n", b"c=IN IP6 ": b"c=IN IP6 ::1\r\n"}


def without_attributes(sdp: bytes, names: frozenset[bytes]) -> bytes:
    """`sdp` without the attributes of these names, at session and media level."""
    return b"".join([
        line
        for line in sdp.splitlines(keepends=True)
        if line[:2] != b"a=" or line[2:].partition(b":")[0].strip() not in names
    ])  # fmt: skip


def with_valid_version(sdp: bytes) -> bytes:
    """`sdp` with the version in its o= line below 2**62, where it has to begin (RFC 3264 section 5). rtpengine begins
    with any number of 64 bits, and Firefox refuses half of them. What is next to each other stays so.
    """
    start = sdp.find(b"o=", 0, 16)
    if start < 0:
        return sdp
    end = sdp.find(b" IN ", start)
    version = sdp[sdp.rfind(b" ", start, end) + 1 : end]
    if len(version) < _DIGITS or not version.isdigit() or int(version) < _VERSIONS:
        return sdp
    return b"%b%d%b" % (sdp[: end - len(version)], int(version) % _VERSIONS, sdp[end:])


def reject_media(sdp: bytes, kinds: Collection[bytes]) -> bytes:
    """`sdp` with the media of these kinds rejected: their m= lines stay where they are, with port 0 (RFC 3264 section
    6).

    :param kinds: ``video``, ``application`` ...
    """
    for kind in kinds:
        if kind in sdp:
            break
    else:
        return sdp
    read = SessionDescription(sdp)
    rejected = frozenset(b"m=" + kind for kind in kinds)
    media = [each.rejected() if _kind(each.lines[0]) in rejected else each for each in read.sections]
    return SessionDescription.of(read.session, media).octets


def complete_answer(answer: bytes, offered: tuple[bytes, ...]) -> bytes:
    """`answer` with the media that are missing at its end added as rejected (RFC 3264 section 6). Some audio-only peers
    answer with one m= line, though they must not; a browser does not accept such an answer.

    :param offered: `m_lines` of the offer.
    """
    if not offered:
        return answer
    given = all_m_lines(answer)
    if not given or any(_kind(one) != _kind(other) for one, other in zip(given, offered, strict=False)):
        return answer
    lines = [
        b"%b\r\nc=IN IP4 0.0.0.0\r\n" % line for each in offered[len(given) :] if (line := reject_m_line(each))
    ]  # fmt: skip
    return b"".join([answer.rstrip(b"\r\n"), b"\r\n", *lines]) if lines else answer


def sent_nowhere(sdp: bytes) -> bytes:
    """`sdp` with an address at which nobody listens in place of its sender's (port 9, RFC 863, of the loopback
    interface), so that its sender is sent nothing. What is on hold or rejected stays so."""
    return b"".join([
        _elsewhere(line) for line in sdp.splitlines(keepends=True) if not line.startswith(b"a=rtcp:")
    ])  # fmt: skip


def offer_from_nowhere() -> bytes:
    """An offer to send audio from an address at which nobody is."""
    return b"".join([*new_session("127.0.0.1").lines, b"m=audio 9 RTP/AVP 0\r\na=sendonly\r\n"])


def refuse_all(offer: bytes) -> bytes:
    """The answer that rejects all media of `offer`: each m= line with port 0 (RFC 3264 section 6)."""
    lines = list(new_session(_NOWHERE).lines)
    for line in all_m_lines(offer)[:MAX_LINES]:
        lines.append((reject_m_line(line) or _kind(line) + b" 0 ") + b"\r\n")
    return b"".join(lines)


def as_answer(sdp: bytes) -> bytes:
    """A description that may have been an offer, as an answer for rtpengine: if both ends leave the DTLS role open,
    rtpengine is passive."""
    return sdp.replace(b"a=setup:actpass", b"a=setup:active")


def as_offer(sdp: bytes) -> bytes:
    """A description that may have been an answer, as an offer: an offer leaves the DTLS role open (RFC 8842 section
    5.2)."""
    return sdp.replace(b"a=setup:active", b"a=setup:actpass").replace(b"a=setup:passive", b"a=setup:actpass")


def _elsewhere(line: bytes) -> bytes:
    if line[:2] == b"c=" and line[9:].strip() not in (b"0.0.0.0", b"::"):
        return _DISCARD.get(line[:9], line)
    fields = line.split(b" ", 2)
    if line[:2] == b"m=" and len(fields) == 3 and fields[1] != b"0":
        return b"%b 9 %b" % (fields[0], fields[2])
    return line


def _kind(m_line: bytes) -> bytes:
    return m_line.partition(b" ")[0]
