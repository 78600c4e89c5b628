"""What is left behind that only the collector can free: reference cycles."""

from __future__ import annotations

import gc
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase


def kinds_left(case: SynchronousTestCase, live: Callable[[], None]) -> set[type]:
    """The types of the objects that are garbage when `live` is over, and that nothing but the collector would free."""
    gc.collect()
    gc.disable()
    case.addCleanup(gc.enable)
    live()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return {type(found) for found in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
