"""New clusters on real servers: initdb, custom methods, accounts, hooks."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from regnal.bridges.postgres.data_directory import examine
from regnal.messages.postgres import (
    CancelOperation,
    DatabaseInitialised,
    InitialiseDatabase,
    OperationCancelled,
    OperationFailed,
)
from tests.bridges.postgres.recorder import Driven
from tests.bridges.postgres.servers import (
    BIN_DIR,
    REPLICATION,
    REWIND,
    SUPERUSER,
    free_port,
    options_for,
    sql,
)

pytestmark = pytest.mark.server

CREATE = InitialiseDatabase()
INITDB = [{"encoding": "UTF8"}, {"locale": "C"}, "no-sync", "data-checksums"]
HAS_CONTRIB = (BIN_DIR.parent / "lib" / "pg_stat_statements.so").exists()
NewCluster = Callable[..., Driven]


@pytest.fixture
def new_cluster(playground: Path) -> Iterator[NewCluster]:
    """Makes members without data, whose `bootstrap` section is given."""
    made: list[Driven] = []

    def make(bootstrap: dict[str, Any], name: str = "pg1", **changes: Any) -> Driven:
        options = options_for(
            playground, name, bootstrap={"initdb": INITDB, **bootstrap}, **changes
        )
        made.append(Driven(options))
        return made[-1]

    yield make
    for member in made:
        member.close()


def script(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\nset -eu\n{text}\n")
    path.chmod(0o755)
    return str(path)


def settings(member: Driven, *names: str) -> list[str]:
    return [sql(member.options, f"SHOW {name}")[0][0] for name in names]


def server_log(capfd: pytest.CaptureFixture[str]) -> str:
    return capfd.readouterr().err


def test_a_new_cluster_runs_as_primary_with_our_settings(
    new_cluster: NewCluster,
) -> None:
    """BOOT-02, CFG-24, CFG-30, PG-19, P-CFG-22."""
    member = new_cluster({}, parameters={"work_mem": "7MB", "max_connections": "60"})

    done = member.do(CREATE, DatabaseInitialised)

    status = member.observe()
    assert status.is_primary
    assert status.system_identifier == done.system_identifier
    assert not status.pending_restart
    assert settings(
        member, "data_checksums", "work_mem", "max_connections", "wal_log_hints"
    ) == ["on", "7MB", "60", "on"]
    assert settings(member, "cluster_name", "server_encoding") == ["demo", "UTF8"]


def test_accounts_exist_and_need_their_passwords(new_cluster: NewCluster) -> None:
    """BOOT-16: superuser, replication and rewind user, by SCRAM over TCP."""
    member = new_cluster({})

    member.do(CREATE, DatabaseInitialised)

    roles = sql(
        member.options,
        "SELECT rolname, rolsuper, rolreplication, rolcanlogin FROM pg_roles"
        " WHERE rolname !~ '^pg_' ORDER BY rolname",
    )
    assert roles == [
        (SUPERUSER.username, True, True, True),
        (REPLICATION.username, False, True, True),
        (REWIND.username, False, False, True),
    ]
    granted = sql(
        member.options,
        f"SELECT count(*) FROM pg_proc WHERE proname IN ('pg_ls_dir', 'pg_stat_file',"
        f" 'pg_read_binary_file') AND has_function_privilege('{REWIND.username}', oid,"
        " 'EXECUTE')",
    )
    assert granted == [(4,)]
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(
            host="127.0.0.1",
            port=member.options.port,
            user=REPLICATION.username,
            password="wrong",
            dbname="postgres",
        )


def test_no_password_reaches_the_servers_log(
    new_cluster: NewCluster, capfd: pytest.CaptureFixture[str]
) -> None:
    """BOOT-17, P-PG-02, P-PG-03: not even where every statement is logged."""
    member = new_cluster(
        {"users": {"legacy": {"password": "50% of a'b\\c", "options": ["CREATEDB"]}}},
        parameters={
            "log_statement": "all",
            "log_min_duration_statement": 0,
            "log_min_messages": "debug1",
            "shared_preload_libraries": "pg_stat_statements" if HAS_CONTRIB else "",
        },
    )

    member.do(CREATE, DatabaseInitialised)

    log = server_log(capfd)
    assert "SHOW" in log or "statement:" in log
    for secret in (SUPERUSER, REPLICATION, REWIND):
        assert str(secret.password) not in log
    assert "50%" not in log
    session = psycopg2.connect(
        host="127.0.0.1",
        port=member.options.port,
        user="legacy",
        password="50% of a'b\\c",
        dbname="postgres",
    )
    session.close()


def test_lines_of_bootstrap_pg_hba_are_added_to_the_file_of_initdb(
    new_cluster: NewCluster,
) -> None:
    """BOOT-02, contracts 6.6: only where postgresql.pg_hba does not replace it."""
    line = "host all somebody 192.0.2.1/32 reject"
    member = new_cluster({"pg_hba": [line]}, pg_hba=None)

    member.do(CREATE, DatabaseInitialised)

    text = (member.options.data_dir / "pg_hba.conf").read_text()
    assert text.endswith(f"{line}\n")
    assert "127.0.0.1/32" in text


def test_postgresql_pg_hba_wins_over_that_of_bootstrap(new_cluster: NewCluster) -> None:
    """CFG-35."""
    member = new_cluster({"pg_hba": ["host all other 192.0.2.1/32 reject"]})

    member.do(CREATE, DatabaseInitialised)

    text = (member.options.data_dir / "pg_hba.conf").read_text()
    assert "192.0.2.1" not in text
    assert "scram-sha-256" in text


def test_an_option_that_would_break_initdb_is_refused(new_cluster: NewCluster) -> None:
    """P-CFG-23, contracts 6.4: in every notation."""
    member = new_cluster({"initdb": {"pgdata": "/tmp/elsewhere"}})

    outcome = member.do(CREATE, OperationFailed)

    assert "pgdata" in str(outcome.reason)
    assert examine(member.options) in ("missing", "empty")


def test_the_hook_gets_a_connection_string_without_a_password(
    new_cluster: NewCluster, playground: Path
) -> None:
    """BOOT-13, BOOT-14, contracts 8.5: and can connect with it."""
    hook = script(
        playground,
        "hook",
        f'echo "$#|$1|$PGOPTIONS" > {playground}/said\n'
        f'{BIN_DIR}/psql "$1" -Atc "SHOW synchronous_commit" >> {playground}/said\n'
        f'{BIN_DIR}/psql "$1" -c "CREATE TABLE made_by_hook()"',
    )
    member = new_cluster({"post_bootstrap": hook})

    member.do(CREATE, DatabaseInitialised)

    first, second = (playground / "said").read_text().splitlines()
    count, dsn, environment = first.split("|")
    assert count == "1"
    assert str(SUPERUSER.password) not in dsn
    assert f"user={SUPERUSER.username}" in dsn
    assert environment == "-c synchronous_commit=local -c statement_timeout=0"
    assert second == "local"
    assert sql(member.options, "SELECT to_regclass('made_by_hook') IS NOT NULL") == [
        (True,)
    ]
    mode = stat.S_IMODE(member.options.pgpass.stat().st_mode)
    assert mode == 0o600


def test_a_failing_hook_fails_the_bootstrap_and_stops_the_server(
    new_cluster: NewCluster, playground: Path
) -> None:
    """BOOT-13, BOOT-19; the older name of the option works too."""
    hook = script(playground, "hook", "echo went wrong; exit 3")
    member = new_cluster({"post_init": hook})

    outcome = member.do(CREATE, OperationFailed)

    assert "status 3" in str(outcome.reason)
    assert "went wrong" in outcome.output
    assert member.observe().process == "absent"


def test_a_bootstrap_can_be_cancelled_at_any_time(
    new_cluster: NewCluster, playground: Path
) -> None:
    """BOOT-30: the hook hangs; the server ends with it."""
    hook = script(playground, "hook", f"touch {playground}/began; exec sleep 600")
    member = new_cluster({"post_bootstrap": hook})
    order = member.order(CREATE)
    member.wait_until((playground / "began").exists)

    member.order(CancelOperation(reason="somebody wants to stop"))

    assert isinstance(member.answer_to(order), OperationCancelled)
    assert member.observe().process == "absent"


def test_data_that_are_there_are_never_overwritten(
    new_cluster: NewCluster, template: Path
) -> None:
    """BOOT-22: of a valid directory as well as of an invalid one."""
    member = new_cluster({})
    shutil.copytree(template, member.options.data_dir)

    member.do(CREATE, OperationFailed)

    assert (member.options.data_dir / "global" / "pg_control").exists()


# Custom methods.  "Restoring" is copying a cold copy of another cluster, whose
# superuser has another password than ours.


@pytest.fixture
def backup(playground: Path) -> Path:
    """A cold copy of somebody's cluster, with its WAL archived elsewhere."""
    data_dir, archive = playground / "backup", playground / "archive"
    archive.mkdir()
    run(f"{BIN_DIR}/initdb", "-D", str(data_dir), "-U", "postgres", "-A", "trust", "-N")
    port = free_port()
    (data_dir / "postgresql.auto.conf").write_text(
        f"archive_mode = on\narchive_command = 'cp %p {archive}/%f'\n"
        f"unix_socket_directories = '{playground}'\nport = {port}\n"
        "listen_addresses = ''\nmax_connections = 300\nfsync = off\n"
    )
    pg_ctl = (f"{BIN_DIR}/pg_ctl", "-D", str(data_dir), "-w")
    run(*pg_ctl, "-l", str(playground / "backup.log"), "start")
    psql = (f"{BIN_DIR}/psql", "-h", str(playground), "-p", port, "-U", "postgres")
    run(*psql, "-c", "CREATE USER postgres_friend")
    copy = playground / "base"
    run(
        f"{BIN_DIR}/pg_basebackup",
        *("-D", str(copy), "-h", str(playground), "-p", port, "-U", "postgres"),
        *("-X", "none", "-c", "fast"),
    )
    run(*psql, "-c", "CREATE TABLE restored AS SELECT 42 AS answer")
    run(*psql, "-c", "SELECT pg_switch_wal()")
    run(*pg_ctl, "-m", "fast", "stop")
    (copy / "postgresql.auto.conf").write_text("")
    return copy


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, timeout=120)


