"""Which version of PostgreSQL there is."""

import dataclasses
from pathlib import Path

import pytest

from regnal.bridges.postgres.binary_version import (
    exact_version,
    major_of,
    major_version,
    parse_output,
)
from regnal.bridges.postgres.options import PostgresOptions
from tests.bridges.postgres.servers import options_for


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", 150018),
        ("postgres (PostgreSQL) 9.6.5", 90605),
        ("postgres (PostgreSQL) 19devel", 190000),
        ("postgres (PostgreSQL) 18beta1", 180000),
        ("postgres (Some Fork 1.2) 14.3", 140003),
        ("what", 0),
    ],
)
def test_versions_are_read(text: str, version: int) -> None:
    """PG-36."""
    assert parse_output(text) == version


def test_majors_before_10_have_two_parts() -> None:
    """PG-36."""
    assert major_of(90605) == 90600
    assert major_of(150018) == 150000


def with_binary(tmp_path: Path, output: str) -> PostgresOptions:
    program = tmp_path / "postgres"
    program.write_text(f"#!/bin/sh\necho '{output}'\n")
    program.chmod(0o755)
    return dataclasses.replace(options_for(tmp_path), bin_dir=tmp_path)


@pytest.mark.parametrize(
    ("data", "major", "exact"),
    [
        ("15\n", 150000, 150018),
        ("14\n", 140000, 140000),  # upgraded binaries, data still to follow
        ("9.6\n", 90600, 90600),
        (None, 150000, 150018),
        ("garbage", 150000, 150018),
    ],
)
def test_the_data_tell_the_version_else_the_binary(
    tmp_path: Path, data: str | None, major: int, exact: int
) -> None:
    """P-CFG-25, P-CFG-32."""
    options = with_binary(tmp_path, "postgres (PostgreSQL) 15.18")
    options.data_dir.mkdir()
    if data is not None:
        (options.data_dir / "PG_VERSION").write_text(data)
    assert major_version(options) == major
    assert exact_version(options, major) == exact


def test_nobody_tells(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = dataclasses.replace(options_for(tmp_path), bin_dir=tmp_path)
    assert major_version(options) == 0
    assert "not known" in caplog.text
