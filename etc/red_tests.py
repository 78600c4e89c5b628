"""Prints what was red in the output of tests, a line each: the test, and the first line of its error.

Usage: red_tests.py [--names] LOG...

A LOG is what trial printed, of several runs and with other lines between, too. Where one has no red test, its last
lines are what is known of it; what etc/test.sh calls trouble, and what is covered too little, is printed in any case.
With --names only the names of the red tests are printed.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

WIDTH = 300
LAST = 3

_SECTION = re.compile(r"(?ms)^={79}\n\[(?:FAIL|ERROR|SUCCESS!\?!)\]\n(.*?)(?=^={79}\n\[|^-{79}\nRan )")
"""One traceback in trial's summary, and after an empty line each test that has it."""

_TROUBLE = re.compile(r"^trouble:|must be above \d+ %$")


def red_tests(text: str) -> Iterator[str]:
    """Each red test in the output, with its error."""
    for section in _SECTION.findall(text):
        told, _, tests = section.rstrip().rpartition("\n\n")
        for test in tests.splitlines():
            yield f"{test}: {_error(told)}"


def _error(told: str) -> str:
    """The first line of the error at the end of a traceback, whose own lines are indented."""
    head = (" ", "---", "Traceback (most recent call last):")
    return next((line for line in told.splitlines() if line and not line.startswith(head)), "")


def report(text: str) -> list[str]:
    """What is to be said of one output."""
    lines = [line for line in text.splitlines() if line.strip()]
    said = list(red_tests(text)) or lines[-LAST:]
    said += [line for line in lines if _TROUBLE.search(line) and line not in said]
    return [line[:WIDTH] for line in said]


if __name__ == "__main__":
    only_names = sys.argv[1:2] == ["--names"]
    for log in sys.argv[1 + only_names :]:
        output = Path(log).read_text("utf-8", "replace")
        if only_names:
            sys.stdout.writelines(f"{line.partition(':')[0]}\n" for line in red_tests(output))
        else:
            sys.stdout.writelines(f"red: {line}\n" for line in report(output))
