"""Unguessable tokens for tags, branches and names; random octets are drawn in batches, since a call needs nine."""

from __future__ import annotations

import os

_POOL_SIZE = 2048


class _RandomPool:
    """A pool of unused random digits. After a fork, the child starts with an empty one."""

    __slots__ = ("_at", "_digits")

    def __init__(self) -> None:
        self._digits = ""
        self._at = 0

    def clear(self) -> None:
        """Empty the pool: its digits belong to the parent process."""
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
    """Unguessable hexadecimal digits, two for each octet; no token is returned twice."""
    return _pool.random_token(octets)
