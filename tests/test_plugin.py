"""``twistd webrtcproxy`` as a user meets it: a real twistd in a process of its own, and the wheel that is shipped."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path
from zipfile import ZipFile

from twisted.trial.unittest import SynchronousTestCase

import twisted
from webrtcproxy import __version__

ROOT = Path(__file__).parents[1]
TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")
RIGHT = """
[wss]
listen = tcp:0:interface=127.0.0.1
[sip]
listen = udp:0:interface=127.0.0.1
[rtpengine]
nodes = 127.0.0.1:9
[trunk a]
host = 127.0.0.1:9
"""
POLICY = """
[access]
policy = {}
"""


class TwistdCase(SynchronousTestCase):
    """Runs twistd in a folder of its own."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def twistd(self, *arguments: str, command: tuple[str, ...] = TWISTD) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (*command, *arguments), cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def configuration(self, text: str) -> str:
        path = self.folder / "proxy.ini"
        path.write_text(text)
        return str(path)


class CommandTests(TwistdCase):
    """The command line."""

    def test_listed(self) -> None:
        """``twistd --help`` lists the command after ``pip install -e .``, which these tests run in."""
        result = self.twistd("--help")
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout, r"(?m)^ +webrtcproxy +Let browsers call")

    def test_help(self) -> None:
        """Its help names the options and shows how it is called."""
        result = self.twistd("webrtcproxy", "--help")
        self.assertEqual(result.returncode, 0)
        for part in ("-c, --config=", "--check", "Examples:", "twistd -n webrtcproxy -c etc/proxy.ini"):
            self.assertIn(part, result.stdout)

    def test_access_policy(self) -> None:
        """`[access] policy` names a plugin, found as any plugin of Twisted: here etc/working_hours.py. Another name is
        an error that says which there are."""
        plugins = self.folder / "twisted" / "plugins"
        plugins.mkdir(parents=True)
        shutil.copy(ROOT / "etc" / "working_hours.py", plugins)
        result = self.twistd("webrtcproxy", "--check", "-c", self.configuration(RIGHT + POLICY.format("working-hours")))
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("no mistake found", result.stdout)
        result = self.twistd("webrtcproxy", "--check", "-c", self.configuration(RIGHT + POLICY.format("mine")))
        self.assertEqual(result.returncode, 1)
        self.assertIn("[access] policy = mine: there is no policy of this name", result.stderr)
        self.assertIn("working-hours", result.stderr)

    def test_version(self) -> None:
        """Its version is its own, with those of what it stands on."""
        result = self.twistd("webrtcproxy", "--version")
        self.assertEqual(result.returncode, 0)
        self.assertTrue(result.stdout.startswith(f"webrtcproxy {__version__} (Twisted {twisted.__version__}"))

    def test_wrong(self) -> None:
        """Without -c, or with an option that there is not, it says so in one line and exits with 1."""
        wrong = ((), "which configuration file?"), (("--chek",), "option --chek"), (("proxy.ini",), "number of")
        for arguments, told in wrong:
            result = self.twistd("webrtcproxy", *arguments)
            self.assertEqual((result.returncode, result.stdout), (1, ""))
            (line,) = result.stderr.splitlines()
            self.assertIn(told, line)
            self.assertTrue(line.startswith("webrtcproxy: "))

    def test_check(self) -> None:
        """--check reads the file, says that it is right, and starts nothing."""
        result = self.twistd("webrtcproxy", "--check", "-c", self.configuration(RIGHT))
        self.assertEqual((result.returncode, result.stdout), (0, f"{self.folder}/proxy.ini: no mistake found\n"))
        self.assertEqual(self.files(), ["proxy.ini"])

    def test_check_warns(self) -> None:
        """--check names what the configuration opens (docs/configuration.rst), and exits with 0 all the same."""
        path = self.configuration(RIGHT + "[access]\ntrunk-credentials = anyone\n")
        result = self.twistd("webrtcproxy", "--check", "-c", path)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        warning, end = result.stdout.splitlines()
        self.assertTrue(warning.startswith(f"{path}: warning: [access] trunk-credentials = anyone: whoever connects"))
        self.assertEqual(end, f"{path}: no mistake found")


