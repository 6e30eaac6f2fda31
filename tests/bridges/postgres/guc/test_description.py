"""What the server binary says of its parameters."""

import dataclasses
from pathlib import Path

import pytest

from regnal.bridges.postgres.binary_version import binary_version
from regnal.bridges.postgres.guc.description import (
    describe_parameters,
    parse_descriptions,
)
from regnal.bridges.postgres.guc.rules import find_rule
from tests.bridges.postgres.servers import options_for

OUTPUT = (
    "work_mem\tuser\tResource Usage / Memory\tINTEGER\t4096\t64\t2147483647\tSets.\tMore.\n"
    "max_connections\tpostmaster\tConnections\tINTEGER\t100\t1\t262143\tSets.\t\n"
    "archive_mode\tpostmaster\tArchiving\tENUM\toff\t\t\tAllows.\t\n"
    "a line that is none\n"
)


def test_the_output_is_read() -> None:
    """P-CFG-09."""
    found = parse_descriptions(OUTPUT)
    assert found["work_mem"].minimum == 64
    assert not found["work_mem"].needs_restart
    assert found["max_connections"].needs_restart
    assert found["archive_mode"].minimum is None
    assert len(found) == 3


def test_a_binary_that_does_not_answer_is_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """P-CFG-09: the rules then have to do."""
    options = dataclasses.replace(options_for(tmp_path), bin_dir=tmp_path)
    assert not describe_parameters(options)
    assert "--describe-config" in caplog.text


@pytest.mark.server
def test_the_rules_agree_with_the_binary(playground: Path) -> None:
    """CFG-23: each parameter that PostgreSQL describes has a rule with its limits."""
    options = options_for(playground)
    found = describe_parameters(options)
    assert len(found) > 250
    for name, described in found.items():
        rule = find_rule(name, binary_version(options))
        if name in ("data_directory", "extension_destdir"):  # the latter is Debian's
            continue
        assert rule is not None, name
        assert rule.name == described.name
        if described.minimum is not None and rule.maximum != float("inf"):
            assert (rule.minimum, rule.maximum) == (
                described.minimum,
                described.maximum,
            ), name


@pytest.mark.server
def test_the_binary_is_asked_once(playground: Path) -> None:
    """P-CFG-33."""
    options = options_for(playground)
    assert describe_parameters(options) is describe_parameters(options)
