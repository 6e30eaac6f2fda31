"""Positions, files and record ends of the write-ahead log."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.bridges.postgres.wal import (
    format_lsn,
    parse_lsn,
    read_record_length,
    record_end,
    segment_name,
)

SEGMENT = 16 * 1024 * 1024
PAGE = 8192


@given(st.integers(min_value=0, max_value=2**64 - 1))
def test_a_position_survives_being_written(lsn: int) -> None:
    assert parse_lsn(format_lsn(lsn)) == lsn


@pytest.mark.parametrize(
    "text", ["", "16", "x/y", "1/2/3", "-1/0", "1_0/0", "0/100000000"]
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a position"):
        parse_lsn(text)


@pytest.mark.parametrize(
    ("lsn", "size", "name"),
    [
        (0x3000150, SEGMENT, "000000010000000000000003"),
        (0x16_B374D848, SEGMENT, "0000000100000016000000B3"),
        (0x1_40000000, 1024 * 1024 * 1024, "000000010000000100000001"),
    ],
)
def test_the_file_that_holds_a_position(lsn: int, size: int, name: str) -> None:
    assert segment_name(1, lsn, size) == name


@pytest.mark.parametrize(
    ("start", "length", "end"),
    [
        pytest.param(0x30000D8, 114, 0x3000150, id="rounded up to 8 bytes"),
        pytest.param(0x3001FC0, 114, 0x3002050, id="over a page end: a short header"),
        pytest.param(0x3FFFFC0, 114, 0x4000060, id="over a file's end: a long header"),
        pytest.param(0x3001F88, 120, 0x3002000, id="up to the page's end"),
    ],
)
def test_where_a_record_ends(start: int, length: int, end: int) -> None:
    """P-ELEC-03, RWD-03."""
    assert record_end(start, length, block_size=PAGE, segment_size=SEGMENT) == end


@pytest.mark.parametrize(
    ("content", "length"),
    [
        (struct.pack("=I", 114), 114),
        (struct.pack("=I", 0), None),
        (struct.pack("=I", 2**31), None),
        (b"xy", None),
    ],
)
def test_the_length_of_a_record_is_its_first_word(
    tmp_path: Path, content: bytes, length: int | None
) -> None:
    (tmp_path / "000000010000000000000003").write_bytes(b"\0" * 0x28 + content)

    assert read_record_length(tmp_path, 1, 0x3000028, SEGMENT) == length


def test_a_record_whose_file_is_gone_has_no_length(tmp_path: Path) -> None:
    assert read_record_length(tmp_path, 1, 0x3000028, SEGMENT) is None