class MistakeTests(TwistdCase):
    """A mistake in the configuration."""

    def test_named_before_daemonizing(self) -> None:
        """Exit code 1 and one line with section, key, value and remedy; no process, no log, no pid file stays."""
        path = self.configuration(RIGHT.replace("host = 127.0.0.1:9", "host = sip:voip.example"))
        for flags in ((), ("-n",)):
            result = self.twistd(*flags, "webrtcproxy", "-c", path)
            self.assertEqual(result.returncode, 1)
            (line,) = result.stderr.splitlines()
            for part in (path, "[trunk a]", "host = sip:voip.example", "write a host such as sip.example.com"):
                self.assertIn(part, line)
            self.assertEqual(self.files(), ["proxy.ini"])

    def test_all(self) -> None:
        """All mistakes are told at once, a line for each with the number of its line; the start says what --check says,
        and goes no further."""
        path = self.configuration(RIGHT.replace("nodes =", "node =") + "pring = 1\n[acess]\ndeny = x/y\n")
        said = [self.twistd(*arguments, "-c", path) for arguments in (("webrtcproxy", "--check"), ("webrtcproxy",))]
        for result in said:
            self.assertEqual((result.returncode, result.stdout), (1, ""))
            lines = result.stderr.splitlines()
            places = [re.sub(r"^webrtcproxy: .*/proxy\.ini:(\d+): \[(.*?)\].*", r"\1 \2", line) for line in lines]
            self.assertEqual(places, ["7 rtpengine", "10 trunk a", "11 acess", "12 acess"])
        self.assertEqual(said[0].stderr, said[1].stderr)
        self.assertEqual(self.files(), ["proxy.ini"])

    def test_files_of_twistd(self) -> None:
        """Where twistd can't write its log or its process id, a line says so, in place of a traceback, before anything
        is made (field.rst Y1: Sample in a clone)."""
        path = self.configuration(RIGHT.replace("listen = tcp:0", "listen = ssl:0"))
        pid, logged = f"{self.folder}/none/x.pid", f"{self.folder}/none/x.log"
        for options, files in (
            ((f"--pidfile={pid}",), [pid]),
            (("-n", "--pidfile=none/x.pid"), [pid]),
            (("--pidfile=", "--logfile=none/x.log"), [logged]),
            (("-n", f"--pidfile={pid}", f"--logfile={logged}"), [pid, logged]),
        ):
            result = self.twistd(*options, "webrtcproxy", "-c", path)
            self.assertEqual((result.returncode, result.stdout), (1, ""))
            for line, file in zip(result.stderr.splitlines(), files, strict=True):
                self.assertTrue(
                    line.startswith(f"webrtcproxy: {file} can't be written (there is no such folder); "), line
                )
            self.assertEqual(self.files(), ["proxy.ini"])

    def test_missing_file(self) -> None:
        """A file that is not there is named, without a traceback."""
        result = self.twistd("webrtcproxy", "-c", "nowhere.ini")
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"{self.folder}/nowhere.ini: No such file or directory", result.stderr)
        self.assertNotIn("Traceback", result.stderr)

    def test_foreign_address(self) -> None:
        """An address that this machine lacks is told with section, key and remedy, before anything forks."""
        wrong = RIGHT.replace("udp:0:interface=127.0.0.1", "udp:5060:interface=192.0.2.99")
        result = self.twistd("webrtcproxy", "-c", self.configuration(wrong))
        self.assertEqual(result.returncode, 1)
        self.assertIn(
            "[sip] listen = udp:5060:interface=192.0.2.99: this machine has no such address; write", result.stderr
        )
        self.assertEqual(result.stderr.count("\n"), 1)

    def test_check(self) -> None:
        """--check exits with 1 too."""
        result = self.twistd("webrtcproxy", "--check", "-c", self.configuration("[wss]\n"))
        self.assertEqual(result.returncode, 1)
        self.assertIn("[wss] listen", result.stderr)