def test_a_custom_method_replaces_initdb(
    new_cluster: NewCluster, playground: Path, template: Path
) -> None:
    """BOOT-03, BOOT-09, BOOT-10, P-CFG-21: arguments, unknown passwords, hba."""
    method = script(
        playground,
        "restore",
        f'echo "$*" > {playground}/said\ncp -a {template}/. "${{2#--datadir=}}"',
    )
    line = "host all somebody 192.0.2.1/32 reject"
    member = new_cluster(
        {
            "method": "mine",
            "mine": {"command": method, "level": "5"},
            "pg_hba": [line],
        },
        pg_hba=None,
    )

    member.do(CREATE, DatabaseInitialised)

    assert (playground / "said").read_text().split() == [
        "--scope=demo",
        f"--datadir={member.options.data_dir}",
        "--level=5",
    ]
    text = (member.options.data_dir / "pg_hba.conf").read_text()
    assert text.endswith(f"{line}\n")
    assert "samehost trust" not in text
    status = member.observe()
    assert status.is_primary
    assert not status.pending_restart


def test_a_custom_method_may_take_no_arguments(
    new_cluster: NewCluster, playground: Path, template: Path
) -> None:
    """BOOT-04, BOOT-11, BOOT-12: and leave neither pg_hba.conf nor pg_ident.conf."""
    target = playground / "pg1"
    method = script(
        playground,
        "restore",
        f'echo "$#" > {playground}/said\ncp -a {template}/. {target}\n'
        f"rm {target}/pg_hba.conf {target}/pg_ident.conf",
    )
    member = new_cluster(
        {"method": "mine", "mine": {"command": method, "no_params": True}}, pg_hba=None
    )

    member.do(CREATE, DatabaseInitialised)

    assert (playground / "said").read_text() == "0\n"
    assert (target / "pg_ident.conf").exists()
    assert "trust" not in (target / "pg_hba.conf").read_text()


