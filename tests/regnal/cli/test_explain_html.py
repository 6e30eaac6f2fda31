"""`regnal explain -f html`, as a person calls it."""

from pathlib import Path

from click.testing import CliRunner

from regnal.cli.explain import explain_command

MUSEUM = Path(__file__).parents[2] / "journals" / "0.1.0-demo"


def test_the_report_is_written_into_a_file(tmp_path: Path) -> None:
    report = tmp_path / "incident.html"
    arguments = [str(MUSEUM), "-f", "html", "-o", str(report)]
    result = CliRunner().invoke(explain_command, arguments)
    assert result.exit_code == 0
    assert result.output == ""
    text = report.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "The host of pg1 was lost" in text


def test_another_form_is_written_there_too(tmp_path: Path) -> None:
    report = tmp_path / "incident.txt"
    arguments = [str(MUSEUM), "-o", str(report)]
    assert CliRunner().invoke(explain_command, arguments).exit_code == 0
    assert "VERDICT" in report.read_text(encoding="utf-8")


def test_no_file_is_left_where_nothing_can_be_told(tmp_path: Path) -> None:
    report = tmp_path / "incident.html"
    arguments = [str(MUSEUM), "-i", "nothing-like-it", "-f", "html", "-o", str(report)]
    assert CliRunner().invoke(explain_command, arguments).exit_code == 1
    assert not report.exists()
