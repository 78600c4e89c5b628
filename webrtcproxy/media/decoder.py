"""bencodepy's decoder with a fix. It is not in bencode.py because mypyc can't compile a subclass of bencodepy's."""

from __future__ import annotations

from typing import Any

from bencodepy import BencodeDecoder


class _Decoder(BencodeDecoder):  # type: ignore[misc]
    """Rejects ``-6:``, which bencodepy takes for a string of negative length: it then reads the same bytes for ever."""

    def decode_string(self, x: bytes, f: int, **kwargs: Any) -> tuple[bytes, int]:
        if not x[f : f + 1].isdigit():
            raise ValueError("no length of a string")
        value: tuple[bytes, int] = super().decode_string(x, f, **kwargs)
        return value


_decoder = _Decoder()


def decode(data: bytes) -> object:
    """Decode `data`.

    :raises BencodeDecodeError: it is not bencode.
    """
    value: object = _decoder.decode(data)
    return value
