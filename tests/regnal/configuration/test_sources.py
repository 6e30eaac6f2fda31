"""Where the configuration comes from: file, directory, variables (CFG-01 to CFG-05)."""

import json
from pathlib import Path
from typing import Any

import pytest

from regnal.configuration.problems import ConfigurationError
from regnal.configuration.source import ConfigurationSource, Effective
from tests.regnal.configuration.builders import MINIMAL, document, loaded, source


def test_a_file_is_read(tmp_path: Path) -> None:
    """CFG-01"""
    effective = loaded(document(), directory=tmp_path)
    assert effective.settings.name == "alpha"
    assert effective.settings.scope == "demo"


def test_without_a_file_one_variable_holds_everything() -> None:
    """CFG-01, CFG-03: other variables of the peer do not count then."""
    environ = {
        "PATRONI_CONFIGURATION": json.dumps(MINIMAL),
        "PATRONI_NAME": "ignored",
        "REGNAL_JOURNAL_DIR": "/elsewhere",
        "HOME": "/root",
    }
    effective = ConfigurationSource(None, environ).load()
    assert effective.settings.name == "alpha"
    assert effective.document["journal"]["dir"] == "/elsewhere"
    assert "PATRONI_CONFIGURATION" not in environ
    assert environ["HOME"] == "/root"


def test_a_path_that_does_not_exist_gives_way_to_the_variable(tmp_path: Path) -> None:
    """CFG-01"""
    environ = {"PATRONI_CONFIGURATION": json.dumps(MINIMAL)}
    effective = ConfigurationSource(tmp_path / "none.yml", environ).load()
    assert effective.settings.name == "alpha"


def test_variables_alone_are_enough() -> None:
    """CFG-01"""
    environ = {
        "PATRONI_NAME": "alpha",
        "PATRONI_SCOPE": "demo",
        "PATRONI_RESTAPI_LISTEN": "127.0.0.1:8008",
        "PATRONI_ETCD3_HOSTS": "a:2379,b:2379",
        "PATRONI_POSTGRESQL_LISTEN": "127.0.0.1:5432",
        "PATRONI_POSTGRESQL_DATA_DIR": "/nowhere/data",
        "PATRONI_REPLICATION_USERNAME": "replicator",
        "PATRONI_REPLICATION_PASSWORD": "secret",
    }
    effective = ConfigurationSource(None, environ).load()
    assert effective.document["etcd3"]["hosts"] == ["a:2379", "b:2379"]
    assert not effective.settings.may_bootstrap
    assert environ == {}


def test_no_configuration_at_all_is_one_clear_line(tmp_path: Path) -> None:
    """CFG-01"""
    with pytest.raises(ConfigurationError, match=r"^configuration: is empty; name a"):
        ConfigurationSource(None, {}).load()
    with pytest.raises(ConfigurationError, match=r"none\.yml: does not exist; name a"):
        ConfigurationSource(tmp_path / "none.yml", {}).load()
    with pytest.raises(ConfigurationError, match=r"regnal\.yml: is empty; write"):
        loaded("# nothing\n", directory=tmp_path)


def test_the_missing_file_is_named_and_not_what_the_variables_lack(
    tmp_path: Path,
) -> None:
    environ = {"PATRONI_NAME": "alpha"}
    with pytest.raises(ConfigurationError) as caught:
        ConfigurationSource(tmp_path / "none.yml", environ).load()
    assert len(caught.value.problems) == 1
    assert "none.yml: does not exist" in str(caught.value)


def test_files_of_a_directory_are_merged_in_alphabetical_order(tmp_path: Path) -> None:
    """CFG-02: a later file wins key by key; other files are left alone."""
    (tmp_path / "10-base.yml").write_text(json.dumps(document(namespace="a")))
    (tmp_path / "20-name.yaml").write_text("name: beta\npostgresql: {bin_dir: /bin}\n")
    (tmp_path / "30.yml.bak").write_text("name: [not, read\n")
    effective = ConfigurationSource(tmp_path, {}).load()
    assert effective.settings.name == "beta"
    assert effective.document["namespace"] == "a"
    assert effective.document["postgresql"]["bin_dir"] == "/bin"
    assert effective.document["postgresql"]["listen"] == "127.0.0.1:5432"


def test_a_file_that_is_no_mapping_is_named(tmp_path: Path) -> None:
    """CFG-02, P-CFG-18"""
    (tmp_path / "10.yml").write_text(json.dumps(document()))
    (tmp_path / "20.yml").write_text("- a\n- b\n")
    with pytest.raises(ConfigurationError, match=r"20\.yml: the top level is not a"):
        ConfigurationSource(tmp_path, {}).load()


