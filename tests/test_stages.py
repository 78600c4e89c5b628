"""etc/test.sh and .ci/run name what was red, with tests and tools that only pretend."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[1]
RULE = "=" * 79

RED = f"""\
    test_hold ...                                                         [ERROR]
{RULE} and so on, in a log

{RULE}
[ERROR]
Traceback (most recent call last):
  File "tests/browser/test_x.py", line 106, in test_hold
    await until(lambda: False, "a digit", 5)
builtins.AssertionError: not within 5 s: a digit
--- the log of the proxy

  and its last line

tests.browser.test_x.Chromium.test_hold
tests.browser.test_x.Firefox.test_hold
{RULE}
[FAIL]
Traceback (most recent call last):
  File "tests/browser/test_x.py", line 54, in test_digits
    self.assertNotEqual(number, offered)
twisted.trial.unittest.FailTest: '101' == '101'

tests.browser.test_x.Firefox.test_digits
{RULE}
[ERROR]
Traceback (most recent call last):
Failure: twisted.trial.util.DirtyReactorAggregateError: Reactor was unclean.
DelayedCalls: (set twisted.internet.base.DelayedCall.debug = True to debug)

tests.browser.test_x.Firefox.test_dirty
{"-" * 79}
Ran 9 tests in 1.000s

FAILED (failures=1, errors=3, successes=5)
"""
NAMED = [
    "red: tests.browser.test_x.Chromium.test_hold: builtins.AssertionError: not within 5 s: a digit",
    "red: tests.browser.test_x.Firefox.test_hold: builtins.AssertionError: not within 5 s: a digit",
    "red: tests.browser.test_x.Firefox.test_digits: twisted.trial.unittest.FailTest: '101' == '101'",
    "red: tests.browser.test_x.Firefox.test_dirty: "
    "Failure: twisted.trial.util.DirtyReactorAggregateError: Reactor was unclean.",
]
LOW = "invite       lines   99.2 %  branches   94.9 %  must be above 95 %"
PASSED = f"{'-' * 79}\nRan 9 tests in 1.000s\n\nPASSED (successes=9)\n"

PYTHON = f"""\
    case "$*" in
        *red_tests.py*) exec {sys.executable} "$@" ;;
        *tests.browser* | *tests.integration*) stage=${{*##* }} ;;
        *"coverage run"*) stage=unit ;;
        *coverage_gate.py*) cat gate 2>/dev/null || exit 0; exit 1 ;;
        *) exit 0 ;;
    esac
    stage=$stage${{RTPENGINE:+-other}}
    echo "$stage ${{PORTS:-}}" >>calls
    cat "$stage" 2>/dev/null || {{ cat passed; exit 0; }}
    exit 1
