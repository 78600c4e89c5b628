"""The version of a node, as far as it tells, the vulnerabilities that its version is known to have, and the quirks
that a call has to heed.

No command of ng asks for the version; but rtpengine writes it as the session name of a description that it makes by
itself, such as the reply to a ``publish``: ``s=rtpengine-12-5-1-31-1`` is that of Debian's package 12.5.1.31-1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAMED = re.compile(rb"^s=rtpengine-(\d+)-(\d+)-(\d+)-(\d+)([A-Za-z0-9-]*)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Version:
    """A version of rtpengine.

    :ivar numbers: its four numbers.
    :ivar package: what the package adds to them, such as ``-1-deb12u1``; may be empty.
    """

    numbers: tuple[int, ...]
    package: str = ""

    def __str__(self) -> str:
        return ".".join(map(str, self.numbers)) + self.package


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """A vulnerability that versions of rtpengine have.

    :ivar name: its number.
    :ivar allows: what a stranger can do.
    :ivar fixed: the first version without it of each line of versions; later lines have never had it.
    :ivar packages: packages of earlier versions that have the correction.
    """

    name: str
    allows: str
    fixed: tuple[tuple[int, ...], ...]
    packages: tuple[str, ...] = ()

    def is_in(self, version: Version) -> bool:
        """Whether that version has it."""
        if str(version) in self.packages or version.numbers >= self.fixed[-1]:
            return False
        return not any(fixed[:2] == version.numbers[:2] and version.numbers >= fixed for fixed in self.fixed)


VULNERABILITIES = (
    Vulnerability(
        "CVE-2023-51275",
        "a stranger can break the DTLS handshake of a browser",
        ((8, 5, 12, 2), (9, 5, 8, 2), (10, 5, 6, 2), (11, 5, 1, 16), (12, 0, 1, 3), (12, 1, 1, 2)),
    ),
    Vulnerability(
        "CVE-2025-53399",
        "a stranger can take the place of a trunk with media-nat = yes",
        ((10, 5, 8, 5), (11, 5, 1, 50), (12, 5, 1, 48), (13, 4, 1, 1)),
        ("10.5.3.5-1-deb12u1",),
    ),
)


@dataclass(frozen=True, slots=True)
class Quirks:
    """How a version differs from others in a call.

    :ivar knows_bundle: it knows the key ``bundle``; earlier versions ignore it, with a line in their log.
    :ivar loses_digits: ``play DTMF`` loses the digits of about half the calls in which it does not transcode: it reads
        the RTP timestamp of the audio as a signed number, so that no digit is due for hours.
    """

    knows_bundle: bool = False
    loses_digits: bool = False


NO_QUIRKS = Quirks()
"""Of a version that is not known."""


def quirks_of(version: Version) -> Quirks:
    """Those of that version."""
    return Quirks(
        knows_bundle=version.numbers >= (14, 0),
        loses_digits=(12, 4) <= version.numbers < (13, 4),
    )


def version_in(sdp: object) -> Version | None:
    """The version in a description that rtpengine has made by itself; None if there is none."""
    found = _NAMED.search(sdp) if isinstance(sdp, bytes) else None
    if found is None:
        return None
    return Version(tuple(map(int, found.groups()[:4])), found[5].decode())


def vulnerabilities_of(version: Version) -> list[Vulnerability]:
    """Those that it is known to have."""
    return [each for each in VULNERABILITIES if each.is_in(version)]
