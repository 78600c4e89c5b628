"""``[records]``: the file of call records."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from webrtcproxy.config.ini import Section
from webrtcproxy.config.kinds import custom, whole
from webrtcproxy.config.option import option


def _file(section: Section, key: str, remedy: str) -> Path:
    path = section.folder / section.text(key, remedy)
    if not path.parent.is_dir():
        raise section.error(key, f"there is no folder {path.parent}", remedy)
    if path.exists() and not path.is_file():
        raise section.error(key, f"{path} is no regular file", remedy)
    return path


@dataclass(frozen=True, slots=True)
class RecordsConfig:
    """Where call records are written, besides the log.

    :ivar file: None for nowhere.
    :ivar queue: lines that wait while it can't be written.
    """

    file: Path | None = option(
        custom(_file, "write the path of a file in a folder that exists"),
        "One line of JSON for each attempt of a call, whatever ended it: :doc:`records`. It is made with mode 0640, and"
        " made once more where it was renamed or removed, as by logrotate.",
        default=None,
        absent="nowhere but in the log",
    )
    queue: int = option(
        whole(1, 10_000_000),
        "Records that wait, in each process, while the file can't be written, as on a full disk; further ones are lost,"
        " and counted in the log.",
        default=20_000,
    )
