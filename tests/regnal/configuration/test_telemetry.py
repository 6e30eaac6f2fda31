"""The section `otel`: what is used, what is refused, what nobody sees."""

import json
from pathlib import Path
from typing import Any

import pytest

from regnal.configuration.problems import ConfigurationError
from regnal.runtime.outgoing_options import otel_options
from tests.regnal.configuration.builders import document, loaded, source

ENDPOINT = "http://10.0.0.9:4318"


def configured(
    tmp_path: Path, environ: dict[str, str] | None = None, **sections: Any
) -> Any:
    return loaded(document(**sections), environ, directory=tmp_path)


def test_without_the_section_nothing_is_exported(tmp_path: Path) -> None:
    standard = {"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT}
    assert otel_options(configured(tmp_path)) is None
    assert otel_options(configured(tmp_path, standard)) is None


def test_it_has_defaults_that_suit(tmp_path: Path) -> None:
    section = otel_options(configured(tmp_path, otel={"endpoint": f"{ENDPOINT}/"}))
    assert section is not None
    assert (section.traces, section.metrics, section.logs) == (True, False, False)
    assert (section.sampling, section.metrics_interval) == (0.0, 60)
    client = section.client
    assert (client.endpoint, client.is_grpc, client.gzip) == (ENDPOINT, False, False)
    assert (client.timeout, client.headers, client.cafile) == (10.0, {}, None)


def test_everything_can_be_said(tmp_path: Path) -> None:
    otel = {
        "endpoint": "https://collector:4317",
        "protocol": "grpc",
        "headers": {"X-Api-Key": "hunter2"},
        "cafile": "/etc/ca.pem",
        "certfile": "/etc/us.pem",
        "keyfile": "/etc/us.key",
        "compression": "gzip",
        "timeout": "500ms",
        "traces": False,
        "metrics": True,
        "logs": "on",
        "sampling": 0.25,
        "metrics_interval": "15s",
        "resource_attributes": {"deployment.environment.name": "lab", "rack": 7},
    }
    section = otel_options(configured(tmp_path, otel=otel))
    assert section is not None
    assert (section.traces, section.metrics, section.logs) == (False, True, True)
    assert (section.sampling, section.metrics_interval) == (0.25, 15)
    client = section.client
    assert client.headers == {"x-api-key": "hunter2"}
    assert client.resource_attributes == {
        "deployment.environment.name": "lab",
        "rack": 7,
    }
    assert (client.is_grpc, client.gzip, client.timeout) == (True, True, 0.5)
    files = (client.cafile, client.certfile, client.keyfile)
    assert files == (Path("/etc/ca.pem"), Path("/etc/us.pem"), Path("/etc/us.key"))


def test_no_header_and_no_password_is_shown(tmp_path: Path) -> None:
    otel = {
        "endpoint": "http://me:hunter2@10.0.0.9:4318",
        "headers": {"x-scope-orgid": "hunter3"},
    }
    effective = configured(tmp_path, otel=otel)
    assert "hunter" not in effective.masked
    assert json.loads(effective.masked)["otel"]["headers"] == {"x-scope-orgid": "***"}
    section = otel_options(effective)
    assert section is not None
    assert "hunter" not in repr(section) + section.client.shown
    assert section.client.endpoint == ENDPOINT
    assert section.client.headers["authorization"] == "Basic bWU6aHVudGVyMg=="


def test_variables_of_opentelemetry_count_where_ours_say_nothing(
    tmp_path: Path,
) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://elsewhere:4317",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b,x=1",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/etc/ca.pem",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_METRIC_EXPORT_INTERVAL": "15000",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=theirs,team=dba",
        "OTEL_SERVICE_NAME": "postgres-ha",
        "REGNAL_OTEL_METRICS": "on",
    }
    otel = {"compression": "none", "headers": {"x": "2"}}
    section = otel_options(configured(tmp_path, environ, otel=otel))
    assert section is not None
    assert section.client.endpoint == "https://elsewhere:4317"
    assert section.client.is_grpc
    assert section.client.headers == {"api-key": "a b", "x": "2"}
    assert section.client.cafile == Path("/etc/ca.pem")
    assert not section.client.gzip
    assert section.metrics
    assert section.metrics_interval == 15
    assert section.client.resource_attributes == {
        "service.name": "postgres-ha",
        "team": "dba",
    }
    assert "OTEL_SERVICE_NAME" in environ, "others may read it"


@pytest.mark.parametrize(
    ("otel", "environ", "then"),
    [
        ({}, {}, "otel.endpoint: is missing"),
        ({"endpoint": "collector:4318"}, {}, "is no URL with http:// or https://"),
        ({"endpoint": "http://"}, {}, "is no URL"),
        ({"endpoint": "http://[::1"}, {}, "is no URL"),
        ({"endpoint": "http://x:99999"}, {}, "is no URL"),
        ({"endpoint": f"{ENDPOINT}/v1/traces"}, {}, "ends with the path of one signal"),
        ({"endpoint": f"{ENDPOINT}?a=b"}, {}, "more than a host and a path"),
        ({"endpoint": ENDPOINT, "protocol": "http/json"}, {}, "otel.protocol"),
        ({"endpoint": ENDPOINT, "sampling": 2}, {}, "otel.sampling"),
        ({"endpoint": ENDPOINT, "keyfile": "k"}, {}, "otel.certfile: is missing"),
        ({"endpoint": ENDPOINT, "headers": "a"}, {}, "otel.headers"),
        ({"endpoint": ENDPOINT, "headers": {"a b": "c"}}, {}, "no name of a header"),
        ({"endpoint": ENDPOINT, "headers": {"a": "b\nc"}}, {}, "that no header may"),
        (
            {"endpoint": ENDPOINT},
            {"OTEL_EXPORTER_OTLP_HEADERS": "secret"},
            "OTEL_EXPORTER_OTLP_HEADERS: has a part without key=value",
        ),
        (
            {"endpoint": ENDPOINT},
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            "OTEL_EXPORTER_OTLP_PROTOCOL",
        ),
        ({"endpoint": ENDPOINT}, {"OTEL_SERVICE_NAME": "\udcff"}, "is not UTF-8 text"),
    ],
)
def test_what_cannot_be_used_is_refused(
    otel: dict[str, Any], environ: dict[str, str], then: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        configured(tmp_path, environ, otel=otel)
    assert then in str(refused.value)
    assert "secret" not in str(refused.value)


def test_an_unknown_option_is_warned_of(tmp_path: Path) -> None:
    effective = configured(tmp_path, otel={"endpoint": ENDPOINT, "trace": "on"})
    assert any(
        "otel.trace is not a known option; did you mean traces?" in warning
        for warning in effective.warnings
    )


def test_it_stays_as_it_is_until_the_daemon_is_restarted(tmp_path: Path) -> None:
    ours = source(document(otel={"endpoint": ENDPOINT}), directory=tmp_path)
    ours.load()
    changed = document(otel={"endpoint": "http://elsewhere:4318"})
    (tmp_path / "regnal.yml").write_text(json.dumps(changed))
    effective = ours.reload()
    assert effective.document["otel"]["endpoint"] == ENDPOINT
    assert "otel stays as it is until the daemon is restarted" in effective.warnings
