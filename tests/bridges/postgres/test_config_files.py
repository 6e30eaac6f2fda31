"""PostgreSQL's configuration files, on disk and in a real server."""

import dataclasses
import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from regnal.bridges.postgres.conf_syntax import parse_assignments
from regnal.bridges.postgres.config_files import write_configuration
from regnal.bridges.postgres.config_paths import file_mode, restore_missing_files
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.postmaster import make_directories
from regnal.messages.postgres import (
    PostgresReloaded,
    PostgresStarted,
    PostgresStopped,
    ReloadPostgres,
    Upstream,
)
from tests.bridges.postgres.recorder import (
    START_PRIMARY,
    STOP_FAST,
    Driven,
    NewMember,
    start_standby,
    streams,
)
from tests.bridges.postgres.servers import options_for, sql

LEADER = Upstream(member="pg1", host="10.0.0.1", port="5433", slot="me", is_leader=True)
ORIGINAL = "# as initdb made it\nwork_mem = 1MB\n"


@pytest.fixture
def options(tmp_path: Path) -> PostgresOptions:
    """A data directory of 15 as initdb leaves it, as far as it matters here, and no
    binaries."""
    plain = options_for(tmp_path, "me", bin_dir=tmp_path / "none", pg_hba=None)
    plain.data_dir.mkdir(mode=0o700)
    (plain.data_dir / "PG_VERSION").write_text("15\n")
    (plain.data_dir / "postgresql.conf").write_text(ORIGINAL)
    (plain.data_dir / "postgresql.auto.conf").write_text("")
    (plain.data_dir / "pg_hba.conf").write_text("# original\n")
    (plain.data_dir / "pg_ident.conf").write_text("")
    return plain


def write(
    options: PostgresOptions,
    upstream: Upstream | None = None,
    *,
    version: int = 150000,
    role: Any = None,
    control: Mapping[str, str] | None = None,
    names: str | None = None,
) -> tuple[str, ...]:
    return write_configuration(
        options,
        role or ("standby" if upstream else "primary"),
        upstream,
        server_version=version,
        control=control,
        synchronous_standby_names=names,
    )


def conf(options: PostgresOptions) -> dict[str, str]:
    return parse_assignments((options.config_dir / "postgresql.conf").read_text())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_original_file_is_kept_and_included(options: PostgresOptions) -> None:
    """CFG-30, contracts 9.4: renamed once."""
    write(options)
    write(dataclasses.replace(options, parameters={"work_mem": "2MB"}))

    base = options.data_dir / "postgresql.base.conf"
    assert base.read_text() == ORIGINAL
    lines = (options.data_dir / "postgresql.conf").read_text().splitlines()
    assert all(line.startswith("#") for line in lines[:2])
    assert lines[2] == "include 'postgresql.base.conf'"
    assert conf(options)["work_mem"] == "2MB"
    assert conf(options)["hba_file"] == str(options.data_dir / "pg_hba.conf")


def test_what_a_server_of_somebody_else_ran_with_is_kept(
    options: PostgresOptions,
) -> None:
    """P-CFG-15: once, and nothing that is ours to say."""
    (options.data_dir / "postgresql.auto.conf").write_text(
        "restore_command = 'cp /a/%f %p'\nprimary_conninfo = 'host=x'\nwork_mem = '2MB'\n"
    )
    (options.data_dir / "postmaster.opts").write_text(
        '/usr/bin/postgres "-D" "/data" "-c" "log_statement=all" "--max_connections=9"'
        ' "--config-file=/x" "--deadlock-timeout=2s" "-p" "5432" "-cwork_mem=3MB"\n'
    )
    write(options)
    write(options)

    base = parse_assignments((options.data_dir / "postgresql.base.conf").read_text())
    assert base == {
        "work_mem": "3MB",
        "restore_command": "cp /a/%f %p",
        "log_statement": "all",
        "deadlock_timeout": "2s",
    }
    auto = (options.data_dir / "postgresql.auto.conf").read_text()
    assert auto == "work_mem = '2MB'\n"


def test_a_generated_file_is_never_taken_for_the_original(
    options: PostgresOptions,
) -> None:
    """Contracts 9.4: nor is that of the peer; the base may have been lost."""
    write(options)
    (options.data_dir / "postgresql.base.conf").unlink()
    (options.data_dir / "postgresql.base.conf.backup").unlink()

    write(options)

    base = (options.data_dir / "postgresql.base.conf").read_text()
    assert "include" not in base
    assert base.startswith("#")


