"""Bencode, the encoding of the ng protocol; only this module and decoder.py use bencodepy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bencodepy import BencodeDecodeError, encode

from webrtcproxy.media.decoder import decode

#: A value of an ng dictionary.
NgValue = str | bytes | int | list["NgValue"] | dict[str, "NgValue"]

#: A reply of rtpengine: keys and values as bytes, whole numbers, lists and dictionaries.
Reply = dict[bytes, Any]


class MalformedReply(Exception):
    """A reply is not a bencoded dictionary with a result."""


def to_bencode(fields: Mapping[str, NgValue]) -> bytes:
    """The bencoded form of a dictionary, its keys in order."""
    data: bytes = encode(dict(fields))
    return data


def to_items(fields: Mapping[str, NgValue]) -> bytes:
    """The items of a dictionary, to be joined with others between ``d`` and ``e``; rtpengine accepts keys in any order.

    The values that differ from call to call are strings and octets; these are encoded here, which is quick.
    """
    parts = []
    for key, value in fields.items():
        if isinstance(value, str):
            value = value.encode()
        if isinstance(value, bytes):
            parts.append(b"%d:%b%d:%b" % (len(key), key.encode("ascii"), len(value), value))
        else:
            parts.append(to_bencode({key: value})[1:-1])
    return b"".join(parts)


def from_bencode(data: bytes) -> Reply:
    """Decode a dictionary.

    :raises MalformedReply: `data` is anything else.
    """
    reply = _strings(data)
    if reply is not None:
        return reply
    try:
        value = decode(data)
    except BencodeDecodeError as error:
        raise MalformedReply(str(error)) from None
    if not isinstance(value, dict):
        raise MalformedReply("not a dictionary")
    return value


def _strings(data: bytes) -> Reply | None:
    """Decode a dictionary that has only strings, as nearly every reply to a call's command; None for any other."""
    end = len(data) - 1
    if data[:1] != b"d" or data[end:] != b"e":
        return None
    found: list[bytes] = []
    at = 1
    while at < end:
        colon = data.find(b":", at, at + 7)
        size = data[at:colon]
        if colon < 0 or not size.isdigit() or size[:1] == b"0" != size:
            return None
        at = colon + 1 + int(size)
        found.append(data[colon + 1 : at])
    return dict(zip(found[::2], found[1::2], strict=True)) if at == end and len(found) % 2 == 0 else None
