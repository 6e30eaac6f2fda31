"""New replicas on real servers: base backup and methods of one's own."""

import dataclasses
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from regnal.bridges.postgres.data_directory import examine
from regnal.bridges.postgres.options import RemoteSource
from regnal.messages.postgres import (
    CancelOperation,
    ClonePostgres,
    OperationCancelled,
    OperationFailed,
    OperationProgressed,
    PostgresCloned,
    PostgresStarted,
    StartPostgres,
    Upstream,
)
from tests.bridges.postgres.recorder import (
    Driven,
    start_standby,
    streams,
    upstream_of,
)
from tests.bridges.postgres.servers import BIN_DIR, REPLICATION, options_for, sql
from tests.bridges.postgres.test_bootstrap import script

pytestmark = pytest.mark.server

NewReplica = Callable[..., Driven]


@pytest.fixture
def new_replica(playground: Path) -> Iterator[NewReplica]:
    """Makes members without data; `methods` maps each method to its section."""
    made: list[Driven] = []

    def make(methods: dict[str, Any] | None = None, **changes: Any) -> Driven:
        methods = methods or {"basebackup": {}}
        options = options_for(
            playground,
            "pg2",
            **{
                "create_replica_methods": tuple(methods),
                "replica_methods": methods,
                **changes,
            },
        )
        made.append(Driven(options))
        return made[-1]

    yield make
    for member in made:
        member.close()


def from_primary(primary: Driven, *, remote: bool = False) -> ClonePostgres:
    return ClonePostgres(source=upstream_of(primary), remote=remote)


def copying_method(playground: Path, primary: Driven) -> str:
    """A script that notes how it was called, and makes a replica."""
    return script(
        playground,
        "method",
        f'for word; do echo "$word" >> {playground}/said; done\n'
        f"{BIN_DIR}/pg_basebackup -D {playground}/pg2 -X stream -c fast"
        f" -h 127.0.0.1 -p {primary.options.port} -U {REPLICATION.username} -w",
    )


def test_a_replica_is_cloned_and_streams(
    primary: Driven, new_replica: NewReplica
) -> None:
    """REPL-01, REPL-06, REPL-14, REPL-15, SEC-05: by its passfile, by TCP."""
    sql(primary.options, "CREATE TABLE before AS SELECT 1 AS one")
    replica = new_replica()

    done = replica.do(from_primary(primary), PostgresCloned)
    replica.do(start_standby(primary), PostgresStarted)
    replica.observe_until(streams, "streamed")

    assert done.method == "basebackup"
    sql(primary.options, "CREATE TABLE later AS SELECT 2 AS two")
    replica.wait_until(
        lambda: (
            sql(replica.options, "SELECT to_regclass('later') IS NOT NULL") == [(True,)]
        )
    )
    senders = primary.observe().senders
    assert [sender.application_name for sender in senders] == ["pg2"]
    conf = (replica.options.data_dir / "postgresql.conf").read_text()
    assert str(REPLICATION.password) not in conf
    assert f"passfile={replica.options.pgpass}" in conf


def test_a_clone_tells_how_far_it_is(primary: Driven, new_replica: NewReplica) -> None:
    replica = new_replica()

    replica.do(from_primary(primary), PostgresCloned)

    told = [
        said.message
        for said in replica.voice.said
        if isinstance(said.message, OperationProgressed)
    ]
    assert told
    assert told[-1].total is not None
    assert 0 < told[-1].done <= told[-1].total * 1.1


def test_a_clone_replaces_what_is_in_the_data_directory(
    primary: Driven, new_replica: NewReplica
) -> None:
    """REPL-06: and the directory is as private as the server wants it."""
    replica = new_replica()
    data_dir = replica.options.data_dir
    data_dir.mkdir(mode=0o755)
    (data_dir / "rubbish").write_text("rubbish")

    replica.do(from_primary(primary), PostgresCloned)

    assert not (data_dir / "rubbish").exists()
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_options_that_would_break_a_base_backup_are_passed_over(
    primary: Driven, new_replica: NewReplica, playground: Path
) -> None:
    """REPL-07, P-CFG-23: in a list as well."""
    section = [{"pgdata": f"{playground}/elsewhere"}, {"max-rate": "100M"}, "gzip"]
    replica = new_replica({"basebackup": section})

    replica.do(from_primary(primary), PostgresCloned)

    assert not (playground / "elsewhere").exists()


def test_a_base_backup_is_tried_twice_then_the_next_method(
    primary: Driven, new_replica: NewReplica, playground: Path
) -> None:
    """REPL-01, REPL-06: five seconds lie between the attempts."""
    counting = script(
        playground, "pg_basebackup", f"echo again >> {playground}/attempts; exit 1"
    )
    method = copying_method(playground, primary)
    replica = new_replica(
        {"basebackup": {}, "mine": {"command": method}},
        bin_names={"pg_basebackup": counting},
    )

    done = replica.do(from_primary(primary), PostgresCloned)

    assert done.method == "mine"
    assert (playground / "attempts").read_text().count("again") == 2


