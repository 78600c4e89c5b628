"""Keys in descriptions (RFC 4568): which of them can be used, and which of an answer is one to its offer.

A key that is agreed to encrypts and authenticates all packets, RTCP too: no other is ever taken, so that nobody who
listens hears a call whose trunk has to be encrypted.
"""

from __future__ import annotations

import re
from collections import Counter

from webrtcproxy.sip.sdp.description import Media

_OCTETS = {
    "AES_CM_128_HMAC_SHA1_80": 30,  # RFC 4568 section 6.2
    "AES_CM_128_HMAC_SHA1_32": 30,
    "F8_128_HMAC_SHA1_80": 30,
    "AES_192_CM_HMAC_SHA1_80": 38,  # RFC 6188 section 4
    "AES_192_CM_HMAC_SHA1_32": 38,
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AES_256_CM_HMAC_SHA1_32": 46,
    "AEAD_AES_128_GCM": 28,  # RFC 7714 section 14.2
    "AEAD_AES_256_GCM": 44,
}
"""Octets of key and salt of each suite that encrypts, and that rtpengine has."""

_CRYPTO = re.compile(
    r"(?P<tag>\d{1,9}) (?P<suite>\w+)"
    r" inline:(?P<key>[A-Za-z0-9+/]+)(?P<padding>={0,2})"
    r"(?:\|(?:2\^(?P<power>\d{1,2})|(?P<packets>[1-9]\d{0,14})))?"
    r"(?:\|(?P<identifier>\d{1,10}):(?P<octets>[1-9]\d{0,2}))?"
    r"(?P<parameters>(?: [\x21-\x7e]+)*)",
    re.ASCII | re.IGNORECASE,
).fullmatch
"""A key with its lifetime and the identifier (MKI) that packets bear (RFC 4568 section 9.1)."""

#: Parameters that change nothing of what rtpengine does: those that it has anyway, and those that may be ignored.
_HARMLESS = re.compile(r"-.*|WSH=\d+|KDR=0|FEC_ORDER=FEC_SRTP", re.ASCII | re.IGNORECASE).fullmatch

_LONGEST_LIFE = 48  # packets, as a power of two (RFC 3711 section 9.2)
_LONGEST_IDENTIFIER = 128  # octets


def keep_usable_keys(media: Media) -> None:
    """Drop the keys of a medium that nobody can use, or must not: of an unknown suite, or one that does not encrypt;
    with too many or too few octets; with parameters that are not known and not optional (RFC 4568 section 6.3.7), or
    that turn encryption or authentication off; several that share tag and suite, of which an answer would name
    none (section 9.1)."""
    keys = list(dict.fromkeys(value for name, value in media.attributes if name == "crypto"))
    named = Counter(map(_chosen, keys))
    _keep(media, [key for key in keys if named[_chosen(key)] == 1 and _is_usable(key)])


def keep_one_of_each_tag(media: Media) -> None:
    """Drop the keys of an offer that have the tag of one before: an answer with tag and suite names the first."""
    keys = [value for name, value in media.attributes if name == "crypto"]
    first = {_tag(key): key for key in reversed(keys)}
    if len(first) != len(keys):
        _keep(media, [key for key in keys if first[_tag(key)] is key])


def keep_answered_key(given: Media, offered: Media) -> None:
    """Keep the one key of an answer that has the tag and the suite of one in the offer (RFC 4568 section 5.1.3).

    Where none has, that whose suite was offered with one tag only gets this tag, which is noted: its sender encrypts
    with this suite, whatever number it has given it, and has no other key of ours for what it hears.

    :param offered: what the sender of `given` was offered.
    """
    known = {_chosen(value) for name, value in offered.attributes if name == "crypto"}
    keys = [value for name, value in given.attributes if name == "crypto"]
    answered = [key for key in keys if _chosen(key) in known]
    if keys and not answered:
        tags: dict[str, list[int]] = {}
        for tag, suite in known:
            tags.setdefault(suite, []).append(tag)
        for key in keys:
            tag, suite = _chosen(key)
            if len(tags.get(suite, ())) == 1:
                given.misnamed_key = f"{tag} {suite}"
                answered = [f"{tags[suite][0]} {key.partition(' ')[2]}"]
                break
    _keep(given, answered[:1])


def _keep(media: Media, keys: list[str]) -> None:
    others = [each for each in media.attributes if each[0] != "crypto"]
    media.attributes = others + [("crypto", key) for key in keys]


def _tag(key: str) -> int:
    return int(key.partition(" ")[0])


def _chosen(key: str) -> tuple[int, str]:
    """What an answer repeats of an offer: the tag and the suite."""
    return _tag(key), key.split(" ")[1].upper()


def _is_usable(key: str) -> bool:
    found = _CRYPTO(key)
    if found is None:
        return False
    octets = _OCTETS.get(found["suite"].upper(), 0)
    if len(found["key"]) != -(-octets * 4 // 3) or found["padding"] not in ("", "=" * (-octets % 3)):
        return False
    if found["power"] is not None and not 1 <= int(found["power"]) <= _LONGEST_LIFE:
        return False
    if found["packets"] is not None and int(found["packets"]) > 1 << _LONGEST_LIFE:
        return False
    if found["octets"] is not None and not _fits(int(found["identifier"]), int(found["octets"])):
        return False
    return all(map(_HARMLESS, found["parameters"].split()))


def _fits(identifier: int, octets: int) -> bool:
    return octets <= _LONGEST_IDENTIFIER and identifier < 256 ** min(octets, 4)  # as rtpengine keeps it
