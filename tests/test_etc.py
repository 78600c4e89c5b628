"""What surrounds the package: scripts, the coverage gate, and what README.rst says of the configuration."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path
from textwrap import dedent

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy import __version__
from webrtcproxy.config import load
from webrtcproxy.config.option import options_of
from webrtcproxy.config.reference import reference, title
from webrtcproxy.config.sections import SECTIONS

ROOT = Path(__file__).parents[1]


class ScriptTests(SynchronousTestCase):
    """The shell scripts."""

    def test_posix_syntax(self) -> None:
        """Each script is read by the plain sh of the system."""
        scripts = [*sorted((ROOT / "etc").glob("*.sh")), ROOT / "bench" / "run.sh"]
        self.assertEqual(
            [script.name for script in scripts],
            [
                "asterisk.sh",
                "demo.sh",
                "docs.sh",
                "matrix.sh",
                "rtpengine.sh",
                "setup.sh",
                "test.sh",
                "units.sh",
                "run.sh",
            ],
        )
        for script in scripts:
            result = subprocess.run(("sh", "-n", script), capture_output=True, text=True, check=False)
            self.assertEqual((result.returncode, result.stderr), (0, ""))


class HabitTests(SynchronousTestCase):
    """What has to hold before a change lands."""

    def test_gated_folders(self) -> None:
        """etc/test.sh measures the coverage of each folder of the package that has logic."""
        text = re.sub(r"\\\n", " ", (ROOT / "etc" / "test.sh").read_text())
        (gated,) = re.findall(r"coverage_gate\.py \S+ ([a-z ]+) \|\|", text)
        folders = [path.parent.name for path in (ROOT / "webrtcproxy").glob("*/__init__.py")]
        self.assertEqual(gated.split(), sorted(folders))

    def test_steps(self) -> None:
        """.ci/run has each step, by default all but the unit tests alone, and says so."""
        text = (ROOT / ".ci" / "run").read_text()
        steps = ["ruff", "format", "mypy", "layers", "words", "docs", "tests", "compiled"]
        self.assertEqual(re.findall(r"(?m)^(?:steps|more)=\((.*)\)$", text), [" ".join(steps), "units"])
        self.assertEqual(sorted(re.findall(r"(?m)^(\w+)\(\) \{", text)), sorted([*steps, "units"]))
        self.assertIn(f"these steps only: {', '.join(steps)};", text)
        for name in (".pre-commit-config.yaml", "etc/matrix.sh", "CONTRIBUTING.rst"):
            called = re.findall(r"\.ci/run((?: [a-z]+)+)", (ROOT / name).read_text())
            self.assertTrue(called, name)
            self.assertLessEqual({step for one in called for step in one.split()}, {*steps, "units"})

    def test_units(self) -> None:
        """The unit tests are all tests but those of the folders that need real parts."""
        printed = subprocess.run(("sh", ROOT / "etc" / "units.sh"), capture_output=True, text=True, check=True).stdout
        real = {"integration", "browser", "asterisk"}
        modules = {path.relative_to(ROOT).with_suffix("").parts for path in (ROOT / "tests").rglob("test_*.py")}
        self.assertEqual(set(printed.split()), {".".join(parts) for parts in modules if parts[1] not in real})

    def test_hooks(self) -> None:
        """The hook of the pages runs for each source that they are made from."""
        (files,) = re.findall(r"(?s)id: docs\n.*?files: (\S+)\n", (ROOT / ".pre-commit-config.yaml").read_text())
        tables = re.findall(r"state-table:: (\S+)\.\w+\n", (ROOT / "docs" / "states.rst").read_text())
        made_from = {f"{module.replace('.', '/')}.py" for module in tables} | {"webrtcproxy/config/wss.py", "NEWS.rst"}
        self.assertGreater(len(made_from), 4)
        for path in made_from | {"docs/index.rst"}:
            self.assertRegex(path, files)
        self.assertNotRegex("webrtcproxy/call/call.py", files)

    def test_compiled_in_isolation(self) -> None:
        """With WEBRTCPROXY_COMPILE=1, the environment in which pip builds gets the compiler, and whatever the modules
        import, since it compiles by their types."""
        folder = Path(self.mktemp()).absolute()
        (folder / "webrtcproxy").mkdir(parents=True)
        for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.rst", "LICENSE", "webrtcproxy/__init__.py"):
            shutil.copy(ROOT / name, folder / name)
        ask = (
            "import sys; sys.modules['mypyc.build'] = None; from setuptools import build_meta; "
            "print(*build_meta.get_requires_for_build_wheel(), sep='\\n')"
        )
        for compiled in ("1", "0"):
            result = subprocess.run(
                (sys.executable, "-c", ask), cwd=folder, capture_output=True, text=True, check=True, timeout=60,
                env={**os.environ, "WEBRTCPROXY_COMPILE": compiled},
            )  # fmt: skip
            needed = set(result.stdout.splitlines())
            if compiled == "0":
                self.assertNotIn("mypy[mypyc]", needed)
                continue
            setup_cfg = RawConfigParser()
            setup_cfg.read(ROOT / "setup.cfg")
            installed = set(setup_cfg["options"]["install_requires"].split("\n")) - {""}
            self.assertLessEqual({"mypy[mypyc]", "mypy-zope", *installed}, needed)

    def test_upper_bounds(self) -> None:
        """Twisted and Autobahn, whose internals are used, have an upper bound: a new major version is tried first."""
        text = (ROOT / "setup.cfg").read_text()
        for name in ("twisted", "autobahn"):
            self.assertRegex(text, rf"(?m)^    {name}>=(\d+)\.\d+,<\d+$")


class DemoTests(SynchronousTestCase):
    """etc/demo.sh, from where everything is set up."""

    def test_second_demo(self) -> None:
        """Where another demo has the port, it says so, and leaves that one's log alone."""
        folder = Path(self.mktemp()).absolute()
        for name in ("etc/demo.sh", "etc/demo_wait.py"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        (folder / "etc" / "setup.sh").write_text("")
        for program in ("python", "twistd"):
            path = folder / ".venv" / "bin" / program
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f'#!/bin/sh\n[ {program} = twistd ] || [ "$1" = -m ] || exec {sys.executable} "$@"\n')
            path.chmod(0o755)
        (folder / "run").mkdir()
        (folder / "run" / "demo.log").write_text("the other demo")
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            (folder / "etc" / "demo.ini").write_text(f"listen = ssl:{port}:interface=127.0.0.1\n")
            result = subprocess.run(("sh", "etc/demo.sh"), cwd=folder, capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"Port {port} is taken", result.stderr)
        self.assertEqual((folder / "run" / "demo.log").read_text(), "the other demo")


