"""bench/table.py: what is printed of results."""

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from bench.load import Result
from bench.table import table

OURS = Result(
    "webrtcproxy", "calls", 100, 1000, 0, cpu=2.0, engine_cpu=1.75, browsers_cpu=0.8, busy=0.2, p50=7.04, p99=20.0
)
THEIRS = replace(OURS, gateway="kamailio", cpu=1.0, busy=0.1)


class TableTests(SynchronousTestCase):
    """Medians, spread, ratios."""

    def cells(self, *results: Result) -> list[list[str]]:
        """The lines below the head, cut where two blanks are."""
        lines = table(results).splitlines()
        self.assertEqual((lines[0], lines[2]), (lines[-1], lines[-1]))
        return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[3:-1]]

    def test_layout(self) -> None:
        """It is a simple table of reStructuredText, as README.rst wants it."""
        expected = """\
===========  ======  ====  ====  ======  ======  ============  ===========  ====  ========  ======  ==========
gateway      CPU ms  from  to    p50 ms  p99 ms  rtpengine ms  browsers ms  core  failures  others  x kamailio
===========  ======  ====  ====  ======  ======  ============  ===========  ====  ========  ======  ==========
webrtcproxy  2.00    2.00  2.00  7.0     20.0    1.75          0.80         20 %  0         0 %     2.00
kamailio     1.00    1.00  1.00  7.0     20.0    1.75          0.80         10 %  0         0 %     1.00
===========  ======  ====  ====  ======  ======  ============  ===========  ====  ========  ======  =========="""
        self.assertEqual(table([OURS, THEIRS]), expected)

    def test_medians(self) -> None:
        """Figures are medians with the least and the greatest; failures are added up."""
        runs = [replace(OURS, cpu=cpu, p99=p99, failures=1) for cpu, p99 in ((3.0, 50.0), (1.0, 10.0), (1.5, 30.0))]
        ((_, *figures),) = self.cells(*runs)
        self.assertEqual(figures[:5], ["1.50", "1.00", "3.00", "7.0", "30.0"])
        self.assertEqual(figures[8], "3")

    def test_ratio(self) -> None:
        """The ratio is the median of the pairs that ran one after the other: a busy machine meets both of a pair."""
        runs = []
        for ours, theirs in ((2.0, 1.0), (9.0, 3.0), (2.0, 2.0)):
            runs += [replace(OURS, cpu=ours), replace(THEIRS, cpu=theirs)]
        self.assertEqual([row[-1] for row in self.cells(*runs)], ["2.00", "1.00"])

    def test_nothing_completed(self) -> None:
        """A run in which nothing was completed has no figures, but its failures are told."""
        broken = replace(OURS, completed=0, failures=7, cpu=0.0)
        ours, _theirs = self.cells(broken, THEIRS)
        self.assertEqual(ours, ["webrtcproxy", *["-"] * 8, "7", "-", "-"])

    def test_idle(self) -> None:
        """Idle browsers are told in memory, that which is kept behind them too, and compared by it."""
        ours = replace(OURS, mode="idle", completed=0, memory=40.0, kept=0.5, cpu=3.0)
        theirs = replace(ours, gateway="kamailio", memory=120.0, kept=60.0)
        self.assertEqual(
            self.cells(ours, theirs),
            [
                ["webrtcproxy", "40.00", "40.00", "40.00", "0.5", "3.00", "0", "0 %", "0.33"],
                ["kamailio", "120.00", "120.00", "120.00", "60.0", "3.00", "0", "0 %", "1.00"],
            ],
        )