"""
FILES = {
    "path/rtpengine": "echo Version: 10.5.3.5-1+deb12u1 >&2",
    "other/rtpengine": "echo Version: 12.5.1.31-1",
    "etc/rtpengine.sh": '[ "$1" = trixie ] && echo other/rtpengine',
    "etc/setup.sh": "",
    "etc/units.sh": "echo tests.test_etc",
    ".venv/bin/python": PYTHON,
    ".venv/bin/ruff": 'echo "$1 finds nothing"; echo "$1 finds something" >&2; [ ! -e ruff ]',
}


class StageTests(SynchronousTestCase):
    """A folder with the scripts as they are, and what they start made up."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        for name, text in FILES.items():
            self.write(name, f"#!/bin/sh\n{dedent(text)}\n")
            (self.folder / name).chmod(0o755)
        for name in ("etc/test.sh", "etc/red_tests.py", ".ci/run"):
            (self.folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, self.folder / name)
        self.write("passed", PASSED)

    def write(self, name: str, text: str) -> None:
        """A file in the folder."""
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def run_it(self, *command: str) -> tuple[int, list[str]]:
        """The exit code of a command in the folder, and the lines that it prints."""
        result = subprocess.run(
            command, cwd=self.folder, env={"PATH": f"{self.folder}/path:/usr/bin:/bin"}, check=False, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
        )  # fmt: skip
        return result.returncode, result.stdout.splitlines()

    def test_two_versions(self) -> None:
        """All tests with real parts and all with browsers run with the system's rtpengine and with another one; those
        that run at the same time have ports of their own."""
        code, lines = self.run_it("sh", "etc/test.sh")
        self.assertEqual((code, lines[-1]), (0, "45 passed, 0 failed"))
        calls = (self.folder / "calls").read_text().splitlines()
        real = [f"tests.{name} {ports}" for name, ports in (("browser", "21000-32000"), ("integration", "10000-21000"))]
        self.assertEqual(calls[0], "unit ")
        self.assertEqual(sorted(calls[1:3]), real)
        self.assertEqual(sorted(calls[3:]), [line.replace(" ", "-other ") for line in real])
        logs = {path.stem for path in (self.folder / "run" / "test").glob("*.log")}
        versions = [f"{name}-rtpengine-{one}" for name in ("browser", "integration") for one in ("10.5.3", "12.5.1")]
        self.assertEqual(logs, {*versions, "unit"})

    def test_red(self) -> None:
        """Right before the last line, each red test is named with the first line of its error, whatever came after."""
        for stage in ("tests.browser", "tests.browser-other", "tests.integration", "unit"):
            self.write(stage, RED)
            code, lines = self.run_it("sh", "etc/test.sh")
            self.assertEqual((code, lines[-5:]), (1, [*NAMED, "41 passed, 4 failed"]), stage)
            (self.folder / stage).unlink()

    def test_unsteady(self) -> None:
        """What is red with real parts, and green once more by itself, is named and counts as passed, also where it was
        red in its clean-up, too; no unit test, and nothing where one of them stays red."""
        left = (
            f"{RULE}\n[ERROR]\nbuiltins.AssertionError: a session is left\n\ntests.browser.test_x.Firefox.test_hold\n"
        )
        twice = RED.replace("errors=3", "errors=4").replace("-" * 79, left + "-" * 79)
        again = PASSED.replace("successes=9", "successes=4")
        last = sorted(name.removeprefix("red: ").partition(":")[0] for name in NAMED)
        for stage, suffix, red in (("tests.browser-other", "-other", RED), ("tests.integration", "", twice)):
            self.write(stage, red)
            self.write(last[-1] + suffix, again)
            code, lines = self.run_it("sh", "etc/test.sh")
            named = [f"unsteady: {name}" for name in last]
            self.assertEqual((code, lines[-5:]), (0, [*named, "45 passed, 0 failed"]), stage)
            self.write(last[-1] + suffix, again.replace("successes=4", "failures=1, successes=3"))
            self.assertEqual(self.run_it("sh", "etc/test.sh")[0], 1)
            (self.folder / stage).unlink()
        self.write("unit", RED)
        self.write(last[-1], again)
        self.assertEqual(self.run_it("sh", "etc/test.sh")[0], 1)

    def test_unfinished(self) -> None:
        """Of a stage that ended without a summary, the last lines are shown."""
        self.write("tests.integration-other", "tests.integration.test_x\n  Calls\n    test_hold ...")
        code, lines = self.run_it("sh", "etc/test.sh")
        wrong = ["red: tests.integration.test_x", "red:   Calls", "red:     test_hold ...", "36 passed, 1 failed"]
        self.assertEqual((code, lines[-4:]), (1, wrong))
        self.assertEqual("trouble: integration-rtpengine-12.5.1:no-test-passed", lines[-5])

    def test_steps(self) -> None:
        """.ci/run ends with each step that is wrong and what was red in it, by their order."""
        self.assertEqual(self.run_it(".ci/run", "ruff", "tests")[0], 0)
        self.write("tests.browser", RED)
        self.write("ruff", "wrong")
        self.write("gate", f"call 96 %\n{LOW}\nsip 97 %\n")
        code, lines = self.run_it(".ci/run", "ruff", "tests", "format")
        last = [
            "wrong: ruff", "red: check finds nothing", "red: check finds something",
            "wrong: tests", *NAMED, f"red: {LOW}", "red: trouble: coverage",
            "wrong: format", "red: format finds nothing", "red: format finds something",
        ]  # fmt: skip
        self.assertEqual((code, lines[-len(last) :]), (1, last))


class Ports(SynchronousTestCase):
    """The ports that the tests with real parts take, `tests.support.real.ports`."""

    def test_all_are_used(self) -> None:
        """A run gets nearly all ports of its range, whether it asks for one or for several, and none twice."""
        script = (
            "from tests.support.real.ports import free_port, free_ports\n"
            "given = [port for _ in range(50) for port in (free_port(), *free_ports(5), free_port())]\n"
            "assert len(set(given)) == 350 and 20400 <= min(given) and max(given) < 21000, sorted(given)\n"
            "try: [free_port() for _ in range(300)]\n"
            "except RuntimeError as why: print(why)\n"
        )
        environment = {"PORTS": "20000-21000", "PATH": "/usr/bin:/bin"}
        ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
        self.assertEqual("no 1 free ports in a row between 20400 and 21000\n", ran.stdout, ran.stderr)
