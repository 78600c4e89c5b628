"""bencodepy's decoder, with what it lacks. Apart from bencode.py: mypyc can not compile a class that comes from it."""

from __future__ import annotations

from typing import Any

from bencodepy import BencodeDecoder


class _Decoder(BencodeDecoder):  # type: ignore[misc]
    """bencodepy takes ``-6:`` as a string that ends before it begins, and reads the same bytes again for ever."""

    def decode_string(self, x: bytes, f: int, **kwargs: Any) -> tuple[bytes, int]:
        if not x[f : f + 1].isdigit():
            raise ValueError("no length of a string")
        value: tuple[bytes, int] = super().decode_string(x, f, **kwargs)
        return value


_decoder = _Decoder()


def decode(data: bytes) -> object:
    """What `data` holds.

    :raises BencodeDecodeError: it is no bencode.
    """
    value: object = _decoder.decode(data)
    return value