def test_custom_conf_is_included_instead(options: PostgresOptions) -> None:
    """CFG-31: and not looked after."""
    write(dataclasses.replace(options, custom_conf="/etc/own's.conf"))

    text = (options.data_dir / "postgresql.conf").read_text()
    assert "include '/etc/own''s.conf'" in text
    assert not (options.data_dir / "postgresql.base.conf.backup").exists()


def test_the_file_may_have_another_name(options: PostgresOptions) -> None:
    """CFG-33."""
    (options.data_dir / "postgresql.conf").rename(options.data_dir / "fork.conf")
    write(dataclasses.replace(options, config_base_name="fork"))
    assert (options.data_dir / "fork.base.conf").read_text() == ORIGINAL
    assert "include 'fork.base.conf'" in (options.data_dir / "fork.conf").read_text()


def test_configuration_may_live_elsewhere(
    options: PostgresOptions, tmp_path: Path
) -> None:
    """CFG-32: with the files that initdb made in the data directory."""
    elsewhere = tmp_path / "etc"
    elsewhere.mkdir()
    moved = dataclasses.replace(options, config_dir=elsewhere, pg_hba=("local a b c",))

    write(moved)

    assert (elsewhere / "postgresql.base.conf").read_text() == ORIGINAL
    assert "local a b c\n" in (elsewhere / "pg_hba.conf").read_text()
    assert conf(moved)["hba_file"] == str(elsewhere / "pg_hba.conf")
    assert (options.data_dir / "pg_hba.conf").read_text() == "# original\n"
    assert (options.data_dir / "postgresql.conf").read_text() == ORIGINAL


def test_copies_let_a_clone_find_its_files(
    options: PostgresOptions, tmp_path: Path
) -> None:
    """Contracts 9.4, BOOT-12."""
    elsewhere = tmp_path / "etc"
    elsewhere.mkdir()
    moved = dataclasses.replace(options, config_dir=elsewhere, pg_hba=("local a b c",))
    write(moved)
    for name in ("postgresql.conf", "pg_hba.conf", "pg_ident.conf"):
        (options.data_dir / name).unlink()
    fresh = dataclasses.replace(moved, config_dir=tmp_path / "etc2")
    fresh.config_dir.mkdir()

    restore_missing_files(fresh)

    assert "local a b c\n" in (fresh.config_dir / "pg_hba.conf").read_text()
    assert (fresh.config_dir / "postgresql.base.conf").read_text() == ORIGINAL
    assert (fresh.config_dir / "pg_ident.conf").read_text() == ""


def test_access_files_are_replaced_only_if_they_are_configured(
    options: PostgresOptions,
) -> None:
    """CFG-35, CFG-36."""
    write(options)
    assert (options.data_dir / "pg_hba.conf").read_text() == "# original\n"

    ours = dataclasses.replace(options, pg_hba=("local a b c",), pg_ident=("m o d",))
    write(ours)
    assert "local a b c\n" in (options.data_dir / "pg_hba.conf").read_text()
    assert "m o d\n" in (options.data_dir / "pg_ident.conf").read_text()

    external = dataclasses.replace(
        ours,
        pg_hba=("local x y z",),
        pg_ident=("x y z",),
        parameters={"HBA_file": "/etc/hba", "ident_file": "/etc/ident"},
    )
    write(external)
    assert "local a b c\n" in (options.data_dir / "pg_hba.conf").read_text()
    assert "m o d\n" in (options.data_dir / "pg_ident.conf").read_text()
    assert conf(options)["hba_file"] == "/etc/hba"
    assert conf(options)["ident_file"] == "/etc/ident"


def test_a_standby_is_told_by_its_signal_file(options: PostgresOptions) -> None:
    """REPL-22: and a primary by none."""
    write(options, LEADER)
    assert (options.data_dir / "standby.signal").exists()
    assert "host=10.0.0.1" in conf(options)["primary_conninfo"]
    assert conf(options)["primary_slot_name"] == "me"
    assert options.pgpass.exists()

    (options.data_dir / "recovery.signal").touch()
    write(options)
    assert not (options.data_dir / "standby.signal").exists()
    assert not (options.data_dir / "recovery.signal").exists()
    assert "primary_conninfo" not in conf(options)


