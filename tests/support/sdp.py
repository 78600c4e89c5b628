"""SDP for tests: the samples in tests/data/sdp, and questions about lines."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "data" / "sdp"
SAMPLES = sorted(path.stem for path in _FOLDER.glob("*.sdp"))
FINGERPRINT = b"a=fingerprint:sha-256 " + b":".join([b"AB"] * 32) + b"\r\n"
"""What makes a medium one of a browser, with DTLS."""


def sample(name: str) -> bytes:
    """The bytes of ``tests/data/sdp/NAME.sdp``."""
    return (_FOLDER / f"{name}.sdp").read_bytes()


def lines(sdp: bytes, start: str = "") -> list[str]:
    """The lines of an SDP body that begin so."""
    return [line for line in sdp.decode().split("\r\n") if line and line.startswith(start)]


def attributes(sdp: bytes) -> set[str]:
    """The names of its attributes."""
    return {line[2:].partition(":")[0] for line in lines(sdp, "a=")}


def port(sdp: bytes) -> int:
    """The port of its first m-line."""
    return int(lines(sdp, "m=")[0].split()[1])
