"""`regnal generate-sample-config` (P-CFG-04, P-CFG-35)."""

from pathlib import Path

from click.testing import CliRunner

from regnal.cli.sample import generate_sample_config_command, sample
from regnal.configuration.source import ConfigurationSource


def test_the_sample_is_a_configuration_without_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "sample.yml"
    result = CliRunner().invoke(generate_sample_config_command, [str(file)])
    assert result.exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    effective = ConfigurationSource(file, {}).load()
    assert effective.warnings == ()
    assert effective.settings.use_pg_rewind


def test_the_sample_goes_to_standard_output_without_a_file() -> None:
    result = CliRunner().invoke(generate_sample_config_command)
    assert "scope: demo" in result.stdout


def test_variables_are_worked_into_the_sample() -> None:
    """P-CFG-35: those of ctl, too."""
    made = sample({"PATRONI_SCOPE": "mine", "PATRONI_CTL_USERNAME": "admin"})
    assert made["scope"] == "mine"
    assert made["ctl"] == {"authentication": {"username": "admin"}}


def test_a_store_of_the_variables_replaces_that_of_the_sample() -> None:
    made = sample({"PATRONI_CONSUL_HOST": "c:8500"})
    assert "etcd3" not in made
    assert made["consul"] == {"host": "c:8500"}


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(generate_sample_config_command, [str(tmp_path)])
    assert result.exit_code == 1
    assert f"Error: {tmp_path}: Is a directory" in result.stderr
