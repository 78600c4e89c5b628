"""Metrics beside what moves them: names and labels, the text, and several processes in one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from tests.support.exposition import Readings, samples
from webrtcproxy.runtime.metrics import (
    CallResult,
    Metrics,
    merged,
)


class TextTests(SynchronousTestCase):
    """What Prometheus reads."""

    def test_from_the_start(self) -> None:
        """Every series whose labels are known is there before anything happens, so that a rate sees the first one."""
        found = samples(Metrics().text())
        for name in (
            'calls_total{direction="outbound",result="answered"}',
            'calls_total{direction="inbound",result="media"}',
            'call_setup_seconds_count{direction="inbound"}',
            'call_progress_seconds_bucket{direction="outbound",le="0.01"}',
            'call_duration_seconds_sum{direction="outbound"}',
            'registrations_total{result="accepted"}',
            'refused_total{reason="unknown_source"}',
            "loop_lag_seconds_count",
            "bindings",
            "sockets",
        ):
            self.assertEqual(found[name], 0, name)

    def test_names(self) -> None:
        """All of it is in the README's table, has help, and is understood by a reader of the format."""
        metrics = Metrics()
        metrics.node("192.0.2.1:2223", up=lambda: True, pending=lambda: 0).replied("offer", 0.1)
        metrics.active_calls.labels("up").set_function(lambda: 0)
        metrics.trunk_is("pbx", "udp:192.0.2.1:5060", up=True)
        metrics.transactions.labels("server").set_function(lambda: 0)
        families = list(text_string_to_metric_families(metrics.text().decode()))
        readme = (Path(__file__).parents[2] / "README.rst").read_text()
        told = re.findall(r"(?m)^``(webrtcproxy_\w+?)(?:_total)?``", readme)
        self.assertEqual(sorted(told), sorted(family.name for family in families))
        for family in families:
            self.assertTrue(family.documentation)
            self.assertNotEqual(family.type, "unknown")
            self.assertTrue(family.samples, family.name)
            self.assertNotIn("_created", "".join(sample.name for sample in family.samples))

    def test_read_when_asked(self) -> None:
        """What there is is asked for each time, and not before."""
        asked: list[None] = []
        metrics = Metrics()
        metrics.bindings.set_function(lambda: asked.append(None) or len(asked))
        self.assertEqual(asked, [])
        for number in (1, 2):
            self.assertEqual(samples(metrics.text())["bindings"], number)

    def test_apart(self) -> None:
        """Two of them share nothing."""
        one, other = Metrics(), Metrics()
        readings = Readings(other)
        one.refused("loop")
        self.assertEqual(readings.moved(), {})

    def test_process(self) -> None:
        """CPU, memory and descriptors of the process are told where they are wanted."""
        for process in (True, False):
            found = samples(Metrics(process=process).text())
            self.assertEqual("process_cpu_seconds_total" in found, process)
            self.assertEqual("process_open_fds" in found, process)


class MeterTests(SynchronousTestCase):
    """What is counted is there at once."""

    def test_in_the_text(self) -> None:
        """The text has what came before it: of calls in both directions, and of commands to every rtpengine."""
        metrics = Metrics()
        readings = Readings(metrics)
        node = metrics.node("192.0.2.1:2223", up=lambda: True, pending=lambda: 0)
        readings.moved()
        expected: dict[str, float] = {}
        for direction, meter in (("outbound", metrics.outbound), ("inbound", metrics.inbound)):
            for name, histogram in (("progress", meter.progress), ("setup", meter.set_up), ("duration", meter.talk)):
                histogram.observe(0.5)
                histogram.observe(0.7)
                expected[f'call_{name}_seconds_count{{direction="{direction}"}}'] = 2
            for result in get_args(CallResult):
                meter.results[result].inc()
                expected[f'calls_total{{direction="{direction}",result="{result}"}}'] = 1
        for command in ("offer", "answer", "delete"):
            node.replied(command, 0.001)
            expected[f'ng_seconds_count{{command="{command}",node="192.0.2.1:2223"}}'] = 1
        self.assertEqual(readings.moved(), expected)
        self.assertEqual(readings.moved(), {})
        self.assertAlmostEqual(samples(metrics.text())['call_setup_seconds_sum{direction="inbound"}'], 1.2)


class NodeMeterTests(SynchronousTestCase):
    """What is counted of one rtpengine."""

    def test_moves(self) -> None:
        """Replies by command, failures by reason, each under the node's name alone."""
        metrics = Metrics()
        meter = metrics.node("192.0.2.1:2223", up=lambda: True, pending=lambda: 3)
        metrics.node("[2001:db8::1]:2223", up=lambda: False, pending=lambda: 0)
        readings = Readings(metrics)
        meter.replied("offer", 0.002)
        meter.replied("offer", 9)
        meter.failed("timeout")
        self.assertEqual(
            readings.moved(),
            {
                'ng_seconds_count{command="offer",node="192.0.2.1:2223"}': 2,
                'ng_failures_total{node="192.0.2.1:2223",reason="timeout"}': 1,
            },
        )
        found = samples(metrics.text())
        self.assertEqual(found['ng_seconds_bucket{command="offer",le="0.0025",node="192.0.2.1:2223"}'], 1)
        self.assertEqual(found['ng_up{node="192.0.2.1:2223"}'], 1)
        self.assertEqual(found['ng_pending{node="192.0.2.1:2223"}'], 3)
        self.assertEqual(found['ng_up{node="[2001:db8::1]:2223"}'], 0)


class MergedTests(SynchronousTestCase):
    """Several processes in one text."""

    def test_labelled(self) -> None:
        """Each sample is there once for each process, under its family's one head, labels and values kept."""
        one, other = Metrics(process=True), Metrics()
        one.refused("loop")
        one.loop_lag.observe(0.003)
        other.node('odd"{} \\node', up=lambda: True, pending=lambda: 0).failed("timeout")
        texts = {"1": one.text(), "2": other.text()}
        text = merged(texts).decode()
        heads = [line for line in text.splitlines() if line.startswith("#")]
        self.assertEqual(len(heads), len(set(heads)))
        families = {family.name: family for family in text_string_to_metric_families(text)}
        self.assertEqual(len(families) * 2, len(heads))
        for worker, before in texts.items():
            for family in text_string_to_metric_families(before.decode()):
                merged_family = families[family.name]
                self.assertEqual((merged_family.type, merged_family.documentation), (family.type, family.documentation))
                found = [(sample.name, sample.labels, sample.value) for sample in merged_family.samples]
                for sample in family.samples:
                    self.assertIn((sample.name, {**sample.labels, "worker": worker}, sample.value), found)
        self.assertEqual(len(samples(text.encode())), sum(len(samples(each)) for each in texts.values()))

    def test_none(self) -> None:
        """No process, no text; one that tells nothing changes nothing."""
        self.assertEqual(merged({}), b"")
        text = Metrics().text()
        self.assertEqual(merged({"1": text, "2": b""}), merged({"1": text}))
