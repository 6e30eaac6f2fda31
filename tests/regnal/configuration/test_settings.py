"""What deciders get of the configuration; old layouts; timers; tags."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.configuration.dynamic_copy import FILE_NAME
from regnal.configuration.problems import ConfigurationError
from regnal.configuration.settings import make_tags
from regnal.configuration.source import ConfigurationSource, Effective
from regnal.configuration.timers import Timers, correct, lease_of
from regnal.messages.cluster import Tags
from regnal.messages.masking import masked, masked_text
from regnal.messages.settings import (
    Callbacks,
    PermanentSlot,
    ReplicaMethod,
    SlotMatcher,
    StandbyCluster,
)
from tests.regnal.configuration.builders import document, loaded, source


def with_dynamic(
    dynamic: dict[str, Any], directory: Path, **sections: Any
) -> Effective:
    configuration = source(document(**sections), directory=directory)
    configuration.load()
    return configuration.with_dynamic(json.dumps(dynamic))


@pytest.mark.parametrize(
    ("given", "then", "warned"),
    [
        ((30, 10, 10), (30, 10, 10), 0),
        ((20, 1, 3), (20, 1, 3), 0),
        ((10, 0, 1), (20, 1, 3), 3),
        ((30, 20, 10), (30, 10, 10), 1),
        ((20, 10, 10), (20, 1, 9), 1),
        ((30, 10, 60), (30, 1, 14), 1),
        ((-5, -5, -5), (20, 1, 3), 3),
    ],
)
def test_timers_are_corrected_with_a_warning(
    given: tuple[int, int, int], then: tuple[int, int, int], warned: int
) -> None:
    """P-CFG-01"""
    timers, warnings = correct(Timers(*given))
    assert timers == Timers(*then)
    assert len(warnings) == warned


@given(st.integers(-10, 10_000), st.integers(-10, 10_000), st.integers(-10, 10_000))
def test_corrected_timers_always_keep_the_rule(
    ttl: int, loop_wait: int, retry_timeout: int
) -> None:
    """P-CFG-01"""
    timers, _ = correct(Timers(ttl, loop_wait, retry_timeout))
    assert timers.loop_wait + 2 * timers.retry_timeout <= timers.ttl
    assert timers.ttl >= 20
    assert timers.loop_wait >= 1
    assert timers.retry_timeout >= 3
    assert correct(timers) == (timers, [])


def test_the_stored_timers_are_not_changed(tmp_path: Path) -> None:
    """P-CFG-01"""
    effective = with_dynamic({"ttl": 20, "loop_wait": 10}, tmp_path)
    assert effective.settings.loop_wait == 1
    assert effective.settings.retry_timeout == 9
    assert effective.dynamic == '{"ttl": 20, "loop_wait": 10}'
    assert any(
        "loop_wait 1 and retry_timeout 9 are used" in w for w in effective.warnings
    )


def test_the_lease_margin_leaves_time_to_renew(tmp_path: Path) -> None:
    effective = loaded(document(fencing={"margin": 25}), directory=tmp_path)
    assert effective.settings.lease_margin == 10
    assert any("fencing.margin 25" in warning for warning in effective.warnings)


def test_a_lease_may_be_shorter_than_ttl(tmp_path: Path) -> None:
    effective = with_dynamic(
        {"loop_wait": 2, "retry_timeout": 5, "ttl": 20},
        tmp_path,
        fencing={"lease": 9},
        watchdog={"mode": "off"},
    )
    assert effective.settings.ttl == 9
    assert effective.settings.lease_margin == 2
    assert effective.warnings == ()


@pytest.mark.parametrize(
    ("wanted", "watchdog_margin", "used", "why"),
    [
        (25, None, 20, "fencing.lease 25 is more than ttl: 20 is used"),
        (8, None, 8, None),
        (
            4,
            None,
            8,
            "fencing.lease 4 is less than loop_wait 2 + retry_timeout 5 + 1: 8 is used",
        ),
        (
            9,
            5,
            13,
            (
                "fencing.lease 9 is less than loop_wait 2 + retry_timeout 5 + 1"
                " + watchdog.safety_margin 5: 13 is used; with watchdog.mode off it is enough"
            ),
        ),
        (
            9,
            -1,
            16,
            (
                "fencing.lease 9 is less than twice loop_wait 2 + retry_timeout 5 + 1,"
                " for watchdog.safety_margin -1: 16 is used; with watchdog.mode off it is enough"
            ),
        ),
        (9, 30, 20, None),
        (None, 5, 20, None),
    ],
)
def test_a_lease_leaves_time_to_renew_it_and_to_stop(
    wanted: float | None, watchdog_margin: float | None, used: float, why: str | None
) -> None:
    lease, warnings = lease_of(Timers(20, 2, 5), wanted, watchdog_margin)
    assert lease == used
    if why is not None:
        assert warnings == [why]


@given(
    ttl=st.integers(20, 100),
    loop_wait=st.integers(1, 60),
    retry_timeout=st.integers(3, 60),
    wanted=st.floats(3, 200),
    watchdog_margin=st.none() | st.integers(-1, 30),
)
def test_no_lease_is_too_short_for_a_renewal_that_takes_long(
    ttl: int,
    loop_wait: int,
    retry_timeout: int,
    wanted: float,
    watchdog_margin: int | None,
) -> None:
    timers, _ = correct(Timers(ttl, loop_wait, retry_timeout))
    lease, warnings = lease_of(timers, wanted, watchdog_margin)
    assert timers.loop_wait + timers.retry_timeout + 1 <= lease <= timers.ttl
    assert (lease == wanted) or warnings


def test_what_is_published(tmp_path: Path) -> None:
    """CFG-21, CFG-33, P-CFG-06: brackets around IPv6, and the database's name."""
    effective = loaded(
        document(
            restapi={"listen": "::1:8008", "certfile": "/cert"},
            postgresql={
                "listen": "10.0.0.1,::1:5433",
                "connect_address": "fe80::1:5434",
                "proxy_address": "[::2]:6432",
                "database": "ops",
            },
        ),
        directory=tmp_path,
    )
    assert effective.settings.api_url == "https://[::1]:8008/patroni"
    assert effective.settings.conn_url == "postgres://[fe80::1]:5434/ops"
    assert effective.settings.proxy_url == "postgres://[::2]:6432/ops"


