"""From the configuration to the options of the bridges."""

import json
from pathlib import Path
from typing import Any

import pytest

from regnal.bridges.http.options import BasicCredentials, ServerCertificate
from regnal.bridges.postgres.options import Credentials, RemoteSource
from regnal.configuration.local import LocalSource
from regnal.configuration.source import Effective
from regnal.journal.options import DAY, JournalOptions
from regnal.runtime.options import (
    ctl_options,
    dcs_options,
    journal_options,
    postgres_options,
    rest_options,
)
from tests.regnal.configuration.builders import document, loaded, source

FULL: dict[str, Any] = {
    "listen": "10.0.0.1,[::1]:5433",
    "connect_address": "10.0.0.1:5434",
    "config_dir": "/etc/pg",
    "config_base_name": "pg",
    "bin_dir": "/usr/lib/postgresql/15/bin",
    "bin_name": {"pg_ctl": "my_ctl"},
    "database": "ops",
    "pgpass": "/run/pgpass",
    "use_unix_socket": True,
    "use_unix_socket_repl": "yes",
    "authentication": {
        "superuser": {"username": "s", "password": "1", "sslmode": "require"},
        "replication": {"username": "r", "password": "2", "sslpassword": "3"},
        "rewind": {"username": "w"},
    },
    "parameters": {"work_mem": "8MB"},
    "pg_hba": ["local all all trust"],
    "pg_ident": ["m a b"],
    "recovery_conf": {"restore_command": "cp"},
    "custom_conf": "/etc/pg/custom.conf",
    "pg_ctl_timeout": 33,
    "use_pg_rewind": True,
    "create_replica_methods": ["barman", "basebackup"],
    "barman": {"command": "restore", "keep_data": True, "x": 1},
    "unused": {"command": "other"},
    "basebackup": [{"max-rate": "10M"}],
    "callbacks": {"on_start": "/cb"},
    "pre_promote": "/pp",
    "before_stop": "/bs",
    "krbsrvname": "pg",
}


def test_everything_of_postgresql_arrives(tmp_path: Path) -> None:
    """CFG-31 to CFG-34, P-CFG-05, P-CFG-07, P-CFG-08"""
    options = postgres_options(
        loaded(document(postgresql=FULL), directory=tmp_path), malloc_arena_max="1"
    )
    assert options.data_dir == Path("/nowhere/data")
    assert options.config_dir == Path("/etc/pg")
    assert options.config_base_name == "pg"
    assert options.bin_dir == Path("/usr/lib/postgresql/15/bin")
    assert options.bin_names == {"pg_ctl": "my_ctl"}
    assert options.listen_addresses == "10.0.0.1,::1"
    assert (options.port, options.connect_port) == ("5433", "5434")
    assert options.connect_host == "10.0.0.1"
    assert options.database == "ops"
    assert options.pgpass == Path("/run/pgpass")
    assert options.superuser == Credentials("s", "1", {"sslmode": "require"})
    assert options.replication == Credentials("r", "2", {"sslpassword": "3"})
    assert options.rewind == Credentials("w", None, {})
    assert options.use_unix_socket
    assert options.use_unix_socket_repl
    assert options.parameters == {"work_mem": "8MB"}
    assert options.pg_hba == ("local all all trust",)
    assert options.pg_ident == ("m a b",)
    assert options.recovery_conf == {"restore_command": "cp"}
    assert options.custom_conf == "/etc/pg/custom.conf"
    assert options.pg_ctl_timeout == 33
    assert options.use_pg_rewind
    assert options.use_slots
    assert options.create_replica_methods == ("barman", "basebackup")
    assert options.replica_methods == {
        "barman": {"command": "restore", "keep_data": True, "x": 1},
        "basebackup": [{"max-rate": "10M"}],
    }
    assert options.callbacks == {"on_start": "/cb"}
    assert (options.pre_promote, options.before_stop) == ("/pp", "/bs")
    assert options.krbsrvname == "pg"
    assert options.pg_malloc_arena_max == "1"


