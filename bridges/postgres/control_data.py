"""What pg_control says of a data directory, asked of the program pg_controldata."""

import logging
import struct
from collections.abc import Mapping
from pathlib import Path

from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.programs import CancelToken, find_binary, run_program
from regnal.bridges.postgres.wal import (
    parse_lsn,
    read_record_length,
    record_end,
    wal_directory,
)
from regnal.messages.base import LSN, Seconds
from regnal.messages.postgres import ControlData

TIMEOUT: Seconds = 10.0
"""It reads one block; longer means that the disk hangs."""

STATE = struct.Struct("=QIIi")
SEGMENT_SIZES = tuple(1 << bits for bits in range(20, 31))
BLOCK_SIZES = tuple(1 << bits for bits in range(10, 17))
"""Bytes: what initdb and the build take (--wal-segsize, --with-wal-blocksize)."""

SHUT_DOWN_STATES = (1, 2)
"""DB_SHUTDOWNED and DB_SHUTDOWNED_IN_RECOVERY of catalog/pg_control.h."""

logger = logging.getLogger(__name__)

Fields = Mapping[str, str]
"""The lines of pg_controldata: label to value, both verbatim."""


def read_control_data(options: PostgresOptions) -> ControlData | None:
    """None: the program did not work or said nothing usable, which is logged."""
    fields = read_fields(options)
    return control_data(fields, options.data_dir) if fields else None


def read_fields(options: PostgresOptions) -> Fields:
    """Empty: the program did not work, which is logged."""
    try:
        program = find_binary(options, "pg_controldata")
        with CancelToken() as cancel:
            result = run_program(
                [program, options.data_dir],
                cancel=cancel,
                timeout=TIMEOUT,
                env={"LC_ALL": "C"},
            )
    except OperationError as error:
        logger.warning("pg_controldata did not work.", extra={"error": str(error)})
        return {}
    if result.exit_status != 0:
        logger.warning(
            "pg_controldata found nothing.",
            extra={"status": result.exit_status, "output": result.stderr.strip()},
        )
        return {}
    return parse_fields(result.stdout)


def is_shut_down(data_dir: Path) -> bool:
    """Whether pg_control says `shut down` now, asked without starting a program.

    The state is the number after the identifier and two versions, since 8.0.
    """
    try:
        with (data_dir / "global" / "pg_control").open("rb") as file:
            head = file.read(STATE.size)
    except OSError:
        return False
    if len(head) < STATE.size:
        return False
    return STATE.unpack(head)[3] in SHUT_DOWN_STATES


def parse_fields(output: str) -> Fields:
    """Lines without a colon (warnings) are left out."""
    lines = (line.partition(":") for line in output.splitlines())
    return {label.strip(): value.strip() for label, colon, value in lines if colon}


def control_data(fields: Fields, data_dir: Path) -> ControlData | None:
    """None: a field that we cannot do without is missing or is not understood."""
    try:
        timeline = int(fields["Latest checkpoint's TimeLineID"])
        checkpoint = parse_lsn(fields["Latest checkpoint location"])
        return ControlData(
            system_identifier=fields["Database system identifier"],
            state=fields["Database cluster state"],
            timeline=timeline,
            checkpoint_lsn=checkpoint,
            redo_lsn=parse_lsn(fields["Latest checkpoint's REDO location"]),
            wal_log_hints=fields.get("wal_log_hints setting") == "on",
            checksums=fields.get("Data page checksum version", "0") != "0",
            min_recovery_end_lsn=parse_lsn(
                fields.get("Minimum recovery ending location", "0/0")
            ),
            min_recovery_end_timeline=int(
                fields.get("Min recovery ending loc's timeline", "0")
            ),
            checkpoint_end_lsn=_checkpoint_end(fields, timeline, checkpoint, data_dir),
        )
    except (KeyError, ValueError) as error:
        logger.warning("pg_controldata is not understood.", extra={"error": str(error)})
        return None


def _checkpoint_end(
    fields: Fields, timeline: int, checkpoint: LSN, data_dir: Path
) -> LSN:
    """0: the segment with the checkpoint's record is not there."""
    segment_size = int(fields.get("Bytes per WAL segment", "0"))
    block_size = int(fields.get("WAL block size", "0"))
    if segment_size not in SEGMENT_SIZES or block_size not in BLOCK_SIZES:
        return 0
    length = read_record_length(
        wal_directory(data_dir), timeline, checkpoint, segment_size
    )
    if length is None:
        return 0
    return record_end(
        checkpoint, length, block_size=block_size, segment_size=segment_size
    )
