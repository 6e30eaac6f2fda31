"""pg_controldata and pg_control, on real output of several versions."""

from pathlib import Path

import pytest

from regnal.bridges.postgres.control_data import (
    control_data,
    is_shut_down,
    parse_fields,
    read_control_data,
)
from regnal.messages.postgres import PostgresStopped
from tests.bridges.postgres.recorder import STOP_FAST, Driven
from tests.bridges.postgres.servers import options_for

DATA = Path(__file__).parents[2] / "data" / "postgres"


@pytest.mark.parametrize("version", ["15", "16", "18"])
def test_the_output_of_each_version_is_understood(version: str, tmp_path: Path) -> None:
    """PG-24."""
    fields = parse_fields((DATA / f"{version}-shut-down.txt").read_text())

    control = control_data(fields, tmp_path)

    assert control is not None
    assert control.state == "shut down"
    assert control.was_shut_down_cleanly
    assert control.timeline == 1
    assert control.checkpoint_lsn == control.redo_lsn > 0
    assert control.checksums == control.can_rewind == (version != "16")
    assert len(control.system_identifier) == 19
    assert control.checkpoint_end_lsn == 0, "there is no WAL to look at"


@pytest.mark.parametrize(
    ("file", "state", "is_clean"),
    [
        ("15-in-production.txt", "in production", False),
        ("15-in-archive-recovery.txt", "in archive recovery", False),
        ("15-shut-down-in-recovery.txt", "shut down in recovery", True),
    ],
)
def test_each_state_is_told(
    file: str, state: str, is_clean: bool, tmp_path: Path
) -> None:
    control = control_data(parse_fields((DATA / file).read_text()), tmp_path)

    assert control is not None
    assert control.state == state
    assert control.was_shut_down_cleanly == is_clean


def test_lines_without_a_colon_are_left_out() -> None:
    """PG-24."""
    fields = parse_fields("WARNING\nDatabase cluster state:   shut down\n")

    assert fields == {"Database cluster state": "shut down"}


@pytest.mark.parametrize(
    "missing", ["Database system identifier", "Latest checkpoint location"]
)
def test_output_that_lacks_what_matters_is_no_data(
    missing: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """PG-24: it does not raise."""
    text = (DATA / "15-shut-down.txt").read_text()
    fields = {k: v for k, v in parse_fields(text).items() if k != missing}

    assert control_data(fields, tmp_path) is None
    assert "not understood" in caplog.text


def test_a_program_that_fails_is_no_data(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """P-PG-18."""
    assert read_control_data(options_for(tmp_path)) is None
    assert "pg_controldata" in caplog.text
    assert read_control_data(options_for(tmp_path, bin_dir=tmp_path)) is None


@pytest.mark.server
def test_the_end_of_the_last_checkpoint_is_found_in_the_wal(primary: Driven) -> None:
    assert not is_shut_down(primary.options.data_dir)
    control = primary.do(STOP_FAST, PostgresStopped).control

    assert is_shut_down(primary.options.data_dir)
    assert control is not None
    assert control.checkpoint_end_lsn > control.checkpoint_lsn
    assert control.checkpoint_end_lsn % 8 == 0
