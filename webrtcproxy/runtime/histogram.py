"""Histogram: a Prometheus histogram for a single thread.

The one of prometheus-client takes three locks and a search in Python for each observation; a call makes six.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from math import inf

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class Observations:
    """One series of a histogram.

    :param bounds: the upper bounds of the buckets, ascending; the last is infinite.
    :ivar counts: the observations of each bucket that are not in a lower one.
    :ivar sum: of all observations.
    """

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * len(bounds)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class Histogram(Collector):
    """A histogram with labels.

    :param name: of the metric.
    :param documentation: its help text.
    :param labels: names of its labels.
    :param registry: collects it.
    :param buckets: upper bounds of the buckets, ascending; an infinite one is added.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        *,
        registry: CollectorRegistry,
        buckets: Sequence[float],
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._bounds = (*map(float, buckets), inf)
        self._le = [*map(str, self._bounds[:-1]), "+Inf"]
        self._series: dict[tuple[str, ...], Observations] = {}
        registry.register(self)

    def labels(self, *values: str) -> Observations:
        """The series with these values of the labels, in their order; it is exported from then on."""
        series = self._series.get(values)
        if series is None:
            series = self._series[values] = Observations(self._bounds)
        return series

    def collect(self) -> Iterator[Metric]:
        """All series, for prometheus-client."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, series in self._series.items():
            buckets: list[tuple[str, float]] = []
            below = 0
            for bound, count in zip(self._le, series.counts, strict=True):
                below += count
                buckets.append((bound, below))
            family.add_metric(values, buckets, series.sum)
        yield family
