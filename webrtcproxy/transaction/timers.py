"""The timers of transactions: T1, T2, T4 and the values derived from them (RFC 3261 section 17, table 4)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Timers:
    """The base values, in seconds, and the derived ones.

    :ivar t1: estimate of the round trip time; first interval of timers A, E and G.
    :ivar t2: longest interval of timers E and G.
    :ivar t4: how long a message can stay in the network: timers I and K.
    :ivar timeout_64t1: 64*T1: timers B, D, F, H, J, and L and M of RFC 6026.
    :ivar provisional_delay: the delay of the 100 to a non-INVITE request: until Timer E of the client has grown to T2
        (RFC 4320 section 4.1).
    """

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    timeout_64t1: float = field(init=False)
    provisional_delay: float = field(init=False)

    def __post_init__(self) -> None:
        provisional_delay, interval = 0.0, self.t1
        while interval < self.t2:
            provisional_delay += interval
            interval *= 2
        object.__setattr__(self, "timeout_64t1", 64 * self.t1)
        object.__setattr__(self, "provisional_delay", provisional_delay)


RFC3261 = Timers()
