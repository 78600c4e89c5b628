"""The command line: ``python -m bench``, ``python -m bench profile``, ``... workers``, ``... micro``."""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.gateways import LABELS
from bench.load import MODES, Load

STANDARD = {
    "calls": Load("calls", rate=100),
    "register": Load("register", rate=50),
    "inbound": Load("inbound", rate=50),
    "idle": Load("idle", clients=2000, seconds=5, after=60),
}
"""What is measured where nothing else is asked for."""

RESULTS = Path("run/bench")


def main(words: Sequence[str]) -> int:
    """Do what the words say; the exit code."""
    arguments = _parser().parse_args(words)
    if arguments.what == "micro":
        from bench.micro import log_to_nowhere, report

        log_to_nowhere()
        report(arguments.names, arguments.gap)
        return 0
    _raise_limits()
    if arguments.what == "instructions":
        from bench.instructions import OPERATIONS, instructions

        modes = arguments.modes or list(OPERATIONS)
        return _run(instructions(modes, arguments.variants.split(","), arguments.turns, RESULTS))
    loads = [_load(mode, arguments) for mode in arguments.modes or _modes(arguments.what)]
    if arguments.what == "profile":
        from bench.profiling import profile

        return _run(profile(loads, arguments.engines, RESULTS))
    if arguments.what == "workers":
        from bench.workers import workers

        return _run(workers(loads, arguments.workers, arguments.repeat, arguments.engines, RESULTS))
    from bench.compare import compare

    labels = arguments.gateways.split(",")
    return _run(compare(loads, labels, arguments.repeat, arguments.engines, RESULTS))


def _raise_limits() -> None:
    """As many open files as there may be: a call takes some."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _modes(what: str) -> tuple[str, ...]:
    return MODES if what == "compare" else ("calls",)


def _load(mode: str, arguments: argparse.Namespace) -> Load:
    """The standard load of a mode, with the changes that the command line has."""
    names = ("rate", "seconds", "clients", "hold", "held", "after")
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    return replace(STANDARD[mode], **given)


def _run(work: Coroutine[Any, Any, bool]) -> int:
    """Let the reactor run for as long as that takes."""
    from twisted.internet.defer import Deferred
    from twisted.internet.task import react

    clean: list[bool] = []

    def begin(reactor: object) -> Deferred[None]:
        return Deferred.fromCoroutine(work).addCallback(clean.append)

    try:
        react(begin)
    except SystemExit as end:
        if end.code:
            raise
    return 0 if clean == [True] else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What the proxy costs; see bench/README.rst.")
    commands = parser.add_subparsers(dest="what")
    for name, text in (
        ("compare", "measure beside Kamailio (the default)"),
        ("profile", "see where the time goes"),
        ("workers", "what several workers carry, in parts of what one carries"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("modes", nargs="*", choices=[*MODES, []], metavar="MODE", help=", ".join(MODES))
        command.add_argument("--rate", type=float, help="operations a second")
        command.add_argument("--seconds", type=float, help="for which operations are started")
        command.add_argument("--clients", type=int, help="browsers")
        command.add_argument("--hold", type=int, help="milliseconds that a call lasts")
        command.add_argument("--held", type=int, help="calls that are up all the time besides")
        command.add_argument(
            "--after", type=float, help="seconds from idle clients' end to the last look at the memory"
        )
        command.add_argument("--engines", type=int, default=1, help="rtpengines: one holds some thousand calls")
    command = commands.choices["compare"]
    command.add_argument("--repeat", type=int, default=5)
    command.add_argument("--gateways", default=",".join(LABELS), help="default: %(default)s; kamailio-N has N workers")
    command = commands.choices["workers"]
    command.add_argument("--repeat", type=int, default=3)
    command.add_argument("--workers", type=int, default=2, help="default: %(default)s")
    count = commands.add_parser("instructions", help="what an operation costs in instructions, by valgrind")
    count.add_argument("modes", nargs="*", metavar="MODE", help="calls, register, inbound")
    count.add_argument("--variants", default="", help="`pure`, or nothing for what is compiled, with commas between")
    count.add_argument("--turns", type=int, default=100)
    micro = commands.add_parser("micro", help="the parts of the proxy, each for itself")
    micro.add_argument("names", nargs="*", help="only these")
    micro.add_argument("--gap", type=float, default=0, help="milliseconds of rest before each operation")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] if sys.argv[1:] else ["compare"]))