def test_a_custom_method_hears_where_from_and_where_to(
    primary: Driven, new_replica: NewReplica, playground: Path
) -> None:
    """REPL-02, REPL-08, contracts 8.3: the password comes by PGPASSFILE."""
    method = copying_method(playground, primary)
    credentials = dataclasses.replace(
        REPLICATION, connection_parameters={"sslmode": "disable"}
    )
    replica = new_replica(
        {"mine": {"command": method, "level": 5, "no_leader": 1}},
        replication=credentials,
    )

    replica.do(from_primary(primary), PostgresCloned)

    said = (playground / "said").read_text().splitlines()
    assert said[:2] == ["--level=5", "--no_leader=1"]
    assert said[2:5] == [
        "--scope=demo",
        "--role=replica",
        f"--datadir={replica.options.data_dir}",
    ]
    connstring = said[5].removeprefix("--connstring=")
    assert f"port={primary.options.port}" in connstring
    assert "sslmode=disable" in connstring
    assert str(REPLICATION.password) not in connstring


def test_a_method_may_take_its_own_arguments_only_and_keep_data(
    primary: Driven, new_replica: NewReplica, playground: Path
) -> None:
    """REPL-04, REPL-05: as pgBackRest with --delta is called."""
    target = playground / "pg2"
    method = script(
        playground,
        "method",
        f'echo "$*" > {playground}/said\nls {target} > {playground}/found; exit 1',
    )
    replica = new_replica(
        {
            "pgbackrest": {
                "command": f"{method} --stanza=demo --delta restore",
                "keep_data": True,
                "no_params": True,
            }
        }
    )
    target.mkdir(mode=0o700)
    (target / "kept").write_text("kept")

    replica.do(from_primary(primary), OperationFailed)

    assert (playground / "said").read_text() == "--stanza=demo --delta restore\n"
    assert (playground / "found").read_text() == "kept\n"
    assert (target / "kept").exists()  # also after the failure


def test_without_a_source_only_methods_that_need_none_are_used(
    primary: Driven, new_replica: NewReplica, playground: Path
) -> None:
    """REPL-03: --connstring is empty then."""
    method = copying_method(playground, primary)
    # Where there is no source, this method must know a password by itself.
    passfile = playground / "own"
    passfile.write_text(f"*:*:*:*:{REPLICATION.password}\n")
    passfile.chmod(0o600)
    section = {"command": f"env PGPASSFILE={passfile} {method}", "no_master": True}
    replica = new_replica({"basebackup": {}, "mine": section})

    done = replica.do(ClonePostgres(source=None), PostgresCloned)

    assert done.method == "mine"
    assert "--connstring=" in (playground / "said").read_text().splitlines()


def test_without_a_source_and_such_a_method_nothing_is_touched(
    new_replica: NewReplica,
) -> None:
    replica = new_replica()
    replica.options.data_dir.mkdir(mode=0o700)
    (replica.options.data_dir / "kept").write_text("kept")

    outcome = replica.do(ClonePostgres(source=None), OperationFailed)

    assert outcome.reason.code == "NO_REPLICA_METHOD"
    assert (replica.options.data_dir / "kept").exists()


def test_what_a_failed_method_left_is_removed(
    primary: Driven, new_replica: NewReplica, playground: Path
) -> None:
    """REPL-01: so that nobody takes half a copy for data."""
    target = playground / "pg2"
    method = script(playground, "method", f"touch {target}/PG_VERSION; exit 1")
    replica = new_replica({"mine": {"command": method}})

    replica.do(from_primary(primary), OperationFailed)

    assert examine(replica.options) == "empty"


def test_a_clone_can_be_cancelled(
    primary: Driven, new_replica: NewReplica, playground: Path
) -> None:
    """BOOT-30: the program is killed, half a copy removed."""
    target = playground / "pg2"
    method = script(playground, "method", f"touch {target}/PG_VERSION; exec sleep 600")
    replica = new_replica({"mine": {"command": method}})
    order = replica.order(from_primary(primary))
    replica.wait_until((target / "PG_VERSION").exists)

    replica.order(CancelOperation(reason="somebody wants to stop"))

    assert isinstance(replica.answer_to(order), OperationCancelled)
    assert examine(replica.options) == "empty"


def test_a_standby_cluster_has_methods_of_its_own(
    primary: Driven, new_replica: NewReplica, playground: Path
) -> None:
    """SBY-05: and does not keep the other cluster's dynamic configuration."""
    (primary.options.data_dir / "patroni.dynamic.json").write_text("{}")
    replica = new_replica(
        {"mine": {"command": "false"}}, remote=RemoteSource(host="127.0.0.1")
    )

    done = replica.do(from_primary(primary, remote=True), PostgresCloned)

    assert done.method == "basebackup"
    assert not (replica.options.data_dir / "patroni.dynamic.json").exists()


def test_the_remote_cluster_may_have_several_hosts(
    primary: Driven, new_replica: NewReplica
) -> None:
    """P-SBY-01: the one that takes writes is found, each has its line of passfile."""
    port = primary.options.port
    source = Upstream(
        member=None, host="127.0.0.1,127.0.0.1", port=port, slot=None, is_leader=True
    )
    replica = new_replica(remote=RemoteSource(host=source.host, port=port))

    replica.do(ClonePostgres(source=source, remote=True), PostgresCloned)

    conninfo = "target_session_attrs=read-write"
    replica.do(
        StartPostgres(role="standby", upstream=source, timeout=60.0), PostgresStarted
    )
    replica.observe_until(streams, "streamed")
    assert conninfo in (replica.options.data_dir / "postgresql.conf").read_text()