def test_what_nobody_wrote_has_its_default(tmp_path: Path) -> None:
    """CFG-32, CFG-33, CFG-38"""
    options = postgres_options(loaded(document(), directory=tmp_path))
    assert options.config_dir == options.data_dir
    assert options.bin_dir is None
    assert options.pgpass == Path.home() / "pgpass"
    assert options.superuser == Credentials()
    assert options.rewind == Credentials()
    assert options.pg_hba is None
    assert options.remote is None
    assert not options.synchronous_mode
    assert options.bootstrap == {}


def test_without_an_account_of_its_own_rewind_is_done_by_the_superuser(
    tmp_path: Path,
) -> None:
    superuser = {"username": "s", "password": "1"}
    cases: list[dict[str, Any]] = [{}, {"rewind": {}}]
    for rewind in cases:
        content = document(
            postgresql={"authentication": {"superuser": superuser, **rewind}}
        )
        options = postgres_options(loaded(content, directory=tmp_path))
        assert options.rewind == Credentials("s", "1", {})


@pytest.mark.parametrize(
    ("listen", "addresses"),
    [
        ("*:5432", "*"),
        (":5432", "*"),
        ("10.0.0.1,*:5432", "*"),
        ("0.0.0.0:5432", "0.0.0.0"),
        ("::1,10.0.0.1:5432", "::1,10.0.0.1"),
    ],
)
def test_listen_addresses_are_as_postgresql_wants_them(
    listen: str, addresses: str, tmp_path: Path
) -> None:
    """CFG-21"""
    content = document(postgresql={"listen": listen})
    options = postgres_options(loaded(content, directory=tmp_path))
    assert options.listen_addresses == addresses


@pytest.mark.parametrize(
    ("slots", "logical"),
    [
        ({}, False),
        ({"a": {"type": "physical"}, "b": None}, False),
        ({"a": {"type": "logical", "database": "d", "plugin": "p"}}, True),
    ],
)
def test_permanent_logical_slots_ask_for_feedback(
    slots: dict[str, Any], logical: bool, tmp_path: Path
) -> None:
    """Contracts 6.5: hot_standby_feedback."""
    configuration = source(document(), directory=tmp_path)
    configuration.load()
    effective = configuration.with_dynamic(json.dumps({"slots": slots}))
    assert postgres_options(effective).has_logical_slots == logical


def test_the_dynamic_configuration_arrives_too(tmp_path: Path) -> None:
    """CFG-05, CFG-40"""
    configuration = source(document(), directory=tmp_path)
    configuration.load()
    effective = configuration.with_dynamic(
        json.dumps(
            {
                "synchronous_mode": "quorum",
                "postgresql": {
                    "use_slots": False,
                    "parameters": {"max_connections": 50},
                    "seed": {"command": "x"},
                },
                "standby_cluster": {
                    "host": "a",
                    "port": 5432,
                    "create_replica_methods": ["seed"],
                },
            }
        )
    )
    options = postgres_options(effective)
    assert not options.use_slots
    assert options.synchronous_mode
    assert options.parameters == {"max_connections": 50}
    assert options.remote == RemoteSource(
        host="a", port="5432", create_replica_methods=("seed",)
    )
    assert options.replica_methods == {"seed": {"command": "x"}}


def test_no_password_shows_in_a_repr(tmp_path: Path) -> None:
    content = document(
        postgresql={"authentication": {"superuser": {"password": "hunter1"}}},
        restapi={
            "authentication": {"username": "u", "password": "hunter2"},
            "certfile": "/c",
            "keyfile_password": "hunter3",
        },
        ctl={"keyfile_password": "hunter4"},
    )
    effective = loaded(content, directory=tmp_path)
    text = f"{postgres_options(effective)} {rest_options(effective)} {ctl_options(effective)}"
    assert "hunter" not in text