def test_a_custom_method_that_fails_fails_the_bootstrap(
    new_cluster: NewCluster, playground: Path
) -> None:
    """BOOT-19."""
    method = script(playground, "restore", "echo no backup; exit 7")
    member = new_cluster({"method": "mine", "mine": {"command": method}})

    outcome = member.do(CREATE, OperationFailed)

    assert "status 7" in str(outcome.reason)
    assert "no backup" in outcome.output


def test_a_custom_method_must_leave_a_data_directory(new_cluster: NewCluster) -> None:
    member = new_cluster({"method": "mine", "mine": {"command": "true"}})

    outcome = member.do(CREATE, OperationFailed)

    assert outcome.reason.code == "DATA_DIRECTORY_INVALID"


def test_a_cluster_is_recovered_from_a_backup_and_its_archive(
    new_cluster: NewCluster, playground: Path, backup: Path
) -> None:
    """BOOT-05, BOOT-07, BOOT-08, P-CFG-24: the backup had more connections than we
    want; the settings are the normal ones in the end, and no restart is pending."""
    archive = playground / "own-archive"
    archive.mkdir()
    hook = script(playground, "hook", f"ls {archive} | wc -l > {playground}/archived")
    method = script(playground, "restore", f"cp -a {backup}/. {playground}/pg1")
    member = new_cluster(
        {
            "method": "pitr",
            "pitr": {
                "command": method,
                "recovery_conf": {
                    "restore_command": f"cp {playground}/archive/%f %p",
                    "recovery_target_timeline": "latest",
                },
            },
            "post_bootstrap": hook,
        },
        parameters={
            "unix_socket_directories": str(playground),
            "max_connections": 50,
            "archive_mode": "on",
            "archive_command": f"cp %p {archive}/%f",
        },
    )

    member.do(CREATE, DatabaseInitialised)

    assert sql(member.options, "SELECT answer FROM restored") == [(42,)]
    assert settings(member, "hot_standby", "max_connections") == ["on", "50"]
    status = member.observe()
    assert status.timeline == 2
    assert not status.pending_restart
    assert not (member.options.data_dir / "recovery.signal").exists()
    # Nothing was archived until the cluster was complete; then all of it is.
    assert (playground / "archived").read_text().strip() == "0"
    member.wait_until((archive / "00000002.history").exists)
    assert (
        "restore_command"
        not in (member.options.data_dir / "postgresql.conf").read_text()
    )


