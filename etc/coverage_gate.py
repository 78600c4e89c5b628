"""Prints line and branch coverage by part of the package, and fails where a named part is at 95 % or below.

Usage: coverage_gate.py COVERAGE.json PART...
"""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

GATE = 95.0


def percent(covered: int, total: int) -> float:
    """`covered` of `total`, in percent; 100 where there is nothing to cover."""
    return 100.0 * covered / total if total else 100.0


def main(report: Path, gated: list[str]) -> int:
    """Print the table.

    :returns: how many figures are not above the gate.
    """
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for file, data in json.loads(report.read_text())["files"].items():
        part = Path(file).relative_to("webrtcproxy").parts[0].removesuffix(".py")
        sums[part].update({key: value for key, value in data["summary"].items() if isinstance(value, int)})
    low = 0
    for part in sorted({*sums, *gated}):
        total = sums[part]
        lines = percent(total["covered_lines"], total["num_statements"])
        branches = percent(total["covered_branches"], total["num_branches"])
        bad = part in gated and (not total["num_statements"] or min(lines, branches) <= GATE)
        low += bad
        remark = f"must be above {GATE:g} %" if bad else ""
        sys.stdout.write(f"{part:12} lines {lines:6.1f} %  branches {branches:6.1f} %  {remark}".rstrip() + "\n")
    return low


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]) > 0)
