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

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, overload

from webrtcproxy.config.ini import Section
from webrtcproxy.config.kinds import Kind
from webrtcproxy.config.mistakes import ConfigError, ConfigErrors, Mistakes

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
    :param stand_in: what takes the place of a required value that can't be read, so that all else can be checked.
    """

    key: str
    kind: Kind[T]
    explanation: str
    default: Any
    absent: str
    fills: tuple[str, ...]
    stand_in: Any = None

    @property
    def required(self) -> bool:
        """Whether the section must have it."""
        return self.default is MISSING

    @property
    def default_text(self) -> str:
        """The default as it would be written in the file; empty if it can't be written."""
        return "" if self.required else self.kind.show(self.default)


@overload
def option(kind: Kind[T], explanation: str, *, stand_in: T, key: str = "") -> T: ...
@overload
def option(kind: Kind[T], explanation: str, *, default: T, key: str = "", absent: str = "") -> T: ...
@overload
def option(
    kind: Kind[tuple[Any, ...]],
    explanation: str,
    *,
    fills: tuple[str, ...],
    default: Any = MISSING,
    absent: str = "",
    stand_in: Any = None,
) -> Any: ...


def option(
    kind: Kind[Any],
    explanation: str,
    *,
    default: Any = MISSING,
    key: str = "",
    absent: str = "",
    fills: tuple[str, ...] = (),
    stand_in: Any = None,
) -> Any:
    """Declare the field of an option; the parameters are those of `Option`."""
    return field(default=default, metadata={_OPTION: (key, kind, explanation, absent, fills, stand_in)})


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


def open_section(
    section_class: type[Any], name: str, raw: Mapping[str, str], folder: Path, mistakes: Mistakes | None = None
) -> Section:
    """A section of the file, before its values are parsed. A key that is no option of it is a mistake.

    :param name: the name in the brackets.
    :param raw: its keys and values.
    :param folder: what relative paths are relative to.
    :param mistakes: those of the file.
    """
    declared = tuple(options_of(section_class))
    secrets = frozenset(item.key for item in declared if item.kind.secret)
    return Section(name, raw, tuple(item.key for item in declared), secrets, folder, mistakes)


def read_section(section_class: Callable[..., T], section: Section, **others: Any) -> T:
    """The values of a section. A wrong value, and a required one that is absent, is noted among its mistakes; the
    default or the stand-in of the option takes its place.

    :param others: the fields that are not options.
    """
    values = others
    for item in fields(section_class):  # type: ignore[arg-type]
        if _GROUP in item.metadata:
            values[item.name] = read_section(item.metadata[_GROUP], section)
        elif _OPTION in item.metadata:
            values.update(_read(_option_of(item), section))
    return section_class(**values)


def _option_of(item: Field[Any]) -> Option[Any]:
    key, kind, explanation, absent, fills, stand_in = item.metadata[_OPTION]
    key, fills = key or item.name.replace("_", "-"), fills or (item.name,)
    return Option(key, kind, explanation, item.default, absent, fills, stand_in)


def _read(declared: Option[Any], section: Section) -> Mapping[str, Any]:
    """The fields that the option fills; empty where the default is to be taken."""
    value = declared.stand_in
    if declared.key in section:
        try:
            value = declared.kind.read(section, declared.key)
        except (ConfigError, ConfigErrors, OSError, ValueError) as error:
            section.mistakes.note(*_mistakes(declared, section, error))
            section.mistakes.give_up(section.name, declared.key)
            if not declared.required:
                return {}
    elif declared.required:
        section.note(declared.key, "it is missing", declared.kind.remedy)
        section.mistakes.give_up(section.name, declared.key)
    else:
        return {}
    return dict(zip(declared.fills, value if len(declared.fills) > 1 else (value,), strict=True))


def _mistakes(declared: Option[Any], section: Section, error: Exception) -> Sequence[ConfigError]:
    """The mistakes that the reader of an option has raised: those that it found, or why it got no further, as with a
    path that no system takes."""
    if isinstance(error, ConfigErrors):
        return error.mistakes
    if isinstance(error, ConfigError):
        return (error,)
    why = error.strerror if isinstance(error, OSError) else str(error)
    return (section.error(declared.key, why or type(error).__name__, declared.kind.remedy),)