def test_the_rest_api(tmp_path: Path) -> None:
    content = document(
        restapi={
            "listen": "*:8010",
            "connect_address": "[fe80::1]:8011",
            "certfile": "/cert",
            "keyfile": "/key",
            "cafile": "/ca",
            "verify_client": "optional",
            "ciphers": "HIGH",
            "authentication": {"username": "u", "password": "p"},
            "allowlist": "10.0.0.0/8, localhost",
            "allowlist_include_members": True,
            "http_extra_headers": {"A": 1},
            "server_tokens": "Minimal",
        }
    )
    effective = loaded(content, directory=tmp_path)
    options = rest_options(effective)
    assert (options.listen_host, options.listen_port) == ("", 8010)
    assert (options.connect_host, options.connect_port) == ("fe80::1", 8011)
    assert options.tls == ServerCertificate(
        Path("/cert"), Path("/key"), None, Path("/ca"), "HIGH", "optional"
    )
    assert options.credentials == BasicCredentials("u", "p")
    assert options.allowlist == ("10.0.0.0/8", "localhost")
    assert options.allowlist_include_members
    assert options.http_extra_headers == {"A": "1"}
    assert options.server_tokens == "minimal"
    client = ctl_options(effective)
    assert client.credentials == BasicCredentials("u", "p")
    assert client.cacert == Path("/ca")
    assert client.certfile is None  # that of the server is not the client's


def test_ctl_has_its_own_account(tmp_path: Path) -> None:
    content = document(
        restapi={"authentication": {"username": "u", "password": "p"}},
        ctl={
            "authentication": {"username": "c", "password": "q"},
            "insecure": "on",
            "cacert": "/own",
        },
    )
    client = ctl_options(loaded(content, directory=tmp_path))
    assert client.credentials == BasicCredentials("c", "q")
    assert client.insecure
    assert client.cacert == Path("/own")


def store(directory: Path, **sections: Any) -> Any:
    return dcs_options(loaded(document(**sections), directory=directory))


def test_the_store_and_where_in_it(tmp_path: Path) -> None:
    """DCS-01"""
    assert store(tmp_path) == (
        "etcd3",
        {"host": "127.0.0.1:2379", "protocol": "http", "use_proxies": False},
        "service",
        "demo",
    )
    assert store(tmp_path, namespace="/db/prod/").namespace == "db/prod"
    raft = store(
        tmp_path, etcd3=None, raft={"self_addr": "a:1", "partner_addrs": "b:1,c:1"}
    )
    assert raft.section == "raft"
    assert raft.options["partner_addrs"] == ["b:1", "c:1"]
    kubernetes = store(tmp_path, etcd3=None, kubernetes={"labels": {"a": "b"}})
    assert kubernetes.namespace == "default"


def test_a_tool_gets_the_defaults_of_the_store_too(tmp_path: Path) -> None:
    (tmp_path / "ctl.yml").write_text("scope: demo\netcd3: {host: a}\n")
    local = LocalSource(tmp_path / "ctl.yml", {}).read(is_complete=False)
    assert dcs_options(local).options == {
        "host": "a",
        "protocol": "http",
        "use_proxies": False,
    }
    assert ctl_options(local).credentials is None


def test_of_several_stores_the_first_in_the_alphabet_counts(tmp_path: Path) -> None:
    """DCS-01: as the peer does it, but with a warning."""
    content = document(consul={}, zookeeper={"hosts": ["z:1"]})
    effective: Effective = loaded(content, directory=tmp_path)
    assert dcs_options(effective).section == "consul"
    assert (
        "consul, etcd3, zookeeper are configured: only consul is used"
        in effective.warnings
    )


def test_the_journal_stands_beside_the_data(tmp_path: Path) -> None:
    place = journal_options(loaded(document(), directory=tmp_path))
    assert place.directory == Path("/nowhere/data.journal")
    assert place.options == JournalOptions()
    assert place.fsync


def test_the_journal_as_configured(tmp_path: Path) -> None:
    content = document(
        journal={
            "dir": "/j",
            "max_segment_size": "1MB",
            "max_age": "1h",
            "retention_days": 2,
            "max_size": "100MB",
            "patience": "100ms",
            "fsync": False,
        }
    )
    place = journal_options(loaded(content, directory=tmp_path))
    assert place.directory == Path("/j")
    assert place.options == JournalOptions(
        segment_bytes=1024**2,
        segment_age=3600,
        keep_bytes=100 * 1024**2,
        keep_age=2 * DAY,
        patience=0.1,
    )
    assert not place.fsync
