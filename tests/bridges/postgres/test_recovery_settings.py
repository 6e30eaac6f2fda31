"""How a standby recovers, in every version."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from regnal.bridges.postgres.options import PostgresOptions, RemoteSource
from regnal.bridges.postgres.recovery_settings import (
    TARGETS,
    bootstrap_recovery,
    ends_in_promotion,
    recovery_for,
    user_settings,
)
from regnal.messages.postgres import Upstream
from tests.bridges.postgres.servers import options_for

PLAIN = options_for(Path("/nowhere"), "pg2")
LEADER = Upstream(
    member="pg1", host="10.0.0.1", port="5433", slot="pg2", is_leader=True
)


def given(**changes: Any) -> PostgresOptions:
    return dataclasses.replace(PLAIN, **changes)


def test_a_standby_of_today_has_a_signal_file_and_parameters() -> None:
    """REPL-22, PG-01, contracts 9.5."""
    found = recovery_for(PLAIN, "standby", LEADER, 150000)
    assert found.signal == "standby"
    assert found.settings["primary_slot_name"] == "pg2"
    assert found.settings["recovery_target_timeline"] == "latest"
    assert "host=10.0.0.1" in found.settings["primary_conninfo"]
    assert all(found.settings[name] == "" for name in TARGETS)
    assert "standby_mode" not in found.settings


def test_a_standby_of_before_has_recovery_conf() -> None:
    """REPL-22."""
    found = recovery_for(PLAIN, "standby", LEADER, 110000)
    assert found.signal == "standby"
    assert found.settings["standby_mode"] == "on"
    assert found.settings["primary_slot_name"] == "pg2"
    assert not set(TARGETS) & found.settings.keys()
    oldest = recovery_for(PLAIN, "standby", LEADER, 90300)
    assert "primary_slot_name" not in oldest.settings
    assert "password=secret-of-replicator" in oldest.settings["primary_conninfo"]


def test_without_an_upstream_it_recovers_from_the_archive_alone() -> None:
    """SBY-04, P-SLOT-21."""
    options = given(recovery_conf={"restore_command": "cp /a/%f %p"})
    found = recovery_for(options, "standby", None, 150000)
    assert found.signal == "standby"
    assert found.settings["restore_command"] == "cp /a/%f %p"
    assert not {"primary_conninfo", "primary_slot_name"} & found.settings.keys()


def test_without_a_slot_none_is_named() -> None:
    upstream = LEADER.model_copy(update={"slot": None})
    found = recovery_for(PLAIN, "standby", upstream, 150000)
    assert "primary_slot_name" not in found.settings


def test_a_primary_keeps_what_pg_rewind_will_ask_for() -> None:
    """RWD-13, RWD-15: and nothing that would make it a standby."""
    options = given(
        recovery_conf={
            "restore_command": "cp /a/%f %p",
            "primary_conninfo": "host=evil",
            "recovery_target_time": "2030-01-01",
        }
    )
    found = recovery_for(options, "primary", None, 150000)
    assert found.signal is None
    assert found.settings["restore_command"] == "cp /a/%f %p"
    assert "primary_conninfo" not in found.settings
    assert found.settings["recovery_target_time"] == ""
    assert recovery_for(options, "primary", None, 110000).settings == {}


def test_nobody_but_us_says_what_a_standby_follows() -> None:
    options = given(
        recovery_conf={"Primary_Conninfo": "host=evil", "standby_mode": False}
    )
    settings = recovery_for(options, "standby", None, 110000).settings
    assert settings == {"recovery_target_timeline": "latest", "standby_mode": "on"}


@pytest.mark.parametrize(
    ("version", "name"),
    [
        (110000, "trigger_file"),
        (120000, "promote_trigger_file"),
        (150000, "promote_trigger_file"),
        (160000, None),
    ],
)
@pytest.mark.parametrize("written", ["trigger_file", "promote_trigger_file"])
def test_the_trigger_file_has_the_name_of_the_version(
    version: int, name: str | None, written: str
) -> None:
    """REPL-22."""
    found = user_settings({written: "/t"}, version)
    assert found == ({} if name is None else {name: "/t"})


def test_recovery_conf_gets_only_what_it_takes() -> None:
    """REPL-22: the server would not start."""
    wanted = {
        "recovery_target_action": "pause",
        "recovery_min_apply_delay": "5min",
        "work_mem": "1MB",
        "restore_command": None,
    }
    assert user_settings(wanted, 90300) == {}
    assert user_settings(wanted, 90500).keys() == {
        "recovery_target_action",
        "recovery_min_apply_delay",
    }


REMOTE = RemoteSource(
    host="remote",
    restore_command="fetch %f %p",
    archive_cleanup_command="clean %r",
    recovery_min_apply_delay="5min",
)


def test_all_members_of_a_standby_cluster_use_its_archive() -> None:
    """SBY-08: only the one that follows the remote cluster delays."""
    options = given(remote=REMOTE, recovery_conf={"restore_command": "other"})
    remote = LEADER.model_copy(update={"member": None})
    leader = recovery_for(options, "standby", remote, 150000).settings
    cascading = recovery_for(options, "standby", LEADER, 150000).settings
    for settings in (leader, cascading):
        assert settings["restore_command"] == "fetch %f %p"
        assert settings["archive_cleanup_command"] == "clean %r"
    assert leader["recovery_min_apply_delay"] == "5min"
    assert "recovery_min_apply_delay" not in cascading


def test_a_point_in_time_recovery_ends_in_a_promotion_unless_told_otherwise() -> None:
    """BOOT-05, BOOT-07, P-CFG-24."""
    recovery = bootstrap_recovery({"recovery_target_time": "2030-01-01"}, 150000)
    assert recovery.signal == "recovery"
    assert recovery.settings["recovery_target_action"] == "promote"
    assert recovery.settings["recovery_target_time"] == "2030-01-01"
    assert recovery.settings["recovery_target_xid"] == ""
    assert ends_in_promotion(recovery)
    paused = bootstrap_recovery({"recovery_target_action": "Pause"}, 150000)
    assert not ends_in_promotion(paused)
    assert ends_in_promotion(bootstrap_recovery({}, 90300))
    standby = bootstrap_recovery({"standby_mode": True}, 110000)
    assert standby.signal == "standby"
    assert standby.settings["standby_mode"] == "on"
    assert not ends_in_promotion(standby)
