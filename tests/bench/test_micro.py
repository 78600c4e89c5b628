"""bench/micro.py: every part can be measured. How long one takes is nobody's test."""

import io
from contextlib import ExitStack, redirect_stderr, redirect_stdout

from twisted.trial.unittest import SynchronousTestCase

from bench.micro import alone, report
from bench.parts import PARTS


class MicroTests(SynchronousTestCase):
    """The micro-benchmarks, each a few turns."""

    def test_parts(self) -> None:
        """Each part does its work, more than once, and has taken time for it."""
        for name, set_up in PARTS.items():
            with self.subTest(name), ExitStack() as stack:
                operation = set_up(stack)
                self.assertGreater(operation(1), 0)
                self.assertGreater(operation(2), 0)

    def test_report(self) -> None:
        """The table has a line for each part that was asked for."""
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()):
            report(["parse-bye", "ng-decode"], run=0, runs=1)
        lines = out.getvalue().splitlines()
        self.assertEqual(lines[3].split(), ["part", "us", "from", "to", "spread", "turns"])
        self.assertEqual([line.split()[0] for line in lines[5:7]], ["parse-bye", "ng-decode"])
        self.assertRegex(lines[5], r"^parse-bye +[\d.]+ +[\d.]+ +[\d.]+ +0 % +1$")

    def test_apart(self) -> None:
        """With a rest before each operation, the number of turns is fixed, and the headline says so."""
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()):
            report(["parse-bye"], gap=1, runs=1)
        lines = out.getvalue().splitlines()
        self.assertEqual(lines[0], "CPU per operation, 1 ms apart, medians of 1")
        name, *_, turns = lines[5].split()
        self.assertEqual((name, turns), ("parse-bye", "30"))

    def test_rests(self) -> None:
        """There is a rest before each operation, which is done once after it."""
        done: list[float] = []

        def operation(turns: int) -> float:
            done.append(turns)
            return 2.0

        spaced = alone(operation, 0.25, done.append)
        done.clear()
        self.assertEqual(spaced(3), 6.0)
        self.assertEqual(done, [0.25, 1, 0.25, 1, 0.25, 1])

    def test_unknown_part(self) -> None:
        """A part that is not there is named, with those that are."""
        with self.assertRaisesRegex(SystemExit, "no such part: tea; there are parse-invite, "):
            report(["parse-bye", "tea"])
