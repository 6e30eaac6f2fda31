"""Real PostgreSQL servers for tests: options, data directories, connections."""

import dataclasses
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import psycopg2

from regnal.bridges.postgres.options import Credentials, PostgresOptions

BIN_DIR = Path(os.environ.get("POSTGRES_BIN_DIR", "/usr/lib/postgresql/15/bin"))
"""Set the variable to run the same tests against another version."""

SUPERUSER = Credentials("postgres", "secret-of-superuser")
REPLICATION = Credentials("replicator", "secret-of-replicator")
REWIND = Credentials("rewinder", "secret-of-rewinder")

PG_HBA = (
    "local all all trust",
    "host all all 127.0.0.1/32 scram-sha-256",
    "host replication all 127.0.0.1/32 scram-sha-256",
    "local replication all trust",
)


def free_port() -> str:
    """A TCP port of the loopback that nobody uses now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def options_for(folder: Path, name: str = "pg1", **changes: Any) -> PostgresOptions:
    """What a member called `name`, living in `folder`, would be configured with."""
    port = free_port()
    data_dir = folder / name
    plain = PostgresOptions(
        name=name,
        scope="demo",
        data_dir=data_dir,
        config_dir=data_dir,
        config_base_name="postgresql",
        bin_dir=BIN_DIR,
        bin_names={},
        listen_addresses="127.0.0.1",
        port=port,
        connect_host="127.0.0.1",
        connect_port=port,
        database="postgres",
        pgpass=folder / f"{name}.pgpass",
        superuser=SUPERUSER,
        replication=REPLICATION,
        rewind=REWIND,
        use_unix_socket=False,
        use_unix_socket_repl=False,
        parameters={"unix_socket_directories": str(folder), "shared_buffers": "16MB"},
        pg_hba=PG_HBA,
        pg_ident=None,
        recovery_conf={},
        custom_conf=None,
        pg_ctl_timeout=60.0,
        use_pg_rewind=True,
        use_slots=True,
        create_replica_methods=("basebackup",),
        replica_methods={},
        callbacks={},
        pre_promote=None,
        before_stop=None,
        krbsrvname=None,
        bootstrap={},
        remote=None,
        synchronous_mode=False,
    )
    return dataclasses.replace(plain, **changes)


def initdb(data_dir: Path) -> None:
    """Make a data directory whose superuser has the password of SUPERUSER."""
    password_file = data_dir.with_suffix(".password")
    password_file.write_text(f"{SUPERUSER.password}\n")
    subprocess.run(
        [
            BIN_DIR / "initdb",
            f"--pgdata={data_dir}",
            f"--username={SUPERUSER.username}",
            f"--pwfile={password_file}",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    password_file.unlink()


def connect(options: PostgresOptions, database: str = "postgres") -> Any:
    """A superuser's session at the server, in autocommit."""
    session = psycopg2.connect(
        host="127.0.0.1",
        port=options.port,
        user=SUPERUSER.username,
        password=SUPERUSER.password,
        dbname=database,
        connect_timeout=10,
    )
    session.autocommit = True
    return session


def sql(options: PostgresOptions, *statements: str) -> list[tuple[Any, ...]]:
    """Run the statements and return the rows of the last one, if it has any."""
    session = connect(options)
    try:
        with session.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        session.close()


def create_accounts(data_dir: Path) -> None:
    """The users that the options name, as far as initdb has not made them."""
    statements = [
        f"CREATE USER {REPLICATION.username} PASSWORD '{REPLICATION.password}'",
        f"ALTER USER {REPLICATION.username} REPLICATION",
        f"CREATE USER {REWIND.username} PASSWORD '{REWIND.password}'",
        *(
            f"GRANT EXECUTE ON FUNCTION {function} TO {REWIND.username}"
            for function in (
                "pg_ls_dir(text, boolean, boolean)",
                "pg_stat_file(text, boolean)",
                "pg_read_binary_file(text)",
                "pg_read_binary_file(text, bigint, bigint, boolean)",
            )
        ),
    ]
    subprocess.run(
        [BIN_DIR / "postgres", "--single", "-F", "-D", data_dir, "postgres"],
        input="".join(f"{statement}\n" for statement in statements).encode(),
        check=True,
        capture_output=True,
        timeout=120,
    )


def base_backup(source: PostgresOptions, target: PostgresOptions) -> None:
    """Make the target's data directory a copy of the running source's."""
    subprocess.run(
        [
            BIN_DIR / "pg_basebackup",
            f"--pgdata={target.data_dir}",
            "--host=127.0.0.1",
            f"--port={source.port}",
            f"--username={SUPERUSER.username}",
            "--checkpoint=fast",
            "--wal-method=stream",
            "--no-sync",
        ],
        check=True,
        capture_output=True,
        timeout=120,
        env={"PGPASSWORD": str(SUPERUSER.password)},
    )
