"""Headers: the header fields of one message, in their order, as they were written."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from itertools import compress

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import is_token, items
from webrtcproxy.sip.names import LISTS, SPELLINGS


def canonical(name: str) -> str:
    """The usual spelling of a header name, whatever its case or compact form; unknown names as they are."""
    return SPELLINGS.get(name) or SPELLINGS.get(name.lower()) or name


class Headers:
    """Ordered header fields; names in any case, long or compact.

    Known names are written in their usual spelling, others as they came. A value is the text of one header line; it
    is read only when asked for, and what was read is kept until that header changes.

    :param pairs: names and values to begin with, checked like `add`.
    """

    __slots__ = ("_names", "_values", "typed")

    typed: dict[str, object]
    """What `message.Message` has read, by canonical name; for its use only."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._names: list[str] = []
        self._values: list[str] = []
        self.typed = {}
        for name, value in pairs:
            self.add(name, value)

    @staticmethod
    def of(names: list[str], values: list[str]) -> Headers:
        """Headers out of two lists of one length, which belong to them from now on.

        :param names: as `canonical` writes them.
        :param values: stripped, without CR, LF and NUL.
        """
        headers = Headers.__new__(Headers)
        headers._names = names
        headers._values = values
        headers.typed = {}
        return headers

    def get(self, name: str) -> str | None:
        """The value of the first header of this name, None where there is none."""
        known = SPELLINGS.get(name)
        names = self._names
        if known is not None:
            return self._values[names.index(known)] if known in names else None
        where = self._where(name)
        return self._values[where[0]] if where else None

    def present(self, name: str) -> str:
        """The value of the first header of this canonical name, found at one look.

        :raises ValueError: there is none.
        """
        return self._values[self._names.index(name)]

    def lines(self, name: str) -> list[str]:
        """The values of all headers of this name, one a header line."""
        values = self._values
        known = SPELLINGS.get(name)
        if known is not None and self._names.count(known) == 1:
            return [values[self._names.index(known)]]
        return [values[at] for at in self._where(name)]

    def all(self, name: str) -> list[str]:
        """The elements of all headers of this name, in order: comma lists are cut where this header is a list.

        :raises BadMessage: 400: a quote or an angle bracket is left open.
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
        """The first element of a list header, None where there is none.

        :raises BadMessage: 400: a quote or an angle bracket is left open.
        """
        value = self.get(name)
        if not value or "," in value:
            return next(iter(self.all(name)), None)
        return value

    def set(self, name: str, value: str) -> None:
        """Put one header in place of all of this name, or at the end.

        :raises ValueError: the name is no token, or the value has CR, LF or NUL.
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
        """Put `value` in place of the first element of a list header and leave the others; or at the end.

        :raises ValueError: the name is no token, or the value has CR, LF or NUL.
        :raises BadMessage: 400: a quote or an angle bracket is left open.
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

        :raises ValueError: the name is no token, or the value has CR, LF or NUL.
        """
        self._names.append(self._changed(name, value))
        self._values.append(value)

    def extend(self, other: Headers) -> None:
        """Append all headers of another message; they are in order already."""
        for name in other._names:
            self.typed.pop(name, None)
        self._names += other._names
        self._values += other._values

    def prepend(self, name: str, value: str) -> None:
        """Insert a header before the first of this name, else before all headers.

        :raises ValueError: the name is no token, or the value has CR, LF or NUL.
        """
        where = self._where(name)
        at = where[0] if where else 0
        self._names.insert(at, self._changed(name, value))
        self._values.insert(at, value)

    def remove(self, name: str) -> None:
        """Remove all headers of this name; no error where there is none."""
        for at in reversed(self._where(name)):
            del self._names[at], self._values[at]
        self.typed.pop(canonical(name), None)

    def copy(self) -> Headers:
        """The same headers, to be changed apart; costs next to nothing."""
        headers = Headers.of(self._names.copy(), self._values.copy())
        headers.typed = self.typed.copy()
        return headers

    def without(self, names: Container[str]) -> Headers:
        """A copy that lacks the headers of these canonical names."""
        return self._picked([name not in names for name in self._names])

    def only(self, names: Container[str]) -> Headers:
        """A copy that has the headers of these canonical names only."""
        return self._picked([name in names for name in self._names])

    def block(self, length: int) -> str:
        """All header lines as they are sent, with this Content-Length, without the last CRLF."""
        names, values = self._names, self._values
        text = str(length)
        if "Content-Length" not in names:
            names, values = [*names, "Content-Length"], [*values, text]
        elif values[at := names.index("Content-Length")] != text:
            values = values.copy()
            values[at] = text
        return "\r\n".join(map(": ".join, zip(names, values, strict=True)))

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

    def _picked(self, wanted: list[bool]) -> Headers:
        return Headers.of(list(compress(self._names, wanted)), list(compress(self._values, wanted)))

    def _where(self, name: str) -> list[int]:
        """The places of all headers of this name."""
        known = SPELLINGS.get(name) or SPELLINGS.get(name.lower())
        if known is not None:
            count = self._names.count(known)
            if count < 2:
                return [self._names.index(known)] if count else []
            return [at for at, other in enumerate(self._names) if other == known]
        name = name.lower()
        return [at for at, other in enumerate(self._names) if other.lower() == name]

    def _changed(self, name: str, value: str) -> str:
        """Check what is to be written, forget what was read of this header; the spelling to write the name in."""
        known = SPELLINGS.get(name)
        if known is None:
            known = canonical(name)
            if not is_token(known):
                raise ValueError(f"not a header name: {name!r}")
        if "\n" in value or "\r" in value or "\0" in value:
            raise ValueError(f"{known} would break its line: {value!r}")
        self.typed.pop(known, None)
        return known
