"""The m-lines of a description: an answer has those of the offer, in its order, refused ones with port 0 (RFC 3264
section 6)."""

from __future__ import annotations


def without(sdp: bytes, starts: tuple[bytes, ...]) -> bytes:
    """`sdp` where the media whose lines begin so are refused: these lines stay, with port 0.

    :param starts: such as ``m=video`` with a blank behind it.
    """
    kept: list[bytes] = []
    refusing = False
    for line in sdp.splitlines(keepends=True):
        if line.startswith(b"m="):
            words = line.split(b" ", 2)
            refusing = len(words) == 3 and line.startswith(starts)
            if refusing:
                line = b"%b 0 %b" % (words[0], words[2])
        elif refusing and not line.startswith((b"c=", b"a=mid:")):
            continue
        kept.append(line)
    return b"".join(kept)


def lines_of(sdp: bytes) -> tuple[bytes, ...]:
    """The m-lines of `sdp`, in order, without their line ends; empty where there is but one."""
    if sdp.count(b"\nm=") < 2:
        return ()
    return tuple(line for line in sdp.splitlines() if line.startswith(b"m="))


def complete(answer: bytes, offered: tuple[bytes, ...]) -> bytes:
    """`answer` with the media that it has left out at its end, refused. Some that take audio only answer with the one
    line, though they may not; a browser takes no such answer.

    :param offered: `lines_of` the offer.
    """
    if not offered:
        return answer
    given = [line for line in answer.splitlines() if line.startswith(b"m=")]
    if not given or any(_kind(one) != _kind(other) for one, other in zip(given, offered, strict=False)):
        return answer
    missing = [line.split(b" ", 2) for line in offered[len(given) :]]
    lines = [b"%b 0 %b\r\nc=IN IP4 0.0.0.0\r\n" % (words[0], words[2]) for words in missing if len(words) == 3]
    return b"".join([answer.rstrip(b"\r\n"), b"\r\n", *lines]) if lines else answer


def _kind(line: bytes) -> bytes:
    return line.partition(b" ")[0]
