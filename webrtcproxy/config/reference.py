"""The reference of all options, as reStructuredText made from their declarations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from webrtcproxy.config.option import Option, options_of
from webrtcproxy.config.sections import NAMED, SECTIONS

_MARKUP: Final = re.compile(r"[*`_|\\]")


class Row(NamedTuple):
    """An option, each cell as reStructuredText."""

    key: str
    value: str
    default: str
    explanation: str


def title(name: str) -> str:
    """The heading of a section, with brackets."""
    return f"[{name} NAME]" if name in NAMED else f"[{name}]"


def rows(section_class: type[Any]) -> Iterator[Row]:
    """The options of a section, in the order of their declarations."""
    for option in options_of(section_class):
        explanation = option.explanation
        if option.kind.secret:
            explanation += " It appears in no error text and no log."
        yield Row(f"``{option.key}``", _value(option), _default(option), explanation)


def reference() -> Iterator[str]:
    """The lines of the page: for each section a heading, a summary, and a table of its options."""
    for name, section_class in SECTIONS.items():
        heading = f"``{title(name)}``"
        summary = (section_class.__doc__ or "").partition("\n")[0]
        yield from (heading, "-" * len(heading), "", summary, "")
        yield from (".. list-table::", "   :header-rows: 1", "   :widths: 15 25 20 40", "")
        for row in (Row("Option", "Value", "Default", "Explanation"), *rows(section_class)):
            for index, cell in enumerate(row):
                yield f"   {'*' if index == 0 else ' '} - {cell}"
        yield ""


def _value(option: Option[Any]) -> str:
    what = option.kind.remedy.removeprefix("write ")
    return _MARKUP.sub(r"\\\g<0>", f"{what} ({option.kind.unit})" if option.kind.unit else what)


def _default(option: Option[Any]) -> str:
    if option.required:
        return "required"
    if option.absent:
        return option.absent
    return f"``{option.default_text}``" if option.default_text else "none"
