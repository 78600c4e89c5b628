"""Other versions of a library: the same source in which some names are others; and our modules on top of it."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

MODULES = {
    "TCP": ("twisted.internet.abstract", "twisted.internet.tcp"),
    "TLS": ("twisted.protocols.tls", "autobahn.twisted.util", "autobahn.twisted.websocket"),
    "WEBSOCKET": ("autobahn.websocket.protocol", "autobahn.twisted.websocket"),
    "LOG": ("twisted.logger._observer",),
    "SERVICE": ("twisted.application.internet",),
}
"""The modules of the libraries that each shortcut of `webrtcproxy.runtime.internals` depends on, lowest first."""

EXPORTED = {"twisted.logger._observer": ("twisted.logger", "LogPublisher")}
"""Where a name of such a module is imported from, if not from there."""

OURS = (
    "webrtcproxy.runtime.internals",
    "webrtcproxy.runtime.log",
    "webrtcproxy.cluster.link",
    "webrtcproxy.transport.tls",
    "webrtcproxy.transport.certificate",
    "webrtcproxy.transport.wss.websocket",
    "webrtcproxy.transport.wss.server",
)
"""What is imported again on top of it, lowest first."""


def renamed(source: str, names: Iterable[str]) -> str:
    """A source in which the attributes and methods of these names have others."""
    for name in names:
        source = re.sub(rf"(?m)((?<=\.)|(?<=def )|^    (?=\w+ = )){name}\b", rf"\1other_{name.strip('_')}", source)
    return source


@contextmanager
def other_version(shortcut: str, names: Iterable[str]) -> Iterator[dict[str, ModuleType]]:
    """Our modules as they are where a library has no such names; for as long as the context lasts.

    :param shortcut: which of the shortcuts needs them.
    """
    wanted = [*MODULES[shortcut], *OURS]
    before = {name: importlib.import_module(name) for name in wanted}
    attributes = [(*name.rpartition(".")[::2], before[name]) for name in wanted]
    for path, attribute in (EXPORTED[name] for name in MODULES[shortcut] if name in EXPORTED):
        attributes.append((path, attribute, getattr(importlib.import_module(path), attribute)))
    try:
        for name in MODULES[shortcut]:
            _place(name, _other(before[name], list(names)))
        for name in OURS:
            del sys.modules[name]
        yield {name: importlib.import_module(name) for name in OURS}
    finally:
        sys.modules.update(before)
        for path, attribute, value in attributes:
            setattr(importlib.import_module(path), attribute, value)


def _other(module: ModuleType, names: list[str]) -> ModuleType:
    other = ModuleType(module.__name__)
    other.__package__, other.__file__ = module.__package__, module.__file__
    source = renamed(inspect.getsource(module), names)
    exec(compile(source, str(module.__file__), "exec"), other.__dict__)
    return other


def _place(name: str, module: Any) -> None:
    sys.modules[name] = module
    package, _, last = name.rpartition(".")
    setattr(sys.modules[package], last, module)
    if name in EXPORTED:
        path, attribute = EXPORTED[name]
        setattr(sys.modules[path], attribute, getattr(module, attribute))