class NewsTests(SynchronousTestCase):
    """NEWS.rst and the fragments of the next release."""

    def test_fragments(self) -> None:
        """Each fragment has a name that towncrier takes, without the number of an issue, and a text."""
        for path in (ROOT / "changes").iterdir():
            if path.name != "README.rst":
                self.assertRegex(path.name, r"^\+[a-z0-9_]+\.(feature|bugfix|doc|removal|misc)\.rst$")
                self.assertTrue(path.read_text().strip(), path.name)

    def test_this_release(self) -> None:
        """The newest entry of NEWS.rst is that of the package's version."""
        titles = re.findall(r"(?m)^webrtcproxy (\S+) \(\d{4}-\d\d-\d\d\)\n=+$", (ROOT / "NEWS.rst").read_text())
        self.assertEqual(titles[0], __version__)


class CoverageGateTests(SynchronousTestCase):
    """etc/coverage_gate.py holds lines and branches of each named part above 95 %."""

    def gate(self, *parts: str, **files: tuple[int, int]) -> subprocess.CompletedProcess[str]:
        """Run it over files of a hundred lines and a hundred branches, of which so many are covered."""
        report = {
            f"webrtcproxy/{name.replace('_', '/')}.py": {
                "summary": {
                    "covered_lines": lines,
                    "num_statements": 100,
                    "covered_branches": branches,
                    "num_branches": 100,
                    "percent_covered_display": "x",
                }
            }
            for name, (lines, branches) in files.items()
        }
        path = Path(self.mktemp())
        path.write_text(json.dumps({"files": report}))
        command = (sys.executable, str(ROOT / "etc" / "coverage_gate.py"), str(path), *parts)
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_enough(self) -> None:
        """Above 95 % in the sum of a part's files, it passes; parts that are not named do not matter."""
        result = self.gate("sip", sip_a=(100, 100), sip_b=(92, 92), call_a=(1, 1))
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout, r"sip +lines +96.0 % +branches +96.0 %\n")

    def test_too_little(self) -> None:
        """Lines or branches at 95 % or below fail, and the part is marked."""
        for figures in ((95, 100), (100, 95)):
            result = self.gate("sip", "media", sip_a=figures, media_a=(100, 100))
            self.assertEqual(result.returncode, 1)
            self.assertEqual(len(re.findall(r"(?m)^sip .* must be above 95 %$", result.stdout)), 1)
            self.assertEqual(result.stdout.count("must be"), 1)

    def test_nothing_measured(self) -> None:
        """A named part that was not measured at all fails."""
        self.assertEqual(self.gate("sip", media_a=(100, 100)).returncode, 1)


class ReadmeTests(SynchronousTestCase):
    """README.rst agrees with the configuration."""

    def test_small_configuration(self) -> None:
        """The small configuration is one without mistakes, and says who may use the trunk's account."""
        text = (ROOT / "README.rst").read_text()
        small = dedent(text[text.index("       [wss]\n") : text.index("   The certificate is one")])
        path = Path(self.mktemp())
        path.write_text(re.sub("listen = ssl:.*", "listen = tcp:8443", small))  # there are no such certificates here
        self.assertEqual(load(path).trunks[0].username, "account")
        self.assertIn("trunk-credentials = registered\n", small)

    def test_options_exist(self) -> None:
        """Each option that it names exists: ``[section] key`` in that section, ``key = value`` in one of them."""
        text = (ROOT / "README.rst").read_text()
        declared = {(name, item.key) for name, section in SECTIONS.items() for item in options_of(section)}
        named = set(re.findall(r"``\[([a-z]+)(?: NAME)?\]\s+([a-z-]+)``", text))
        self.assertGreater(len(named), 10)
        self.assertLessEqual(named, declared)
        of_rtpengine = {"listen-ng"}
        assigned = set(re.findall(r"``([a-z-]+) = ", text)) - of_rtpengine
        self.assertGreater(len(assigned), 5)
        self.assertLessEqual(assigned, {key for _, key in declared})

    def test_links(self) -> None:
        """Each name that it uses as a link has its target."""
        text = (ROOT / "README.rst").read_text()
        self.assertEqual(re.findall(r"(?<![\w`])([a-z]+)_(?=[\s.,])", text), re.findall(r"(?m)^\.\. _([a-z]+): ", text))

    def test_reference(self) -> None:
        """It leads to the reference of the options, which is made from the declarations and has each of them."""
        self.assertIn("<docs/configuration.rst>`_", (ROOT / "README.rst").read_text())
        self.assertIn("\n.. webrtcproxy-options::\n", (ROOT / "docs" / "configuration.rst").read_text())
        page = "\n".join(reference())
        for name, section in SECTIONS.items():
            self.assertIn(f"``{title(name)}``", page)
            for item in options_of(section):
                self.assertIn(f"   * - ``{item.key}``", page)
