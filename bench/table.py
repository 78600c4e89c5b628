"""Results as a table: medians, and how they compare to Kamailio's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from bench.load import Result

PEERS = ("kamailio", "kamailio-1")


def table(results: Sequence[Result]) -> str:
    """The results of one mode and rate, a line for each gateway, as a simple table of reStructuredText."""
    by_gateway: dict[str, list[Result]] = {}
    for result in results:
        by_gateway.setdefault(result.gateway, []).append(result)
    idle = results[0].mode == "idle"
    title = ["gateway", *(_IDLE if idle else _BUSY), *(f"x {peer}" for peer in PEERS if peer in by_gateway)]
    lines = []
    for gateway, runs in by_gateway.items():
        good = [run for run in runs if run.completed or idle]
        failures = str(sum(run.failures for run in runs))
        cells = _idle_cells(good) if idle else _busy_cells(good)
        peers = [_ratio(good, by_gateway[peer]) for peer in PEERS if peer in by_gateway]
        lines.append([gateway, *cells[:-1], failures, cells[-1], *peers])
    return layout([title, *lines])


_BUSY = ("CPU ms", "from", "to", "p50 ms", "p99 ms", "rtpengine ms", "browsers ms", "core", "failures", "others")
_IDLE = ("kB/client", "from", "to", "kept kB", "CPU ms/s", "failures", "others")


def figure(result: Result) -> float:
    """What is compared: CPU per operation, or memory per client."""
    return result.cpu if result.memory is None else result.memory


def _busy_cells(runs: Sequence[Result]) -> list[str]:
    if not runs:
        return ["-"] * 9
    return [
        *_spread(map(figure, runs)),
        _middle((run.p50 for run in runs), 1),
        _middle((run.p99 for run in runs), 1),
        _middle((run.engine_cpu for run in runs), 2),
        _middle((run.browsers_cpu for run in runs), 2),
        f"{_middle((run.busy * 100 for run in runs), 0)} %",
        f"{_middle((run.others * 100 for run in runs), 0)} %",
    ]


def _idle_cells(runs: Sequence[Result]) -> list[str]:
    if not runs:
        return ["-"] * 6
    return [
        *_spread(map(figure, runs)),
        _middle((run.kept for run in runs), 1),
        _middle((run.cpu for run in runs), 2),
        f"{_middle((run.others * 100 for run in runs), 0)} %",
    ]


def _ratio(runs: Sequence[Result], peers: Sequence[Result]) -> str:
    """One to the other, as the median of the pairs that ran one after the other."""
    ratios = [figure(run) / figure(peer) for run, peer in zip(runs, peers, strict=False) if figure(peer)]
    return f"{median(ratios):.2f}" if ratios else "-"


def _spread(values: Iterable[float]) -> list[str]:
    sorted_values = sorted(values)
    return [f"{value:.2f}" for value in (median(sorted_values), sorted_values[0], sorted_values[-1])]


def _middle(values: Iterable[float | None], digits: int) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known):.{digits}f}" if known else "-"


def layout(rows: Sequence[Sequence[str]]) -> str:
    """A simple table of reStructuredText, the first row as its head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    ruler = "  ".join("=" * width for width in widths)
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([ruler, lines[0], ruler, *lines[1:], ruler])
