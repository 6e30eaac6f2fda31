"""`regnal trace export --endpoint`: journals to a collector, after the fact."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from regnal.cli.trace import trace_command
from tests.servers.otlp import grpc_collector, http_collector
from tests.servers.ports import free_port

MUSEUM = Path(__file__).parents[2] / "journals" / "0.1.0-demo"
PLACES = [str(MUSEUM / name) for name in ("pg1", "pg2", "pg3")]


def export(*arguments: str) -> Result:
    return CliRunner().invoke(trace_command, ["export", *arguments, *PLACES])


def test_a_trace_is_sent_whole() -> None:
    with http_collector() as collector:
        done = export("--endpoint", collector.endpoint)
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert {span.member for span in collector.spans} == {"pg1", "pg2", "pg3"}
    assert len({span.trace for span in collector.spans}) == 1
    assert f"{len(collector.spans)} spans were sent" in done.stderr


def test_headers_and_protocol_come_from_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "regnal.yml"
    otel = {"protocol": "grpc", "headers": {"authorization": "Bearer hunter2"}}
    file.write_text(yaml.dump({"otel": otel}))
    with grpc_collector() as collector:
        done = export("--all", "--endpoint", collector.endpoint, "-c", str(file))
    assert done.exit_code == 0, done.output
    assert len({span.trace for span in collector.spans}) > 2
    assert collector.headers[0]["authorization"] == "Bearer hunter2"


@pytest.mark.parametrize(
    ("arguments", "status", "then"),
    [
        (["--endpoint", "collector:4318"], 2, "is no URL with http:// or https://"),
        (["--endpoint", "http://x", "-f", "svg"], 2, "without --list and --format"),
        (["--protocol", "grpc"], 2, "--endpoint, which is missing"),
        (["--endpoint", f"http://127.0.0.1:{free_port()}"], 1, "refused (0 spans were"),
    ],
)
def test_what_cannot_be_sent_is_said(
    arguments: list[str], status: int, then: str
) -> None:
    done = export(*arguments)
    assert done.exit_code == status, done.output
    assert then in done.stderr


def test_what_is_refused_is_an_error() -> None:
    with http_collector() as collector:
        collector.rejects, collector.message = 2, "too old"
        done = export("--endpoint", collector.endpoint)
    assert done.exit_code == 1
    assert "too old" in done.stderr
    assert "2 spans were refused" in done.stderr
