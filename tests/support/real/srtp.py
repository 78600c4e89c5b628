"""SRTP with AES_CM_128_HMAC_SHA1_80 or _32 (RFC 3711): just enough for one end of a call."""

from __future__ import annotations

import hmac
from base64 import b64decode

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

TAG = 10
"""Octets of the authentication tag; with _32 four."""


class Context:
    """One direction of a stream; less than 65,536 packets, so that there is no roll-over (RFC 3711 section 3.3.1).

    :param key: 16 octets.
    :param salt: 14 octets.
    :param tag: octets of the authentication tag.
    """

    def __init__(self, key: bytes, salt: bytes, tag: int = TAG) -> None:
        self._length = tag
        self._key = _derive(key, salt, 0, 16)
        self._auth = _derive(key, salt, 1, 20)
        self._salt = int.from_bytes(_derive(key, salt, 2, 14), "big")

    @classmethod
    def inline(cls, crypto: str) -> Context:
        """Of the key in an ``a=crypto`` line (RFC 4568)."""
        keys = b64decode(crypto.partition("inline:")[2].partition("|")[0] + "===")
        return cls(keys[:16], keys[16:30], 4 if "SHA1_32" in crypto else TAG)

    def protect(self, packet: bytes) -> bytes:
        """An RTP packet without CSRC and extension, encrypted."""
        sealed = packet[:12] + self._crypt(packet)
        return sealed + self._tag(sealed)

    def unprotect(self, packet: bytes) -> bytes | None:
        """The RTP packet; None where the tag is wrong."""
        sealed, tag = packet[: -self._length], packet[-self._length :]
        if not hmac.compare_digest(tag, self._tag(sealed)):
            return None
        return sealed[:12] + self._crypt(sealed)

    def _tag(self, sealed: bytes) -> bytes:
        return hmac.digest(self._auth, sealed + bytes(4), "sha1")[: self._length]

    def _crypt(self, packet: bytes) -> bytes:
        ssrc, index = int.from_bytes(packet[8:12], "big"), int.from_bytes(packet[2:4], "big")
        return _keystream(self._key, (self._salt << 16) ^ (ssrc << 64) ^ (index << 16), packet[12:])


def _derive(key: bytes, salt: bytes, label: int, length: int) -> bytes:
    """A session key (RFC 3711 section 4.3)."""
    return _keystream(key, (int.from_bytes(salt, "big") ^ (label << 48)) << 16, bytes(length))


def _keystream(key: bytes, counter: int, data: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CTR(counter.to_bytes(16, "big"))).encryptor()
    return encryptor.update(data) + encryptor.finalize()
