"""Words that nobody can guess, for tags, branches and names; drawn from the system in stock: each call needs nine."""

from __future__ import annotations

import os

_STOCK = 2048


class _Stock:
    """What was drawn and not given away. A child after a fork begins with nothing."""

    __slots__ = ("_at", "_digits")

    def __init__(self) -> None:
        self._digits = ""
        self._at = 0

    def forget(self) -> None:
        """What is left belongs to somebody else."""
        self._digits, self._at = "", 0

    def token(self, octets: int) -> str:
        begin, self._at = self._at, self._at + 2 * octets
        if self._at > len(self._digits):
            self._digits = os.urandom(max(_STOCK, octets)).hex()
            begin, self._at = 0, 2 * octets
        return self._digits[begin : self._at]


_stock = _Stock()
os.register_at_fork(after_in_child=_stock.forget)


def token(octets: int) -> str:
    """Hexadecimal digits that nobody can guess, two for each octet; none is given twice."""
    return _stock.token(octets)