def test_variables_win_over_the_file(tmp_path: Path) -> None:
    """CFG-03, CFG-04: also an explicit false over a true."""
    content = document(
        etcd3=None,
        kubernetes={"labels": {"app": "x"}, "use_endpoints": True},
        tags={"nofailover": True},
    )
    environ = {
        "PATRONI_NAME": "gamma",
        "PATRONI_KUBERNETES_USE_ENDPOINTS": "false",
        "PATRONI_SUPERUSER_PASSWORD": "0123",
    }
    effective = loaded(content, environ, directory=tmp_path)
    assert effective.settings.name == "gamma"
    assert effective.document["kubernetes"]["use_endpoints"] is False
    accounts = effective.document["postgresql"]["authentication"]
    assert accounts["superuser"]["password"] == "0123"
    assert environ == {}


def test_local_wins_over_dynamic_and_dynamic_over_defaults(tmp_path: Path) -> None:
    """CFG-05: parameters by name, whatever the case; other options as a whole."""
    content = document(
        postgresql={
            "parameters": {"timezone": "UTC", "work_mem": "8MB"},
            "pg_ctl_timeout": 120,
            "pg_hba": ["local all all trust"],
        }
    )
    configuration = source(content, directory=tmp_path)
    configuration.load()
    effective = configuration.with_dynamic(
        json.dumps(
            {
                "loop_wait": 5,
                "postgresql": {
                    "parameters": {"TimeZone": "CET", "max_connections": 50},
                    "pg_ctl_timeout": 10,
                    "pg_hba": ["host all all all reject"],
                    "use_pg_rewind": True,
                },
            }
        )
    )
    postgresql = effective.document["postgresql"]
    assert postgresql["parameters"] == {
        "timezone": "UTC",
        "work_mem": "8MB",
        "max_connections": 50,
    }
    assert postgresql["pg_ctl_timeout"] == 120
    assert postgresql["pg_hba"] == ["local all all trust"]
    assert effective.settings.use_pg_rewind
    assert effective.settings.loop_wait == 5
    assert effective.settings.ttl == 30


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("ttl", 99),
        ("loop_wait", 9),
        ("retry_timeout", 9),
        ("maximum_lag_on_failover", 1),
        ("maximum_lag_on_syncnode", 1),
        ("check_timeline", True),
        ("max_timelines_history", 9),
        ("primary_start_timeout", 9),
        ("primary_stop_timeout", 9),
        ("synchronous_mode", True),
        ("synchronous_mode_strict", True),
        ("synchronous_node_count", 9),
        ("standby_cluster", {"host": "x"}),
        ("slots", {"a": {"type": "physical"}}),
        ("ignore_slots", [{"name": "a"}]),
        ("pause", True),
        ("failsafe_mode", True),
        ("member_slots_ttl", 9),
    ],
)
def test_dynamic_only_options_have_no_effect_in_the_local_file(
    option: str, value: object, tmp_path: Path
) -> None:
    """CFG-06"""
    plain = loaded(document(), directory=tmp_path)
    effective = loaded(document(**{option: value}), directory=tmp_path)
    assert effective.settings == plain.settings
    assert any(
        warning.startswith(f"{option} has no effect in the local file")
        for warning in effective.warnings
    )


def test_use_slots_and_controlled_parameters_are_dynamic_only(tmp_path: Path) -> None:
    """CFG-06, CFG-40"""
    content = document(
        postgresql={
            "use_slots": False,
            "parameters": {"Max_Connections": 7, "work_mem": 1},
        }
    )
    effective = loaded(content, directory=tmp_path)
    assert effective.settings.use_slots
    assert effective.document["postgresql"]["parameters"] == {"work_mem": 1}
    text = "\n".join(effective.warnings)
    assert "postgresql.use_slots has no effect" in text
    assert "Max_Connections of the local file have no effect" in text


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("listen", "10.0.0.9:1"),
        ("connect_address", "10.0.0.9:1"),
        ("proxy_address", "10.0.0.9:1"),
        ("data_dir", "/elsewhere"),
        ("config_dir", "/elsewhere"),
        ("pgpass", "/elsewhere"),
        ("authentication", {"replication": {"username": "mallory"}}),
    ],
)
def test_local_only_options_have_no_effect_in_the_dynamic_configuration(
    option: str, value: object, tmp_path: Path
) -> None:
    """CFG-07"""
    configuration = source(document(), directory=tmp_path)
    before = configuration.load().document["postgresql"]
    after = configuration.with_dynamic(json.dumps({"postgresql": {option: value}}))
    assert after.document["postgresql"] == before
    assert any("write it into the local file" in line for line in after.warnings)


def test_a_dynamic_name_does_not_rename_the_member(tmp_path: Path) -> None:
    """CFG-07"""
    configuration = source(document(), directory=tmp_path)
    configuration.load()
    after = configuration.with_dynamic('{"name": "mallory", "restapi": {"listen": 7}}')
    assert after.settings.name == "alpha"
    assert after.settings.api_url == "http://127.0.0.1:8008/patroni"


