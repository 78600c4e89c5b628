"""Shortcut: the names of a library that a shortcut past its interface needs, and whether this version has them."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Mapping
from types import FunctionType
from typing import NamedTuple

from twisted.logger import Logger

log = Logger()


class Shortcut(NamedTuple):
    """The names that a shortcut needs.

    :ivar kind: the class of the library.
    :ivar attributes: of the class or of its instances.
    :ivar methods: with the number of their arguments.
    :ivar cost: the consequence of doing without it, for the log.
    """

    kind: type
    attributes: tuple[str, ...]
    methods: Mapping[str, int]
    cost: str

    def missing(self) -> list[str]:
        """The names that the class lacks, or that have other arguments."""
        known = _assigned(self.kind).union(dir(self.kind))
        missing = [name for name in self.attributes if name not in known]
        return missing + [name for name, arguments in self.methods.items() if not self._takes(name, arguments)]

    def usable(self) -> bool:
        """Whether the shortcut can be used; if not, the reason is logged."""
        missing = self.missing()
        if missing:
            kind = f"{self.kind.__module__}.{self.kind.__qualname__}"
            names = ", ".join(missing)
            log.warn("This version of {kind} lacks {names}: {cost}", kind=kind, names=names, cost=self.cost)
        return not missing

    def _takes(self, name: str, arguments: int) -> bool:
        try:
            inspect.signature(getattr(self.kind, name)).bind(*range(1 + arguments))  # the first is self
        except (AttributeError, TypeError):
            return False
        return True


def _assigned(kind: type) -> set[str]:
    """The attributes that the methods of a class assign."""
    functions = (value for base in kind.__mro__ for value in vars(base).values() if isinstance(value, FunctionType))
    return {
        instruction.argval
        for function in functions
        for instruction in dis.get_instructions(function)
        if instruction.opname == "STORE_ATTR"
    }
