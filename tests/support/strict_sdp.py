"""A reader of session descriptions that forgives nothing: after the grammar of RFC 8866 section 9, and what the parsers
of Chromium and Firefox demand beyond it. It shares no code with the reader of the package.

complaints(sdp)    # [] if nobody could refuse it
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from itertools import takewhile

_SESSION = re.compile(r"vosi?u?e*p*c?b*(tr*)+z?k?a*")
_MEDIUM = re.compile(r"mi?c*b*k?a*")
_M_LINE = re.compile(
    r"m=[A-Za-z0-9!#$%&'*+.^_`{|}~-]+ (\d{1,5}) ([A-Za-z0-9!#$%&'*+.^_`{|}~/-]+)((?: [^ ]+)+)", re.ASCII
)
_RTPMAP = re.compile(r"(\d{1,3}) [A-Za-z0-9.+_-]+/[1-9]\d{0,5}(/[1-9]\d?)?", re.ASCII)
_ATTRIBUTE = re.compile(r"a=[A-Za-z0-9-]+(:\S.*)?", re.ASCII)
_RTP = ("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF")


def complaints(sdp: bytes) -> list[str]:
    """What a strict reader would refuse."""
    text = sdp.decode()
    if not text.endswith("\r\n"):
        return ["no line end at the end"]
    lines = text[:-2].split("\r\n")
    found = [f"odd line {line!r}" for line in lines if not _is_line(line)]
    if found:
        return found
    session = list(takewhile(lambda line: line[0] != "m", lines))
    if not _SESSION.fullmatch("".join(line[0] for line in session)):
        found.append("order of the session's lines")
    if session[0] != "v=0":
        found.append(session[0])
    found += _origin(session[1])
    sections: list[list[str]] = []
    for line in lines[len(session) :]:
        if line[0] == "m":
            sections.append([])
        sections[-1].append(line)
    mids: list[str] = []
    for section in sections:
        found += _medium(section)
        mids += [line[6:] for line in section if line.startswith("a=mid:")]
    if not sections:
        found.append("no medium")
    if len(mids) != len(set(mids)):
        found.append("a mid twice")
    for line in session:
        if line.startswith("a=group:BUNDLE"):
            found += [f"{mid} is in no section" for mid in line.split()[1:] if mid not in mids]
    return found


def _is_line(line: str) -> bool:
    return (
        re.fullmatch(r"[a-z]=\S.*", line) is not None
        and line == line.rstrip()
        and not re.search(r"[\x00-\x1f\x7f\ufeff]", line)
        and (line[0] != "a" or _ATTRIBUTE.fullmatch(line) is not None)
        and (line[0] != "c" or _is_network(line[2:].split(" ")))
    )


def _is_network(words: list[str]) -> bool:
    try:
        return words[:2] == ["IN", f"IP{ip_address(words[2]).version}"] and len(words) == 3
    except (ValueError, IndexError):
        return False


def _origin(line: str) -> list[str]:
    words = line.removeprefix("o=").split(" ")
    numbers = [word for word in words[1:3] if re.fullmatch(r"\d+", word, re.ASCII) and int(word) < 2**62]
    good = line.startswith("o=") and len(words) == 6 and len(numbers) == 2 and _is_network(words[3:])
    return [] if good else [line]


def _medium(section: list[str]) -> list[str]:
    found = []
    line = _M_LINE.fullmatch(section[0])
    if line is None or int(line[1]) > 65535:
        return [section[0]]
    if not _MEDIUM.fullmatch("".join(each[0] for each in section)):
        found.append("order of the lines of a medium")
    if not any(each[0] == "c" for each in section):
        found.append("a medium without an address")
    attributes = [each[2:].partition(":") for each in section if each[0] == "a"]
    if line[2] in _RTP and line[1] != "0":
        formats = line[3].split()
        found += _rtp(formats, attributes)
    return found


def _rtp(formats: list[str], attributes: list[tuple[str, str, str]]) -> list[str]:
    found = [
        f"format {each}" for each in formats if not re.fullmatch(r"0|[1-9]\d{0,2}", each, re.ASCII) or int(each) > 127
    ]
    if len(set(formats)) != len(formats):
        found.append("a format twice")
    maps = [value for name, _, value in attributes if name == "rtpmap"]
    found += [f"rtpmap {value}" for value in maps if not _RTPMAP.fullmatch(value)]
    mapped = [value.split(" ")[0] for value in maps]
    if sorted(mapped) != sorted(formats):
        found.append(f"rtpmaps of {mapped} for {formats}")
    found += [
        f"{name} of {value}"
        for name, _, value in attributes
        if name in ("fmtp", "rtcp-fb") and value.split(" ")[0] not in ("*", *formats)
    ]
    directions = [name for name, _, _ in attributes if name in ("sendrecv", "sendonly", "recvonly", "inactive")]
    if len(directions) != 1:
        found.append(f"directions {directions}")
    return found
