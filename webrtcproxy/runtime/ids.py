"""Unguessable tokens for tags, branches and names; drawn from the system in batches: each call needs nine."""

from __future__ import annotations

import os

_POOL_SIZE = 2048


class _RandomPool:
    """Random digits that were drawn and are not used yet. A child after a fork begins with none."""

    __slots__ = ("_at", "_digits")

    def __init__(self) -> None:
        self._digits = ""
        self._at = 0

    def clear(self) -> None:
        """Drop what is left: it belongs to the parent."""
        self._digits, self._at = "", 0

    def random_token(self, octets: int) -> str:
        begin, self._at = self._at, self._at + 2 * octets
        if self._at > len(self._digits):
            self._digits = os.urandom(max(_POOL_SIZE, octets)).hex()
            begin, self._at = 0, 2 * octets
        return self._digits[begin : self._at]


_pool = _RandomPool()
os.register_at_fork(after_in_child=_pool.clear)


def random_token(octets: int) -> str:
    """Unguessable hexadecimal digits, two for each octet; none is given twice."""
    return _pool.random_token(octets)
