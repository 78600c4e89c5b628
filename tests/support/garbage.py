"""What is left behind that only the collector can free: reference cycles."""

from __future__ import annotations

import gc
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase


def kinds_left(case: SynchronousTestCase, live: Callable[[], None]) -> set[type]:
    """The types of the objects that `live` has made, that are garbage when it is over, and that nothing but the
    collector would free.

    What was there before does not count: in a worker of ``trial -j``, the world of an earlier test may lose its last
    reference meanwhile.
    """
    gc.collect()
    gc.freeze()
    case.addCleanup(gc.unfreeze)
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
