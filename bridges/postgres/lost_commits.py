"""Lost commits: how many transactions only our WAL has, before it is rewound.

pg_waldump reads our WAL from where the upstream left our timeline; every record of
a commit after that is one that nobody else has.  It is only counted: what is lost
is lost, and the rewind does not wait longer than the limits here.
"""

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from regnal.bridges.postgres.binary_version import major_version
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.operation import Operation
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.programs import find_binary, run_program
from regnal.bridges.postgres.wal import (
    format_lsn,
    parse_lsn,
    segment_name,
    wal_directory,
)
from regnal.messages.base import LSN, Bytes, Seconds, Timeline

COUNT_WITHIN: Seconds = 5.0
"""By so much a count may delay a rewind."""

FILE_MISSED_WITHIN: Seconds = 8.0
"""pg_waldump tries for 5 s to open a file that is not there."""

COUNT_UP_TO: Bytes = 1 << 30
"""Of WAL: what pg_waldump reads in that time."""

COMMIT = re.compile(
    # 9.4 and older write `bkp:` and `commit:`.
    r"^rmgr: Transaction .*? lsn: \S+, prev \S+, (?:bkp: \d+, )?"
    r"desc: commit(?:_prepared| prepared)?\b",
    re.IGNORECASE,
)
"""How both programs write it since 9.3."""

PLACE = re.compile(
    r"^rmgr: Transaction .*?\(rec/tot\):\s*\d+/\s*(\d{1,10}), .*?"
    r" lsn: ([0-9A-F]{1,8}/[0-9A-F]{1,8}), prev",
)
"""Total length of a record, and where it begins."""

END = re.compile(r"error in WAL record at ([0-9A-F]+/[0-9A-F]+): (.*)")
AFTER_THE_LAST = re.compile(
    r"^invalid record length at ([0-9A-F]{1,8}/[0-9A-F]{1,8})\b"
)
NOTHING_FOLLOWS = re.compile(r"could not find a valid record after [0-9A-F]+/[0-9A-F]+")
"""Of a start where, to the end of the WAL, no record can be read: since 9.3."""

SEGMENT = re.compile(r"[0-9A-F]{24}")
MISSING_FILE = re.compile(r'could not (?:find|open) file "([0-9A-F]{24})"')

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OwnWal:
    """What our WAL has after a position."""

    commits: int
    last: LSN | None
    """Where the record of the last transaction ends, to a few bytes; None: there is
    none.  What comes after (checkpoints, the rest of a file) is nobody's data."""

    end: LSN | None
    """Where it ends; None: pg_waldump does not say."""


def read_own_wal(
    operation: Operation, timeline: Timeline, since: LSN, timeout: Seconds
) -> OwnWal | None:
    """None: there is too much of it, or it cannot be read; the log says which.

    Raises Cancelled.
    """
    options = operation.options
    wal = wal_directory(options.data_dir)
    commits = _Counter()
    try:
        result = run_program(
            [
                find_binary(options, _program(options)),
                *("--path", wal),
                *("--timeline", str(timeline)),
                *("--start", format_lsn(since)),
                *("--end", format_lsn(since + COUNT_UP_TO)),
                *("--rmgr", "Transaction"),
            ],
            cancel=operation.cancel,
            timeout=min(COUNT_WITHIN, timeout),
            env={"LC_ALL": "C"},
            on_output=commits.read,
        )
    except OperationError as error:
        logger.info("The commits that only we have are not counted: %s", error)
        return None
    if result.exit_status == 0:
        logger.info("The commits that only we have are not counted: there are too many")
        return None
    if END.search(result.stderr) or ends_with_its_file(wal, since, result.stderr):
        return OwnWal(commits.count, commits.last, end_of_wal(result.stderr))
    logger.info(
        "The commits that only we have are not counted: pg_waldump said: %s",
        result.stderr.strip(),
    )
    return None


