"""The name of a proxy among all those that use one rtpengine, by which it finds what it has left there when it was
killed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NETWORK = Path("/proc/self/ns/net")
_FIXED_PORT = re.compile(r"(?:udp|tcp|tls):0*[1-9]")


def own_instance(named: str | None, listen: Sequence[str], boot: Path = _BOOT, network: Path = _NETWORK) -> str:
    """The name of this proxy, the same after a restart.

    Where it has none in the configuration, it is made of what no two running proxies have in common: the machine since
    it was booted, the network namespace, and the SIP sockets in there. A container that is created again has another
    namespace: it needs a name.

    :param named: ``[rtpengine] instance``.
    :param listen: ``[sip] listen``.
    :param boot: the file with the id of this boot.
    :param network: the link that identifies the network namespace.
    :returns: empty where no name can be made.
    """
    if named is not None:
        return named
    if not any(map(_FIXED_PORT.match, listen)):
        return ""
    try:
        parts = [boot.read_text().strip(), str(network.readlink()), *sorted(listen)]
    except OSError:
        return ""
    return sha256("\n".join(parts).encode()).hexdigest()[:12]