def test_an_old_standby_is_told_by_recovery_conf(options: PostgresOptions) -> None:
    """REPL-15, REPL-24: which may hold the password."""
    options.data_dir.chmod(0o750)
    write(options, LEADER, version=90600)
    path = options.data_dir / "recovery.conf"
    settings = parse_assignments(path.read_text())
    assert settings["standby_mode"] == "on"
    assert "password=secret-of-replicator" in settings["primary_conninfo"]
    assert mode_of(path) == 0o600
    assert "primary_conninfo" not in conf(options)

    write(options, version=90600)
    assert not path.exists()


def test_alter_system_cannot_lead_a_standby_elsewhere(
    options: PostgresOptions, caplog: pytest.LogCaptureFixture
) -> None:
    """REPL-23."""
    auto = options.data_dir / "postgresql.auto.conf"
    auto.write_text(
        "# Do not edit\nwork_mem = '3MB'\nprimary_conninfo = 'host=evil password=x'\n"
        "recovery_target_time = '2030-01-01'\n"
    )
    write(options, LEADER)
    assert auto.read_text() == "# Do not edit\nwork_mem = '3MB'\n"
    assert "password=x" not in caplog.text


@pytest.mark.parametrize("place", ["postgresql.conf", "postgresql.auto.conf"])
def test_a_standby_that_follows_already_is_not_disturbed(
    options: PostgresOptions, place: str
) -> None:
    """REPL-16: another text of the same meaning would end its connection."""
    by_hand = (
        f"application_name=me host=10.0.0.1 port=5433 user=replicator"
        f" passfile={options.pgpass} sslmode=prefer"
    )
    (options.data_dir / place).write_text(f"primary_conninfo = '{by_hand}'\n")
    write(options, LEADER)
    assert conf(options)["primary_conninfo"] == by_hand
    other = LEADER.model_copy(update={"host": "10.0.0.2"})
    write(options, other)
    assert "host=10.0.0.2" in conf(options)["primary_conninfo"]


@pytest.mark.parametrize(("folder", "file"), [(0o700, 0o600), (0o750, 0o640)])
def test_files_are_as_private_as_the_data_directory(
    options: PostgresOptions, folder: int, file: int
) -> None:
    """P-CFG-20."""
    options.data_dir.chmod(folder)
    write(dataclasses.replace(options, pg_hba=("local a b c",)), LEADER)
    for name in ("postgresql.conf", "pg_hba.conf", "standby.signal"):
        assert mode_of(options.data_dir / name) == file, name
    assert mode_of(options.pgpass) == 0o600


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_elsewhere_the_umask_counts(
    options: PostgresOptions, tmp_path: Path, umask: int, mode: int
) -> None:
    """P-CFG-20."""
    before = os.umask(umask)
    try:
        assert file_mode(options, tmp_path / "other" / "postgresql.conf") == mode
    finally:
        os.umask(before)


def test_what_is_right_is_not_written_again(options: PostgresOptions) -> None:
    """P-CFG-16: the content counts, not how often it is asked for."""
    write(options, LEADER)
    paths = sorted(options.data_dir.iterdir())
    before = [path.stat().st_mtime_ns for path in paths]
    write(options, LEADER)
    assert [path.stat().st_mtime_ns for path in paths] == before


def test_nothing_is_written_while_the_version_is_unknown(
    options: PostgresOptions,
) -> None:
    """P-CFG-25."""
    before = sorted(options.data_dir.iterdir())
    with pytest.raises(OperationError, match="version"):
        write(options, version=0)
    assert sorted(options.data_dir.iterdir()) == before


def test_a_disk_that_refuses_is_an_error_of_the_operation(
    options: PostgresOptions,
) -> None:
    wrong = dataclasses.replace(options, config_dir=options.data_dir / "missing")
    with pytest.raises(OperationError, match="missing"):
        write(wrong)


def test_changes_and_complaints_are_told(
    options: PostgresOptions, caplog: pytest.LogCaptureFixture
) -> None:
    """CFG-23, CFG-29: not those of the first time."""
    caplog.set_level(logging.INFO)
    write(options)
    assert "Changed" not in caplog.text
    write(dataclasses.replace(options, parameters={"work_mem": "2MB", "oops": 1}))
    assert "Changed work_mem from its default to '2MB'." in caplog.text
    assert "parameter oops is dropped" in caplog.text


def test_synchronous_standbys_are_not_forgotten_by_a_primary(
    options: PostgresOptions,
) -> None:
    """Safety law 4: a primary that starts anew waits for those it waited for."""
    owned = dataclasses.replace(options, synchronous_mode=True)
    write(owned, names='"pg2"')
    write(owned)
    assert conf(owned)["synchronous_standby_names"] == '"pg2"'
    write(owned, LEADER)
    assert "synchronous_standby_names" not in conf(owned)
    write(owned)
    assert "synchronous_standby_names" not in conf(owned)