def test_a_connect_address_is_the_first_listen_address_by_default(
    tmp_path: Path,
) -> None:
    effective = loaded(
        document(postgresql={"listen": "10.0.0.1,10.0.0.2:5433"}), directory=tmp_path
    )
    assert effective.settings.conn_url == "postgres://10.0.0.1:5433/postgres"
    assert effective.settings.proxy_url is None


def test_a_wildcard_is_no_address_for_others(tmp_path: Path) -> None:
    effective = loaded(
        document(restapi={"listen": "0.0.0.0:8008"}, postgresql={"listen": "*:5432"}),
        directory=tmp_path,
    )
    text = "\n".join(effective.warnings)
    assert "restapi.connect_address is missing: other members cannot reach" in text
    assert "postgresql.connect_address is missing: other members cannot" in text


def test_the_policy_of_incidents_is_the_cluster_s(tmp_path: Path) -> None:
    """All members must agree on it: it stands in the dynamic configuration alone."""
    policy = {"min_time_between_failovers": "10min", "crash_loop_limit": 3}
    settings = with_dynamic({"incident_policy": policy}, tmp_path).settings
    assert settings.min_time_between_failovers == 600
    assert (settings.crash_loop_limit, settings.crash_loop_window) == (3, 600)
    local = loaded(document(incident_policy=policy), directory=tmp_path)
    assert local.settings.min_time_between_failovers == 0
    assert any("incident_policy" in warning for warning in local.warnings)