def ends_at(
    operation: Operation, timeline: Timeline, position: LSN, timeout: Seconds
) -> bool:
    """Whether no whole record of ours begins at this end of a record, or after it.

    What a standby has received may go on with a piece of one, of which a primary that
    crashed never wrote the rest.  False also where it cannot be told.  Raises Cancelled.
    """
    options = operation.options
    wal = wal_directory(options.data_dir)
    files_end = end_of_files(wal, timeline, position)
    try:
        result = run_program(
            [
                find_binary(options, _program(options)),
                *("--path", wal),
                *("--timeline", str(timeline)),
                *("--start", format_lsn(position)),
                # Beyond it, it would try for long to open a file that is not there.
                *(("--end", format_lsn(files_end)) if files_end else ()),
                *("--limit", "1"),
            ],
            cancel=operation.cancel,
            timeout=min(FILE_MISSED_WITHIN, timeout),
            env={"LC_ALL": "C"},
        )
    except OperationError as error:
        logger.info("Whether our WAL ends with a torn record is not known: %s", error)
        return False
    if result.exit_status == 0 or result.stdout.strip():
        return False
    # The rest of the record would be in a file that never came, or the bytes there
    # make no record.
    stderr = result.stderr
    return says_nothing_follows(stderr) or ends_with_its_file(wal, position, stderr)


def end_of_files(wal: Path, timeline: Timeline, position: LSN) -> LSN | None:
    """Where the files of this timeline end, from that of the position on; None: there is
    none of it, or there is a gap before others."""
    files = sorted(
        file
        for file in wal.glob(f"{timeline:08X}*")
        if SEGMENT.fullmatch(file.name) is not None
    )
    try:
        size = files[-1].stat().st_size if files else 0
    except OSError:  # a running server has just removed it
        return None
    if size == 0:
        return None
    end = position - position % size
    while wal / segment_name(timeline, end, size) in files:
        end += size
    is_whole = position < end and files[-1].name < segment_name(timeline, end, size)
    return end if is_whole else None


def says_nothing_follows(stderr: str) -> bool:
    return NOTHING_FOLLOWS.search(stderr) is not None


def is_commit(line: str) -> bool:
    """Whether a line of pg_waldump is a record of a transaction's commit."""
    return COMMIT.match(line) is not None


def record_end_in(line: str) -> LSN | None:
    """Where the transaction's record of this line ends; None: it is none, or of a
    version that does not write its length so (9.6 and older)."""
    found = PLACE.match(line)
    return parse_lsn(found[2]) + int(found[1]) if found else None


def end_of_wal(stderr: str) -> LSN | None:
    """Where the first byte is that is no record; None: that is not told."""
    found = END.search(stderr)
    behind = AFTER_THE_LAST.match(found[2]) if found else None
    return parse_lsn(behind[1]) if behind else None


def ends_with_its_file(wal: Path, since: LSN, stderr: str) -> bool:
    """Whether the file that pg_waldump missed is only the next one, since our WAL ends
    with a file: not if it is the first, or if there are others behind it."""
    missing = MISSING_FILE.search(stderr)
    if missing is None:
        return False
    name, timeline = missing[1], missing[1][:8]
    files = [file for file in wal.glob(f"{timeline}*") if len(file.name) == len(name)]
    if not files or any(file.name > name for file in files):
        return False
    size = files[0].stat().st_size
    return name != segment_name(int(timeline, 16), since, size)


class _Counter:
    """Hears the lines as they come: there may be more than memory should hold."""

    def __init__(self) -> None:
        self.count = 0
        self.last: LSN | None = None

    def read(self, line: str) -> None:
        self.count += is_commit(line)
        self.last = record_end_in(line) or self.last


def _program(options: PostgresOptions) -> str:
    """WAL was called xlog before version 10."""
    return "pg_waldump" if major_version(options) >= 100000 else "pg_xlogdump"
