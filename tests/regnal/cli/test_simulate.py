"""`regnal simulate`."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from regnal.cli.explain import explain_command
from regnal.cli.simulate import simulate_command
from regnal.cli.simulated_cluster import cluster_of
from regnal.replay.simulation.faults import KINDS
from regnal.replay.simulation.profiles import PROFILES

CONFIG = """\
scope: demo
name: pg07
restapi: {listen: "127.0.0.1:8008"}
etcd3: {host: "127.0.0.1:2379"}
bootstrap: {dcs: {ttl: 20, loop_wait: 5, retry_timeout: 5, synchronous_mode: true}}
postgresql:
  listen: "127.0.0.1:5432"
  data_dir: /nowhere/data
  authentication: {superuser: {username: postgres}, replication: {username: rep}}
tags: {failover_priority: 3}
"""


def simulate(*arguments: str | Path) -> Result:
    words: Sequence[str] = [*map(str, arguments), "-j", "1"]
    return CliRunner().invoke(simulate_command, words)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "regnal.yml"
    path.write_text(CONFIG)
    return path


def test_the_configuration_is_that_of_the_daemon(config: Path) -> None:
    cluster, warnings = cluster_of(config, 3)
    assert warnings == ()
    assert cluster.names == ("pg07", "pg08", "pg09")
    assert cluster.settings["ttl"] == 20
    assert cluster.settings["synchronous_mode"] == "on"
    assert cluster.own["pg07"]["tags"].failover_priority == 3


def test_one_life_is_told_and_its_journals_explained(
    config: Path, tmp_path: Path
) -> None:
    story = tmp_path / "story"
    fault = ("--fault", "34 kill_host @primary 30")
    result = simulate("-c", config, "--seed", "3", *fault, "--journals", story)
    assert result.exit_code == 0, result.output
    assert "kill_host       1               1" in result.output
    assert "host_lost" in result.output
    explained = CliRunner().invoke(explain_command, ["--list", str(story)])
    assert "host_lost" in explained.output
    again = simulate("-c", config, "--seed", "3", *fault, "--journals", story)
    assert again.exit_code == 1
    assert "is not empty; name a new directory" in again.output


def test_a_campaign_as_json_is_the_same_for_the_same_seed(config: Path) -> None:
    asked = (
        "-c",
        config,
        "--hours",
        "3",
        "--faults",
        "crashes",
        "--seed",
        "4",
        "--json",
    )
    first, second = simulate(*asked), simulate(*asked)
    assert first.exit_code == 0, first.output
    assert first.output == second.output
    told = json.loads(first.output)
    assert told["hours"] == 3
    assert told["faults"] >= 2
    assert told["lost_rows"] == 0
    assert told["broken"] == []


def test_a_life_that_breaks_ends_in_status_1_and_tells_how_to_repeat_it(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regnal.replay.simulation.life.TO_REST", 0.5)
    faults = ("--fault", "34 kill_host @primary 4", "--fault", "35 set_clock pg08 9")
    directory = tmp_path / "broken"
    result = simulate("-c", config, *faults, "--journals", directory)
    assert result.exit_code == 1
    assert "Broken: liveness (seed 1)" in result.output
    assert (
        f"--config {config} --members 3 --seed 1 --fault '34 kill_host" in result.output
    )
    assert "set_clock" not in result.output.partition("The fewest faults")[2]
    assert (directory / "pg07").is_dir()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("standby_cluster: {host: far}", "standby_cluster: a standby cluster is not"),
        ("ttl: soon", "ttl"),
    ],
)
def test_what_cannot_be_simulated_is_refused(
    config: Path, text: str, complaint: str
) -> None:
    config.write_text(CONFIG.replace("{dcs: {ttl: 20, ", "{dcs: {" + text + ", "))
    result = simulate("-c", config, "--hours", "1")
    assert result.exit_code == 1
    assert complaint in result.output


def test_a_fault_that_names_nobody_is_refused(config: Path) -> None:
    result = simulate("-c", config, "--fault", "40 kill_host pg1 10")
    assert result.exit_code == 1
    assert "there is no member 'pg1'; there are pg07, pg08, pg09" in result.output
    result = simulate("-c", config, "--fault", "40 explode pg07")
    assert result.exit_code == 2
    assert "one of the kinds kill_host" in result.output


def test_more_than_a_day_of_work_is_refused() -> None:
    result = simulate("--hours", "5000", "--faults", "hell")
    assert result.exit_code == 1
    assert "ask for 1111.11 hours at most" in result.output


def test_profiles_and_kinds_are_listed() -> None:
    listed = simulate("--list-faults").output
    assert all(name in listed for name in (*PROFILES, *KINDS))
    told = json.loads(simulate("--json", "--list-faults").output)
    assert set(told["profiles"]) == set(PROFILES)
