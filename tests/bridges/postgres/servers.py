"""Real PostgreSQL servers for tests: options, data directories, connections."""

import dataclasses
import socket
import subprocess
from pathlib import Path
from typing import Any

from regnal.bridges.postgres.options import Credentials, PostgresOptions

BIN_DIR = Path("/usr/lib/postgresql/15/bin")
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