def test_a_standby_gets_what_its_primary_had_on_its_command_line(
    options: PostgresOptions,
) -> None:
    """REPL-30: the file says what is configured."""
    arguments = write(options, LEADER, control={"max_connections setting": "300"})
    assert "--max_connections=300" in arguments
    assert conf(options)["max_connections"] == "100"
    alone = write(options, control={"max_connections setting": "300"})
    assert "--max_connections=100" in alone


@pytest.mark.server
def test_the_configuration_takes_effect(new_member: NewMember) -> None:
    """CFG-22, CFG-24, CFG-30, CFG-35: and ALTER SYSTEM does not change what is ours."""
    member = new_member.make(
        parameters={
            "unix_socket_directories": "/tmp",
            "timezone": "Asia/Tokyo",
            "shared_buffers": "1kB",
            "max_connections": 40,
            "search_path": '"it\'s", public',
            "nonsense": True,
        }
    )
    member.do(START_PRIMARY, PostgresStarted)
    sql(member.options, "ALTER SYSTEM SET max_connections = 77")
    member.do(STOP_FAST, PostgresStopped)
    member.do(START_PRIMARY, PostgresStarted)

    shown = {
        name: sql(member.options, f"SHOW {name}")[0][0]
        for name in ("TimeZone", "shared_buffers", "max_connections", "search_path")
    }
    assert shown == {
        "TimeZone": "Asia/Tokyo",
        "shared_buffers": "128kB",
        "max_connections": "40",
        "search_path": '"it\'s", public',
    }
    errors = sql(
        member.options,
        "SELECT name, error FROM pg_file_settings"
        " WHERE error IS NOT NULL AND sourcefile !~ 'auto.conf'",
    )
    assert errors == []


@pytest.mark.server
def test_a_reload_brings_changes_into_force(primary: Driven) -> None:
    """CFG-14, CFG-28, CFG-35, P-CFG-13."""
    lines = (*(primary.options.pg_hba or ()), "host all nobody 192.0.2.1/32 reject")
    changed = dataclasses.replace(
        primary.with_parameters(work_mem="9MB", max_connections="150"), pg_hba=lines
    )
    primary.bridge.reconfigure(changed)
    primary.do(ReloadPostgres(), PostgresReloaded)

    assert sql(primary.options, "SHOW work_mem") == [("9MB",)]
    rules = sql(
        primary.options,
        "SELECT count(*) FROM pg_hba_file_rules WHERE 'nobody' = ANY (user_name)",
    )
    assert rules == [(1,)]
    primary.observe_until(lambda status: status.pending_restart, "a pending restart")

    primary.bridge.reconfigure(primary.options)
    primary.do(ReloadPostgres(), PostgresReloaded)
    primary.observe_until(
        lambda status: not status.pending_restart, "no pending restart"
    )


@pytest.mark.server
def test_a_standby_starts_although_its_primary_has_more_connections(
    new_member: NewMember,
) -> None:
    """REPL-30: and says that it waits for a restart."""
    socket = {"unix_socket_directories": "/tmp"}
    primary = new_member.make(parameters={**socket, "max_connections": "130"})
    primary.do(START_PRIMARY, PostgresStarted)
    standby = new_member.copy(primary, "pg2", parameters=socket)

    standby.do(start_standby(primary), PostgresStarted)

    standby.observe_until(streams, "streamed")
    assert sql(standby.options, "SHOW max_connections") == [("130",)]
    assert standby.observe().pending_restart


def test_directories_that_the_server_expects_are_made(tmp_path: Path) -> None:
    """PG-16: however the parameter is written; a failure ends the start."""
    parameters = {
        "Unix_Socket_Directories": f'{tmp_path}/one, "{tmp_path}/two words", @abstract',
        "stats_temp_directory": "pg_stat_tmp",
    }
    options = options_for(tmp_path, parameters=parameters)
    make_directories(options)
    for name in ("one", "two words", "pg1/pg_stat_tmp"):
        assert (tmp_path / name).is_dir(), name

    (tmp_path / "file").touch()
    wrong = options_for(
        tmp_path, parameters={"unix_socket_directories": f"{tmp_path}/file/below"}
    )
    with pytest.raises(OperationError, match="file"):
        make_directories(wrong)