class DaemonTests(TwistdCase):
    """``twistd webrtcproxy -c FILE`` without -n."""

    def test_daemon(self) -> None:
        """It goes into the background, works on with its log in a file, and ends clean at SIGTERM. The log says what
        the configuration opens (docs/configuration.rst), once."""
        text = self._lives(RIGHT + "[access]\ntrunk-credentials = anyone\n")
        self.assertEqual(text.count("[access] trunk-credentials = anyone: whoever connects"), 1)

    def test_workers(self) -> None:
        """So it does with several processes, which end with it."""
        opens = "[access]\ntrunk-credentials = anyone\n"
        text = self._lives(RIGHT + opens + "[proxy]\nworkers = 2\n", "Worker 1 is up", "Worker 2 is up")
        self.assertEqual(text.count("[access] trunk-credentials = anyone: whoever connects"), 1)
        for pid in re.findall(r"is up, process (\d+)", text):
            self.assertFalse(Path(f"/proc/{pid}").exists())

    def _lives(self, configuration: str, *until: str) -> str:
        """Start and end it; its log.

        :param until: what the log has before it is ended.
        """
        result = self.twistd("webrtcproxy", "-c", self.configuration(configuration))
        log = self.folder / "twistd.log"
        self.assertEqual(result.returncode, 0, result.stderr)
        pid = int((self.folder / "twistd.pid").read_text())
        try:
            self.wait_for_reactor(pid)
            self.wait_for(log, *until)
        finally:
            os.kill(pid, signal.SIGTERM)
            self.wait_for_end(log)
        text = log.read_text()
        self.assertNotIn("Traceback", text)
        self.assertNotIn("Unhandled", text)
        self.assertFalse((self.folder / "twistd.pid").exists())
        return text

    def wait_for_reactor(self, pid: int) -> None:
        """Wait until a process catches SIGTERM, as the reactor does when it runs; before, it would just be killed."""
        deadline = time.monotonic() + 30
        while True:
            (caught,) = re.findall(r"(?m)^SigCgt:\s+([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text())
            if int(caught, 16) >> (signal.SIGTERM - 1) & 1:
                return
            self.assertLess(time.monotonic(), deadline, "the reactor does not run")
            time.sleep(0.05)

    def wait_for(self, log: Path, *words: str) -> None:
        """Wait until all of that is in the log."""
        deadline = time.monotonic() + 30
        while not all(word in log.read_text() for word in words):
            self.assertLess(time.monotonic(), deadline, log.read_text())
            time.sleep(0.05)

    def wait_for_end(self, log: Path) -> None:
        """Wait for the last words of a daemon, which is not our child."""
        deadline = time.monotonic() + 30
        while "Server Shut Down" not in log.read_text() or (self.folder / "twistd.pid").exists():
            self.assertLess(time.monotonic(), deadline, log.read_text())
            time.sleep(0.05)


class WheelTests(TwistdCase):
    """The wheel that ``pip install .`` builds."""

    def setUp(self) -> None:
        super().setUp()
        source = self.folder / "source"
        left_out = shutil.ignore_patterns("node_modules", "__pycache__", "*.egg-info", "dropin.cache", "dist")
        for folder in ("webrtcproxy", "twisted", "tests", "etc"):
            shutil.copytree(ROOT / folder, source / folder, ignore=left_out)
        for file in ("setup.cfg", "pyproject.toml", "MANIFEST.in", "README.rst", "LICENSE", "CONTRIBUTING.rst"):
            shutil.copy(ROOT / file, source)
        page = source / "webrtcproxy" / "phone" / "dist"
        page.mkdir()
        for name in ("index.html", "phone.js"):
            (page / name).write_text("the built page")
        build = "import setuptools.build_meta as b; b.build_wheel('..'); b.build_sdist('..')"
        subprocess.run((sys.executable, "-c", build), cwd=source, check=True, capture_output=True, timeout=120)
        (self.wheel,) = self.folder.glob("*.whl")

    def test_content(self) -> None:
        """Plugin, package and page are in the wheel; tests, page sources and Twisted's own folders' inits are not."""
        with ZipFile(self.wheel) as wheel:
            names = set(wheel.namelist())
        for name in (
            "twisted/plugins/webrtcproxy_plugin.py",
            "webrtcproxy/service.py",
            "webrtcproxy/proxy.py",
            "webrtcproxy/config/reader.py",
            "webrtcproxy/demo/certificate.py",
            "webrtcproxy/py.typed",
            "webrtcproxy/phone/dist/index.html",
            "webrtcproxy/phone/dist/phone.js",
        ):
            self.assertIn(name, names)
        for source in ROOT.joinpath("webrtcproxy").rglob("*.py"):
            if "node_modules" not in source.parts:
                self.assertIn(str(source.relative_to(ROOT)), names)
        foreign = {name for name in names if name.startswith(("tests", "etc", "webrtcproxy/phone/src"))}
        self.assertEqual(foreign, set())
        # With them in the wheel, uninstalling it would take them away from Twisted.
        self.assertFalse({"twisted/__init__.py", "twisted/plugins/__init__.py"} & names)

    def test_source_distribution(self) -> None:
        """The source distribution has what the wheel lacks: configuration files, scripts, tests."""
        (sdist,) = self.folder.glob("*.tar.gz")
        shutil.unpack_archive(sdist, self.folder / "sdist")
        (root,) = (self.folder / "sdist").iterdir()
        for name in ("etc/proxy.ini", "etc/test.sh", "tests/test_plugin.py", "LICENSE", "webrtcproxy/phone/build.js"):
            self.assertTrue((root / name).is_file(), name)

    def test_listed_when_installed(self) -> None:
        """``twistd --help`` lists the command where the wheel is installed, and the command works."""
        venv.create(self.folder / "venv", with_pip=False)
        (packages,) = (self.folder / "venv").glob("lib/python*/site-packages")
        with ZipFile(self.wheel) as wheel:
            wheel.extractall(packages)
        # Twisted and the others come from where these tests found them; an editable install there is not followed.
        (packages / "others.pth").write_text(f"{Path(twisted.__file__).parents[1]}\n")
        # -E: PYTHONPATH, which trial sets for several processes, would lead back to these sources.
        python = str(self.folder / "venv" / "bin" / "python"), "-E"
        installed = (*python, *TWISTD[1:])
        self.assertIn(" webrtcproxy ", self.twistd("--help", command=installed).stdout)
        where = "import webrtcproxy; print(webrtcproxy.__file__)"
        told = subprocess.run((*python, "-c", where), capture_output=True, text=True, check=True, timeout=60)
        self.assertTrue(told.stdout.startswith(str(packages)))
        result = self.twistd("webrtcproxy", "--check", "-c", self.configuration(RIGHT), command=installed)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