@pytest.mark.parametrize(
    ("policy", "option"),
    [
        ({"min_time_between_failovers": -1}, "min_time_between_failovers"),
        ({"min_time_between_failovers": "soon"}, "min_time_between_failovers"),
        ({"crash_loop_limit": 101}, "crash_loop_limit"),
        ({"crash_loop_limit": "many"}, "crash_loop_limit"),
        ({"crash_loop_window": 0}, "crash_loop_window"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused(
    policy: dict[str, Any], option: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=f"incident_policy.{option}"):
        with_dynamic({"incident_policy": policy}, tmp_path)


def test_explanations_can_be_switched_off(tmp_path: Path) -> None:
    effective = loaded(
        document(), {"REGNAL_INCIDENTS_EXPLAIN": "off"}, directory=tmp_path
    )
    assert not effective.settings.explain_incidents


def test_settings_of_the_cluster(tmp_path: Path) -> None:
    """CFG-06"""
    settings = with_dynamic(
        {
            "ttl": "1min",
            "maximum_lag_on_failover": "2MB",
            "synchronous_mode": "quorum",
            "synchronous_mode_strict": "on",
            "synchronous_node_count": 0,
            "failsafe_mode": True,
            "pause": True,
            "member_slots_ttl": "30min",
            "slots": {
                "a": None,
                "b": {"type": "logical", "database": "d", "plugin": "pgoutput"},
                "c": {"cluster_type": "standby"},
            },
            "ignore_slots": [{"name": "x", "type": "logical"}, {"plugin": "wal2json"}],
            "standby_cluster": {
                "host": "h1,h2",
                "port": 5433,
                "primary_slot_name": "s",
            },
        },
        tmp_path,
    ).settings
    assert settings.ttl == 60
    assert settings.maximum_lag_on_failover == 2 * 1024**2
    assert settings.synchronous_mode == "quorum"
    assert settings.synchronous_mode_strict
    assert settings.synchronous_node_count == 1
    assert not settings.is_synchronous  # ignored in a standby cluster
    assert settings.failsafe_mode
    assert settings.paused
    assert settings.member_slots_ttl == 1800
    assert settings.slots == (
        PermanentSlot(name="a"),
        PermanentSlot(name="b", type="logical", database="d", plugin="pgoutput"),
        PermanentSlot(name="c", cluster_type="standby"),
    )
    assert settings.ignore_slots == (
        SlotMatcher(name="x", type="logical"),
        SlotMatcher(plugin="wal2json"),
    )
    assert settings.standby_cluster == StandbyCluster(
        host="h1,h2", port="5433", primary_slot_name="s"
    )


@pytest.mark.parametrize(
    ("section", "is_standby_cluster"),
    [
        ({}, False),
        (None, False),
        ({"primary_slot_name": "x"}, False),
        ({"host": "x"}, True),
        ({"port": 1}, True),
        ({"restore_command": "x"}, True),
    ],
)
def test_a_standby_cluster_says_where_it_replicates_from(
    section: dict[str, Any] | None, is_standby_cluster: bool, tmp_path: Path
) -> None:
    settings = with_dynamic({"standby_cluster": section}, tmp_path).settings
    assert settings.is_standby_cluster is is_standby_cluster


@pytest.mark.parametrize(
    ("value", "mode"),
    [(True, "on"), (False, "off"), ("on", "on"), ("Quorum", "quorum"), ("no", "off")],
)
def test_synchronous_modes(value: object, mode: str, tmp_path: Path) -> None:
    """P-CFG-02"""
    assert with_dynamic(
        {"synchronous_mode": value}, tmp_path
    ).settings.synchronous_mode == (mode)


def test_settings_of_postgresql(tmp_path: Path) -> None:
    """RWD-01"""
    settings = with_dynamic(
        {"postgresql": {"use_pg_rewind": True, "use_slots": False}},
        tmp_path,
        postgresql={
            "create_replica_methods": ["restore", "basebackup"],
            "restore": {"command": "x", "no_leader": True, "keep_data": "yes"},
            "callbacks": {"on_start": "/cb"},
            "pre_promote": "/pp",
            "parameters": {"Synchronous_Standby_Names": "x"},
        },
    ).settings
    assert settings.use_pg_rewind
    assert not settings.use_slots
    assert settings.replica_methods == (
        ReplicaMethod(name="restore", needs_source=False, keep_data=True),
        ReplicaMethod(name="basebackup", needs_source=True, keep_data=False),
    )
    assert settings.callbacks == Callbacks(on_start=True, pre_promote=True)
    assert settings.synchronous_standby_names == "x"


def test_the_bootstrap_section(tmp_path: Path) -> None:
    """CFG-10, CFG-16: it is in force until the store says otherwise, and goes
    there as it was written, with what others may know."""
    effective = loaded(
        document(bootstrap={"dcs": {"ttl": 60, "theirs": 1}}), directory=tmp_path
    )
    assert effective.settings.may_bootstrap
    assert effective.settings.ttl == 60
    assert json.loads(effective.settings.bootstrap_config) == {"ttl": 60, "theirs": 1}
    assert effective.dynamic is None
    empty = json.dumps(document())[:-1] + ',\n"bootstrap":\n}'
    assert loaded(empty, directory=tmp_path).settings.may_bootstrap


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("master_start_timeout", "primary_start_timeout"),
        ("master_stop_timeout", "primary_stop_timeout"),
    ],
)
def test_old_names_of_timeouts(old: str, new: str, tmp_path: Path) -> None:
    """CFG-08, P-NAMES-02: the new name wins if both are there."""
    alone = with_dynamic({old: 7}, tmp_path).settings
    assert getattr(alone, new) == 7
    both = with_dynamic({old: 7, new: 8}, tmp_path).settings
    assert getattr(both, new) == 8
    first = loaded(document(bootstrap={"dcs": {old: 9}}), directory=tmp_path).settings
    assert getattr(first, new) == 9


@pytest.mark.parametrize("old", ["permanent_slots", "permanent_replication_slots"])
def test_old_names_of_slots(old: str, tmp_path: Path) -> None:
    settings = with_dynamic({old: {"a": {"type": "physical"}}}, tmp_path).settings
    assert settings.slots == (PermanentSlot(name="a"),)


def test_the_layout_before_1_0(tmp_path: Path) -> None:
    """CFG-18"""
    content = document(
        name=None,
        etcd3=None,
        zookeeper={"hosts": ["z:1"], "exhibitor": {"hosts": ["e"], "port": 8181}},
        postgresql={
            "authentication": None,
            "name": "old",
            "replication": {"username": "r", "password": "1", "network": "10.0.0.0/8"},
            "superuser": {"username": "s", "password": "2"},
            "pg_rewind": {"username": "w", "password": "3"},
            "create_replica_method": ["m", "basebackup"],
            "m": {"command": "x", "no_master": 1},
        },
        bootstrap={"post_init": "/script"},
    )
    effective = loaded(content, directory=tmp_path)
    assert effective.settings.name == "old"
    assert effective.settings.use_pg_rewind
    assert not effective.settings.replica_methods[0].needs_source
    assert effective.document["postgresql"]["authentication"] == {
        "replication": {"username": "r", "password": "1"},
        "superuser": {"username": "s", "password": "2"},
        "rewind": {"username": "w", "password": "3"},
    }
    assert effective.document["exhibitor"]["hosts"] == ["e"]
    assert "zookeeper" not in effective.document
    assert effective.document["bootstrap"]["post_bootstrap"] == "/script"
    assert effective.warnings == ()


def test_old_accounts_do_not_count_beside_the_new(tmp_path: Path) -> None:
    """CFG-18"""
    content = document(postgresql={"replication": {"username": "old"}})
    accounts = loaded(content, directory=tmp_path).document["postgresql"][
        "authentication"
    ]
    assert accounts["replication"]["username"] == "replicator"


def test_no_users_and_no_superuser_are_fine(tmp_path: Path) -> None:
    """CFG-38"""
    content = document(bootstrap={"users": None, "initdb": None})
    assert loaded(content, directory=tmp_path).settings.may_bootstrap


@pytest.mark.parametrize(
    ("section", "tags", "warned"),
    [
        ({}, Tags(), False),
        ({"nofailover": True}, Tags(nofailover=True), False),
        ({"failover_priority": 0}, Tags(failover_priority=0), False),
        (
            {"nofailover": True, "failover_priority": 0},
            Tags(nofailover=True, failover_priority=0),
            False,
        ),
        (
            {"nofailover": True, "failover_priority": 2},
            Tags(nofailover=True, failover_priority=2),
            True,
        ),
        ({"nofailover": False, "failover_priority": 0}, Tags(), True),
        ({"nosync": False, "sync_priority": 0}, Tags(), True),
        (
            {"replicatefrom": "b", "clonefrom": True},
            Tags(replicatefrom="b", clonefrom=True),
            False,
        ),
    ],
)
def test_tags(section: dict[str, Any], tags: Tags, warned: bool) -> None:
    """CFG-39, P-CFG-30: the boolean counts where two contradict each other."""
    made, warnings = make_tags(section)
    assert made.model_copy(update={"document": "{}"}) == tags
    assert bool(warnings) is warned


def test_tags_of_any_kind_are_published_but_not_defaults(tmp_path: Path) -> None:
    """CFG-39"""
    written = {"nofailover": False, "clonefrom": True, "az": "eu-1", "n": 3, "l": [1]}
    settings = loaded(document(tags=written), directory=tmp_path).settings
    assert json.loads(settings.tags.document) == {
        "clonefrom": True,
        "az": "eu-1",
        "n": 3,
        "l": [1],
    }


def test_no_secret_is_in_what_readers_get(tmp_path: Path) -> None:
    """SEC: messages, journal and log see masks only."""
    content = document(
        etcd3={"password": "hunter1", "url": "https://u:hunter2@h:1"},
        restapi={
            "authentication": {"username": "u", "password": "hunter3"},
            "keyfile_password": "hunter4",
        },
        postgresql={
            "authentication": {"superuser": {"password": "hunter5"}},
            "recovery_conf": {"primary_conninfo": "host=x password=hunter6 user=y"},
            "m": {"command": "restore --password hunter7", "token": "hunter8"},
        },
        bootstrap={"users": {"a": {"password": "hunter9"}}},
        nats={
            "servers": ["nats://u:hunter1@h"],
            "username": "u",
            "password": "hunter0",
        },
    )
    effective = loaded(content, directory=tmp_path)
    assert "hunter" not in effective.masked
    assert "hunter" not in effective.settings.model_dump_json()
    assert "hunter" not in repr(effective.settings)
    assert json.loads(effective.masked)["etcd3"]["password"] == "***"


@pytest.mark.parametrize(
    ("text", "then"),
    [
        ("postgres://u:p@h/db", "postgres://u:***@h/db"),
        ("password=x user=y", "password=*** user=y"),
        ("password = 'x y' user=y", "password = *** user=y"),
        ("PGPASSWORD=x cmd", "PGPASSWORD=*** cmd"),
        ("scram-sha-256", "scram-sha-256"),
        ("http://u:p/q@h:1", "http://u:***@h:1"),
    ],
)
def test_passwords_inside_texts_are_masked(text: str, then: str) -> None:
    assert masked_text(text) == then
    assert masked({"a": [text]}) == {"a": [then]}


def data_directory(tmp_path: Path, mode: int = 0o700) -> Path:
    data = tmp_path / "data"
    (data / "global").mkdir(parents=True)
    (data / "global" / "pg_control").write_bytes(b"x")
    data.chmod(mode)
    return data


def test_the_dynamic_configuration_is_kept_with_the_data(tmp_path: Path) -> None:
    """CFG-16"""
    data = data_directory(tmp_path)
    content = document(postgresql={"data_dir": str(data)})
    configuration = source(content, directory=tmp_path)
    configuration.load()
    configuration.with_dynamic('{"ttl": 50}')
    assert (data / FILE_NAME).read_text() == '{"ttl": 50}'
    assert (data / FILE_NAME).stat().st_mode & 0o777 == 0o600
    again = loaded(content, directory=tmp_path)
    assert again.settings.ttl == 50
    assert again.dynamic == '{"ttl": 50}'


def test_the_copy_follows_the_permissions_of_the_data_directory(tmp_path: Path) -> None:
    """P-CFG-20"""
    data = data_directory(tmp_path, 0o750)
    configuration = source(
        document(postgresql={"data_dir": str(data)}), directory=tmp_path
    )
    configuration.load()
    configuration.with_dynamic("{}")
    assert (data / FILE_NAME).stat().st_mode & 0o777 == 0o640


def test_there_is_no_copy_before_there_is_data(tmp_path: Path) -> None:
    """CFG-16: an empty directory must stay empty for initdb."""
    data = tmp_path / "data"
    data.mkdir()
    content = document(postgresql={"data_dir": str(data)})
    configuration = source(content, directory=tmp_path)
    configuration.load()
    configuration.with_dynamic('{"ttl": 50}')
    assert list(data.iterdir()) == []
    (data / "global").mkdir()
    (data / "global" / "pg_control").write_bytes(b"x")
    configuration.keep_copy()
    assert (data / FILE_NAME).read_text() == '{"ttl": 50}'


@pytest.mark.parametrize("text", ["", "{", "[]", '{"ttl": "x"}', "\0"])
def test_a_damaged_copy_is_passed_over(text: str, tmp_path: Path) -> None:
    """CFG-16: the store has the truth."""
    data = data_directory(tmp_path)
    (data / FILE_NAME).write_text(text)
    effective = loaded(document(postgresql={"data_dir": str(data)}), directory=tmp_path)
    assert effective.settings.ttl == 30
    assert effective.dynamic is None
    assert any("is passed over" in warning for warning in effective.warnings)


@pytest.mark.parametrize("name", ["regnal0.yml", "regnal1.yml", "regnal2.yml"])
def test_the_examples_load_without_a_warning(name: str) -> None:
    path = Path(__file__).parents[3] / "examples" / name
    assert ConfigurationSource(path, {}).load().warnings == ()


def test_the_dynamic_configuration_of_the_contract_loads(tmp_path: Path) -> None:
    """docs/contracts.md 13"""
    dynamic = {
        "ttl": 30,
        "loop_wait": 10,
        "retry_timeout": 10,
        "synchronous_mode": True,
        "postgresql": {"use_pg_rewind": True, "parameters": {"max_connections": 200}},
        "slots": {"cdc": {"type": "logical", "database": "app", "plugin": "pgoutput"}},
    }
    effective = with_dynamic(dynamic, tmp_path)
    assert effective.warnings == ()
    assert effective.settings.is_synchronous
    assert effective.settings.slots[0].name == "cdc"
