"""Headers: the header fields of one message, in order, with their text as it was received."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from typing import TypeVar

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import is_token, items
from webrtcproxy.sip.names import LISTS, SPELLINGS

Value = TypeVar("Value")


def canonical(name: str) -> str:
    """The usual spelling of a header name in any case or compact form; unknown names stay unchanged."""
    return SPELLINGS.get(name) or SPELLINGS.get(name.lower()) or name


class Headers:
    """Ordered header fields; names are accepted in any case, long or compact.

    Known names are written in their usual spelling, others as received. A value is the text of one header line; it is
    parsed on demand, and the result is cached until that header changes.

    :param pairs: names and values to begin with, checked like `add`.
    """

    __slots__ = ("_names", "_values", "typed")

    typed: dict[str, object]
    """The parsed values of `request.Message`, by canonical name, for its use only; under ``""`` what `note` keeps."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._names: list[str] = []
        self._values: list[str] = []
        self.typed = {}
        for name, value in pairs:
            self.add(name, value)

    @staticmethod
    def of(names: list[str], values: list[str]) -> Headers:
        """Headers made of two lists of equal length, which they take over.

        :param names: as `canonical` writes them.
        :param values: stripped, without CR, LF and NUL.
        """
        headers = Headers.__new__(Headers)
        headers._names = names
        headers._values = values
        headers.typed = {}
        return headers

    def get(self, name: str) -> str | None:
        """The value of the first header of this name, or None."""
        known = SPELLINGS.get(name)
        names = self._names
        if known is not None:
            return self._values[names.index(known)] if known in names else None
        where = self._where(name)
        return self._values[where[0]] if where else None

    def parsed(
        self, name: str, parse: Callable[[str], Value], reread: Callable[[str, str], object | None] | None = None
    ) -> Value:
        """Parse the first header of this canonical name, and keep what it says in `typed`: whoever wants it looks there
        first.

        :param reread: a second reading, of name and text, where `parse` has raised a BadMessage 400; or None.
        :raises BadMessage: the header is absent, or can't be read; it names the header.
        """
        try:
            at = self._names.index(name)
        except ValueError:
            raise BadMessage(f"Missing {name}") from None
        try:
            value = parse(self._values[at])
        except BadMessage as error:
            mended = reread(name, self._values[at]) if reread is not None and error.status == 400 else None
            if mended is None:
                raise BadMessage(f"Bad {name}", error.status) from error
            value = mended  # type: ignore[assignment]
            self.note(f"Bad {name}")
        self.typed[name] = value
        return value

    def lines(self, name: str) -> list[str]:
        """The values of all headers of this name, one for each header line."""
        values = self._values
        known = SPELLINGS.get(name)
        if known is not None:
            if known not in self._names:
                return []
            if self._names.count(known) == 1:
                return [values[self._names.index(known)]]
        return [values[at] for at in self._where(name)]

    def all(self, name: str) -> list[str]:
        """The elements of all headers of this name, in order; comma lists are split if this header is a list.

        :raises BadMessage: 400: a quote or an angle bracket is not closed.
        """
        values = self.lines(name)
        name = canonical(name)
        if name not in LISTS:
            return values
        try:
            return [item for value in values for item in items(value)]
        except BadMessage as error:
            raise BadMessage(f"Bad {name}") from error

    def first(self, name: str) -> str | None:
        """The first element of a list header, or None.

        :raises BadMessage: 400: a quote or an angle bracket is not closed.
        """
        value = self.get(name)
        if not value or "," in value:
            return next(iter(self.all(name)), None)
        return value

    def set(self, name: str, value: str) -> None:
        """Replace all headers of this name by one, or append it.

        :raises ValueError: the name is not a token, or the value has CR, LF or NUL.
        """
        where = self._where(name)
        if not where:
            self.add(name, value)
            return
        self._changed(name, value)
        self._values[where[0]] = value
        for at in reversed(where[1:]):
            del self._names[at], self._values[at]

    def set_first(self, name: str, value: str) -> None:
        """Replace the first element of a list header and keep the others; or append a header.

        :raises ValueError: the name is not a token, or the value has CR, LF or NUL.
        :raises BadMessage: 400: a quote or an angle bracket is not closed.
        """
        where = self._where(name)
        if not where:
            self.add(name, value)
            return
        if "," in self._values[where[0]]:
            value = ", ".join([value, *items(self._values[where[0]])[1:]])
        self._changed(name, value)
        self._values[where[0]] = value

    def add(self, name: str, value: str) -> None:
        """Append a header.

        :raises ValueError: the name is not a token, or the value has CR, LF or NUL.
        """
        self._names.append(self._changed(name, value))
        self._values.append(value)

    def extend(self, other: Headers) -> None:
        """Append all headers of another message; they have been checked already."""
        for name in other._names:
            self.typed.pop(name, None)
        self._names += other._names
        self._values += other._values

    def prepend(self, name: str, value: str) -> None:
        """Insert a header before the first of this name, or before all headers.

        :raises ValueError: the name is not a token, or the value has CR, LF or NUL.
        """
        where = self._where(name)
        at = where[0] if where else 0
        self._names.insert(at, self._changed(name, value))
        self._values.insert(at, value)

    def remove(self, name: str) -> None:
        """Remove all headers of this name, if any."""
        for at in reversed(self._where(name)):
            del self._names[at], self._values[at]
        self.typed.pop(canonical(name), None)

    def copy(self) -> Headers:
        """A copy that can be changed independently; cheap."""
        headers = Headers.of(self._names.copy(), self._values.copy())
        headers.typed = self.typed.copy()
        return headers

    def has_only(self, names: frozenset[str]) -> bool:
        """Whether all headers have names among these canonical ones."""
        return names.issuperset(self._names)

    def has_any(self, names: frozenset[str]) -> bool:
        """Whether there is a header of any of these canonical names."""
        return not names.isdisjoint(self._names)

    def note(self, why: str) -> None:
        """Note that something in these headers is malformed, and that they are used all the same.

        :param why: as of the refusal that it is not worth.
        """
        noted = self.oddities
        if why not in noted:
            self.typed[""] = f"{noted}, {why}" if noted else why

    @property
    def oddities(self) -> str:
        """What `note` was called with; nearly always empty."""
        noted = self.typed.get("")
        return noted if isinstance(noted, str) else ""

    def without(self, names: Container[str]) -> Headers:
        """A copy without the headers of these canonical names."""
        kept = [at for at, name in enumerate(self._names) if name not in names]
        return Headers.of([self._names[at] for at in kept], [self._values[at] for at in kept])

    def only(self, names: Container[str]) -> Headers:
        """A copy with only the headers of these canonical names."""
        kept = [at for at, name in enumerate(self._names) if name in names]
        return Headers.of([self._names[at] for at in kept], [self._values[at] for at in kept])

    def block(self, length: int) -> str:
        """All header lines as they are sent, with the given Content-Length, without the last CRLF."""
        names, values = self._names, self._values
        text = str(length)
        if "Content-Length" not in names:
            names, values = [*names, "Content-Length"], [*values, text]
        elif values[at := names.index("Content-Length")] != text:
            values = values.copy()
            values[at] = text
        return "\r\n".join([f"{name}: {value}" for name, value in zip(names, values, strict=True)])

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(list(zip(self._names, self._values, strict=True)))

    def __contains__(self, name: str) -> bool:
        known = SPELLINGS.get(name)
        return known in self._names if known is not None else bool(self._where(name))

    def __len__(self) -> int:
        return len(self._names)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return self._names == other._names and self._values == other._values

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"

    def _where(self, name: str) -> list[int]:
        """The indexes of all headers of this name."""
        known = SPELLINGS.get(name) or SPELLINGS.get(name.lower())
        if known is not None:
            count = self._names.count(known)
            if count < 2:
                return [self._names.index(known)] if count else []
            return [at for at, other in enumerate(self._names) if other == known]
        name = name.lower()
        return [at for at, other in enumerate(self._names) if other.lower() == name]

    def _changed(self, name: str, value: str) -> str:
        """Check a name and a value, and drop the parsed value of this header.

        :returns: the spelling in which the name is written.
        """
        known = SPELLINGS.get(name)
        if known is None:
            known = canonical(name)
            if not is_token(known):
                raise ValueError(f"not a header name: {name!r}")
        if "\n" in value or "\r" in value or "\0" in value:
            raise ValueError(f"{known} would break its line: {value!r}")
        self.typed.pop(known, None)
        return known
