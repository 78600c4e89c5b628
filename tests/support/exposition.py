"""What Prometheus would read, as tests look at it.

readings = Readings(metrics)
...
readings.moved()        # {'refused_total{reason="loop"}': 1.0}: what is not as it was, without buckets and sums
"""

from __future__ import annotations

from webrtcproxy.runtime.metrics import Metrics

PREFIX = "webrtcproxy_"


def samples(text: bytes) -> dict[str, float]:
    """The samples of a text, by name and labels as they stand there; our own without their prefix."""
    lines = (line.rpartition(" ") for line in text.decode().splitlines() if not line.startswith("#"))
    return {name.removeprefix(PREFIX): float(value) for name, _, value in lines}


def moved(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """By how much samples have changed; those of histograms by their count alone."""
    return {
        name: after[name] - before.get(name, 0)
        for name in after
        if after[name] != before.get(name, 0)
        and not name.partition("{")[0].endswith(("_bucket", "_sum"))
        and not name.startswith(("process_", "python_"))
    }


class Readings:
    """Tells what has moved since it was made, or last asked."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._last = samples(metrics.text())

    def moved(self) -> dict[str, float]:
        """See :func:`moved`."""
        before, self._last = self._last, samples(self._metrics.text())
        return moved(before, self._last)
