"""A dict that holds so many entries and no more: what peers can make grow has a bound."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedDict(dict[K, V]):
    """A dict in which a new key takes the place of the oldest one, where it is full.

    :param limit: entries that it may hold; 1 at least.
    """

    __slots__ = ("_limit",)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def __setitem__(self, key: K, value: V) -> None:
        """Set an entry; one that is there keeps its age."""
        if len(self) >= self._limit and key not in self:
            del self[next(iter(self))]
        super().__setitem__(key, value)

    def renew(self, key: K, value: V) -> None:
        """Set an entry, which becomes the newest."""
        self.pop(key, None)
        self[key] = value