def test_the_recovery_that_a_method_prepared_itself_can_be_kept(
    new_cluster: NewCluster, playground: Path, backup: Path
) -> None:
    """BOOT-06: settings in postgresql.auto.conf, as pgBackRest writes them."""
    target = playground / "pg1"
    method = script(
        playground,
        "restore",
        f"cp -a {backup}/. {target}\ntouch {target}/recovery.signal\n"
        f"echo \"restore_command = 'cp {playground}/archive/%f %p'\""
        f" >> {target}/postgresql.auto.conf",
    )
    member = new_cluster(
        {
            "method": "mine",
            "mine": {"command": method, "keep_existing_recovery_conf": True},
        }
    )

    member.do(CREATE, DatabaseInitialised)

    assert sql(member.options, "SELECT answer FROM restored") == [(42,)]
    assert settings(member, "hot_standby") == ["on"]
    assert "restore_command" not in (target / "postgresql.auto.conf").read_text()


def test_a_recovery_left_by_a_method_is_removed(
    new_cluster: NewCluster, playground: Path, template: Path
) -> None:
    """BOOT-06: unless it is to be kept; the server starts once, and normally."""
    target = playground / "pg1"
    method = script(
        playground,
        "restore",
        f"cp -a {template}/. {target}\ntouch {target}/standby.signal",
    )
    member = new_cluster({"method": "mine", "mine": {"command": method}})

    member.do(CREATE, DatabaseInitialised)

    status = member.observe()
    assert status.is_primary
    assert status.timeline == 1


def test_the_superuser_may_be_configured_without_name_and_password(
    playground: Path, new_cluster: NewCluster
) -> None:
    """CFG-38, BOOT-15: libpq's defaults serve, and the hook is called."""
    if os.environ.get("HOME") != "/var/lib/postgresql":
        pytest.skip("libpq's default must be the user postgres")
    hook = script(playground, "hook", f"touch {playground}/called")
    nobody = type(SUPERUSER)()
    member = new_cluster(
        {"post_bootstrap": hook},
        superuser=nobody,
        rewind=nobody,
        replication=type(SUPERUSER)("replicator"),
        use_unix_socket=True,
        pg_hba=("local all all trust", "host all all 127.0.0.1/32 trust"),
    )

    member.do(CREATE, DatabaseInitialised)

    assert (playground / "called").exists()
    assert not member.options.pgpass.exists()
