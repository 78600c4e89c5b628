"""BoundedDict: a dict with a maximum size, for entries whose number peers could drive up."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedDict(dict[K, V]):
    """A dict in which, once it is full, a new key replaces the oldest one.

    :param limit: entries that it may hold, at least 1.
    """

    __slots__ = ("_limit",)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def __setitem__(self, key: K, value: V) -> None:
        """Set an entry; an existing key keeps its age."""
        if len(self) >= self._limit and key not in self:
            del self[next(iter(self))]
        super().__setitem__(key, value)

    def renew(self, key: K, value: V) -> None:
        """Set an entry, which becomes the newest."""
        self.pop(key, None)
        self[key] = value