def test_reload_reads_files_again_and_the_environment_not(tmp_path: Path) -> None:
    """CFG-12"""
    environ = {"PATRONI_POSTGRESQL_BIN_DIR": "/usr/bin"}
    configuration = source(document(), environ, directory=tmp_path)
    configuration.load()
    configuration.with_dynamic('{"ttl": 40}')
    changed = document(tags={"nofailover": True}, postgresql={"bin_dir": "/lower"})
    (tmp_path / "regnal.yml").write_text(json.dumps(changed))
    effective = configuration.reload()
    assert effective.settings.tags.nofailover
    assert effective.document["postgresql"]["bin_dir"] == "/usr/bin"
    assert effective.settings.ttl == 40
    assert effective.dynamic == '{"ttl": 40}'


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"name": "beta"}, "name"),
        ({"scope": "other"}, "scope"),
        ({"namespace": "x"}, "namespace"),
        ({"postgresql": {"data_dir": "/other"}}, "postgresql.data_dir"),
        ({"journal": {"dir": "/other"}}, "journal.dir"),
        ({"thread_pool_size": 9}, "thread_pool_size"),
        ({"consul": {}}, "etcd3"),
        ({"consul": {}, "etcd3": None}, "etcd3"),
    ],
)
def test_what_needs_a_restart_stays_until_then(
    sections: dict[str, Any], named: str, tmp_path: Path
) -> None:
    """CFG-12, contract 6.1: and a warning says so."""
    configuration = source(document(), directory=tmp_path)
    before = configuration.load()
    changed = document(**sections, tags={"clonefrom": True})
    (tmp_path / "regnal.yml").write_text(json.dumps(changed))
    after = configuration.reload()
    assert after.settings.tags.clonefrom
    assert after.settings == before.settings.model_copy(
        update={"tags": after.settings.tags}
    )
    assert dcs_section(after) == dcs_section(before)
    assert any(
        line.startswith(f"{named} stays") and "restarted" in line
        for line in after.warnings
    )


def dcs_section(effective: Effective) -> Any:
    return {name: effective.document.get(name) for name in ("consul", "etcd3")}


def test_what_cannot_be_used_on_reload_changes_nothing(tmp_path: Path) -> None:
    """CFG-13: the option is named, and the old configuration stays in force."""
    configuration = source(document(), directory=tmp_path)
    configuration.load()
    (tmp_path / "regnal.yml").write_text(
        json.dumps(document(restapi={"listen": "nonsense"}))
    )
    with pytest.raises(
        ConfigurationError, match=r"^restapi\.listen: 'nonsense' is not"
    ):
        configuration.reload()
    after = configuration.with_dynamic('{"ttl": 60}')
    assert after.settings.api_url == "http://127.0.0.1:8008/patroni"


def test_a_file_that_vanished_is_an_error_on_reload(tmp_path: Path) -> None:
    """CFG-13"""
    configuration = source(document(), directory=tmp_path)
    configuration.load()
    (tmp_path / "regnal.yml").unlink()
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        configuration.reload()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"ttl": "many"}', "ttl: 'many' is not a number"),
        ('{"postgresql": {"parameters": ["a"]}}', "postgresql.parameters: .* mapping"),
        ('{"postgresql": 5}', "postgresql: 5 is not a mapping"),
        ("[]", "dynamic configuration: is not a JSON object"),
        ("{", "dynamic configuration: is not JSON"),
        ('{"ttl": NaN}', "dynamic configuration: is not JSON"),
        ('{"slots": {"a": {"type": "odd"}}}', "slots.a.type: 'odd' is not one of"),
        (
            '{"ignore_slots": [{"name": []}]}',
            r"ignore_slots\[0\].name: \[\] is not a t",
        ),
    ],
)
def test_a_bad_dynamic_configuration_changes_nothing(
    text: str, complaint: str, tmp_path: Path
) -> None:
    """CFG-13, P-CFG-18"""
    configuration = source(document(), directory=tmp_path)
    configuration.load()
    configuration.with_dynamic('{"ttl": 45}')
    with pytest.raises(ConfigurationError, match=complaint):
        configuration.with_dynamic(text)
    assert configuration.reload().settings.ttl == 45


def test_unknown_dynamic_keys_are_a_warning(tmp_path: Path) -> None:
    """Keys of others stay in the store and hurt nobody."""
    configuration = source(document(), directory=tmp_path)
    configuration.load()
    after = configuration.with_dynamic('{"maximum_lag_on_failovr": 5, "theirs": {}}')
    assert (
        "maximum_lag_on_failovr is not a known option; did you mean "
        "maximum_lag_on_failover? (dynamic configuration)" in after.warnings
    )
    assert "theirs is not a known option (dynamic configuration)" in after.warnings
