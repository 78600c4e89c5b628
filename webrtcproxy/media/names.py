"""SessionNames: the ng call-ids of this process's sessions, and which of those at a node are left over.

A name is ``wrp-RUN-RANDOM`` or ``wrp-INSTANCE-RUN-RANDOM``, not the SIP Call-ID: that one comes from outside, and
anyone who knows it could name the session. RUN is random for each process, and tells the sessions of this process from
those of others at the same node. Sessions of an *earlier* process are recognised only by INSTANCE, a name that no two
running proxies may share; without it they are left alone, since another proxy may be using them.

INSTANCE of a worker is ``NAME_NUMBER``. The first worker also recognises those of workers that there are no more of,
and of a single process; this one those of all workers.
"""

from __future__ import annotations

import re

from webrtcproxy.runtime.ids import random_token

_PREFIX = "wrp-"


class SessionNames:
    """The names of one process.

    :param instance: the name of the proxy, which no other running one has, or empty.
    :param worker: the number of this process among its workers, from 1 on; 0 for a single process.
    :param workers: how many there are; 0 for a single process.
    """

    def __init__(self, instance: str = "", worker: int = 0, workers: int = 0) -> None:
        name = re.sub(r"[^A-Za-z0-9]", "x", instance)
        number = f"_{worker}" if worker else ""
        self._prefix = f"{_PREFIX}{name}{number}-{random_token(6)}-" if name else f"{_PREFIX}{random_token(6)}-"
        self._earlier = re.compile(rf"{_PREFIX}{name}(?:_(\d+))?-").match if name else None
        self._worker = worker
        self._workers = workers
        self._live: set[str] = set()

    @property
    def has_earlier(self) -> bool:
        """Whether it recognises sessions of processes before this one."""
        return self._earlier is not None

    def __len__(self) -> int:
        return len(self._live)

    def new(self) -> str:
        """An unguessable name, which is in use from now on."""
        name = self._prefix + random_token(12)
        self._live.add(name)
        return name

    def release(self, name: str) -> None:
        """The name is not in use any more."""
        self._live.discard(name)

    def is_left_over(self, name: str) -> bool:
        """Whether a session of that name belongs to this process, or to one before it, and to no call."""
        if name in self._live:
            return False
        if name.startswith(self._prefix):
            return True
        earlier = None if self._earlier is None else self._earlier(name)
        if earlier is None:
            return False
        number = int(earlier[1] or 0)
        return number == self._worker or (self._worker < 2 and not 1 <= number <= self._workers)
