"""Histogram beside prometheus-client's own."""

from __future__ import annotations

import prometheus_client
from prometheus_client import CollectorRegistry, generate_latest
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime.histogram import Histogram

BUCKETS = (0.0005, 0.25, 1, 7200)
VALUES = (0.0, 0.0005, 0.00051, 0.25, 1, 1.5, 7200, 7200.5)


class HistogramTests(SynchronousTestCase):
    """What Prometheus reads of it."""

    def test_as_the_client(self) -> None:
        """The text is that of prometheus-client's histogram, for values on, between and above the bounds."""
        ours, theirs = CollectorRegistry(), CollectorRegistry()
        for labels, values in ((), ()), (("node", "command"), ("192.0.2.1:2223", "offer")):
            name = f"seconds_{len(labels)}"
            lean = Histogram(name, "Help.", labels, registry=ours, buckets=BUCKETS).labels(*values)
            full = prometheus_client.Histogram(name, "Help.", labels, registry=theirs, buckets=BUCKETS)
            series = full.labels(*values) if values else full
            for value in VALUES:
                lean.observe(value)
                series.observe(value)
        self.assertEqual(generate_latest(ours), generate_latest(theirs))
        self.assertIn(b'seconds_0_bucket{le="+Inf"} 8.0', generate_latest(ours))

    def test_from_the_start(self) -> None:
        """A series is exported with zeros before its first observation, and one that nobody has asked for is not."""
        registry = CollectorRegistry()
        histogram = Histogram("seconds", "Help.", ["node"], registry=registry, buckets=BUCKETS)
        self.assertNotIn(b"seconds_bucket", generate_latest(registry))
        histogram.labels("a")
        self.assertIn(b'seconds_count{node="a"} 0.0', generate_latest(registry))
        self.assertNotIn(b'node="b"', generate_latest(registry))

    def test_one_series(self) -> None:
        """The same labels give the same series, others another one."""
        histogram = Histogram("seconds", "Help.", ["node"], registry=CollectorRegistry(), buckets=BUCKETS)
        self.assertIs(histogram.labels("a"), histogram.labels("a"))
        self.assertIsNot(histogram.labels("a"), histogram.labels("b"))
