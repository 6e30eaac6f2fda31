"""`regnal generate-sample-config`: a configuration to start from (P-CFG-04)."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import yaml

from regnal.configuration.environment import take_environment
from regnal.configuration.layouts import modernise_local
from regnal.configuration.problems import ConfigurationError
from regnal.configuration.schema_stores import STORES
from regnal.configuration.tree import Tree, overlay

_HEADER = """\
# A sample: what must be changed says so.  Every option is described in docs/contracts.md 6;
# `regnal validate-config FILE` checks what you make of it.
"""
_CHANGE = "change-me"


@click.command("generate-sample-config")
@click.argument("file", required=False, type=click.Path(path_type=Path))
def generate_sample_config_command(file: Path | None) -> None:
    """Write a sample configuration to FILE, or to standard output.

    Variables that are set (PATRONI_*) are worked in.
    """
    text = _HEADER + yaml.safe_dump(sample(), sort_keys=False)
    if file is None:
        click.echo(text, nl=False)
        return
    try:
        # Passwords will be in it.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from error


def sample(environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The configuration; `environ` is that of the process by default."""
    host = socket.gethostname()
    tree = Tree(_document(host))
    try:
        above, _ = take_environment(dict(os.environ if environ is None else environ))
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    if any(name in above.data for name in STORES):
        tree.drop(("etcd3",))
    merged = overlay(tree, above)
    modernise_local(merged)
    return merged.data


def _document(host: str) -> dict[str, Any]:
    return {
        "scope": "demo",
        "name": host,
        "restapi": {"listen": "0.0.0.0:8008", "connect_address": f"{host}:8008"},
        "etcd3": {"host": "127.0.0.1:2379"},
        "bootstrap": {
            "dcs": {
                "ttl": 30,
                "loop_wait": 10,
                "retry_timeout": 10,
                "maximum_lag_on_failover": 1048576,
                "postgresql": {"use_pg_rewind": True, "use_slots": True},
            },
            "initdb": [{"encoding": "UTF8"}, "data-checksums"],
        },
        "postgresql": {
            "listen": "0.0.0.0:5432",
            "connect_address": f"{host}:5432",
            "data_dir": "/var/lib/postgresql/data",
            "bin_dir": "",
            "authentication": {
                name: {"username": username, "password": _CHANGE}
                for name, username in (
                    ("superuser", "postgres"),
                    ("replication", "replicator"),
                    ("rewind", "rewind_user"),
                )
            },
            "pg_hba": [
                "local all all peer",
                "host replication replicator all scram-sha-256",
                "host all all all scram-sha-256",
            ],
        },
        "tags": {"nofailover": False, "noloadbalance": False, "clonefrom": False},
    }
