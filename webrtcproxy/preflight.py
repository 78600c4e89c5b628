"""What is looked at before anything is started, and by ``--check``: the configuration file, and all that the start
loads and opens because of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from webrtcproxy import self_signed
from webrtcproxy.access.policy import policy_mistakes
from webrtcproxy.config import Config, ConfigError
from webrtcproxy.config.listen_check import listen_mistakes
from webrtcproxy.config.reader import Reading, read
from webrtcproxy.transport.certificate import certificate_mistakes
from webrtcproxy.transport.sip.trunk_tls import trunk_tls_mistakes
from webrtcproxy.users.domains import broken_lines, domain_mistakes, silent_numbers


def preflight(path: Path, checkers: Sequence[str] = (), *, check: bool = False) -> Reading:
    """Read a configuration file, and look at what the start would load and open.

    :param checkers: what ``--auth`` names on the command line.
    :param check: nothing will be started: the ports need not be free then, and what the start would only log, lines of
        users files that can't be used, or what it takes, numbers that can never ring, is a mistake, too.
    :returns: the configuration, with all mistakes.
    :raises ConfigErrors: the file can't be read.
    """
    config, mistakes = read(path)
    config = replace(config, auth=tuple(checkers))
    unmade = self_signed.unmade(config)
    mistakes.note(*_found(config, check, unmade))
    if unmade is not None and not check and not list(mistakes):
        mistakes.note(*self_signed.make(unmade))
    return Reading(config, mistakes)


def _found(config: Config, check: bool, unmade: Path | None) -> Iterator[ConfigError]:
    yield from policy_mistakes(config)
    yield from domain_mistakes(config)
    yield from certificate_mistakes(config, unmade)
    yield from trunk_tls_mistakes(config.trunks)
    yield from listen_mistakes(config, only_addresses=check)
    if check:
        if unmade is not None:
            yield from self_signed.unmakeable(unmade)
        yield from broken_lines(config)
        yield from silent_numbers(config)
