"""How an option is declared: once, as a field of the dataclass of its section. Reading, the default, the check of
etc/proxy.ini and the reference in docs/ follow from the declaration.

A section reads::

    @dataclass(frozen=True, slots=True)
    class CallsConfig:
        ring: float = option(number(1, 3600, "seconds"), "How long a call may ring.", default=180.0)

The key in the file is the name of the field with ``-`` for ``_``, unless `option` has a `key`. A new option needs its
declaration, its line in etc/proxy.ini, and the code that uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, overload

from webrtcproxy.config.ini import Section
from webrtcproxy.config.kinds import Kind

T = TypeVar("T")

_OPTION: Final = "option"
_GROUP: Final = "group"


@dataclass(frozen=True, slots=True)
class Option(Generic[T]):
    """The declaration of an option.

    :param key: its name in the file.
    :param kind: the kind of its values.
    :param explanation: its purpose, in one or two sentences, as reStructuredText.
    :param default: its value if the file has none; ``dataclasses.MISSING`` if it is required.
    :param absent: the text for the default in the reference, if the value itself says too little.
    :param fills: the fields of the dataclass that get the value; if there are several, each gets a part of it.
    """

    key: str
    kind: Kind[T]
    explanation: str
    default: Any
    absent: str
    fills: tuple[str, ...]

    @property
    def required(self) -> bool:
        """Whether the section must have it."""
        return self.default is MISSING

    @property
    def default_text(self) -> str:
        """The default as it would be written in the file; empty if it can't be written."""
        return "" if self.required else self.kind.show(self.default)


@overload
def option(kind: Kind[T], explanation: str, *, key: str = "") -> T: ...
@overload
def option(kind: Kind[T], explanation: str, *, default: T, key: str = "", absent: str = "") -> T: ...
@overload
def option(
    kind: Kind[tuple[Any, ...]], explanation: str, *, fills: tuple[str, ...], default: Any = MISSING, absent: str = ""
) -> Any: ...


def option(
    kind: Kind[Any],
    explanation: str,
    *,
    default: Any = MISSING,
    key: str = "",
    absent: str = "",
    fills: tuple[str, ...] = (),
) -> Any:
    """Declare the field of an option; the parameters are those of `Option`."""
    return field(default=default, metadata={_OPTION: (key, kind, explanation, absent, fills)})


def group(section_part: type[T]) -> T:
    """Declare a field whose value is a dataclass of further options of the same section."""
    made: T = field(default_factory=section_part, metadata={_GROUP: section_part})
    return made


def options_of(section_class: type[Any]) -> Iterator[Option[Any]]:
    """The options of a section, including those of its groups, in the order of their declarations."""
    for item in fields(section_class):
        if _GROUP in item.metadata:
            yield from options_of(item.metadata[_GROUP])
        elif _OPTION in item.metadata:
            yield _option_of(item)


def open_section(section_class: type[Any], name: str, raw: Mapping[str, str], folder: Path) -> Section:
    """A section of the file, before its values are parsed.

    :param name: the name in the brackets.
    :param raw: its keys and values.
    :param folder: what relative paths are relative to.
    :raises ConfigError: one of the keys is not an option of this section.
    """
    declared = tuple(options_of(section_class))
    secrets = frozenset(item.key for item in declared if item.kind.secret)
    return Section(name, raw, tuple(item.key for item in declared), secrets, folder)


def read_section(section_class: Callable[..., T], section: Section, **others: Any) -> T:
    """The values of a section.

    :param others: the fields that are not options.
    :raises ConfigError: the first value that is wrong, or the first required option that is absent.
    """
    values = others
    for item in fields(section_class):  # type: ignore[arg-type]
        if _GROUP in item.metadata:
            values[item.name] = read_section(item.metadata[_GROUP], section)
        elif _OPTION in item.metadata:
            values.update(_read(_option_of(item), section))
    return section_class(**values)


def _option_of(item: Field[Any]) -> Option[Any]:
    key, kind, explanation, absent, fills = item.metadata[_OPTION]
    return Option(key or item.name.replace("_", "-"), kind, explanation, item.default, absent, fills or (item.name,))


def _read(declared: Option[Any], section: Section) -> Mapping[str, Any]:
    """The fields that the option fills; empty if it is absent."""
    if declared.key in section:
        value = declared.kind.read(section, declared.key)
        return dict(zip(declared.fills, value if len(declared.fills) > 1 else (value,), strict=True))
    if declared.required:
        raise section.error(declared.key, "it is missing", declared.kind.remedy)
    return {}
