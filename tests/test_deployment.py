"""What we hand to operators: compose file, service unit, HAProxy and example configurations.

No container engine is needed.  The compose file is held against the compose
specification, HAProxy reads its configurations itself.
"""

import json
import re
import shutil
import subprocess
from configparser import ConfigParser
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parent.parent
EXAMPLES = ("regnal0.yml", "regnal1.yml", "regnal2.yml")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert isinstance(document, dict)
    return document


def test_the_compose_file_keeps_the_compose_specification(
    compose: dict[str, Any],
) -> None:
    schema = resources.files("check_jsonschema").joinpath(
        "builtin_schemas", "vendor", "compose-spec.json"
    )
    jsonschema.validate(compose, json.loads(schema.read_text()))


def test_the_compose_file_has_three_stores_three_members_and_their_company(
    compose: dict[str, Any],
) -> None:
    assert set(compose["services"]) == {
        *("etcd1", "etcd2", "etcd3", "member1", "member2", "member3"),
        *("haproxy", "nats", "otel-collector", "jaeger"),
    }


def test_every_image_has_a_fixed_version(compose: dict[str, Any]) -> None:
    images = [service["image"] for service in compose["services"].values()]
    images += re.findall(r"^FROM (\S+:\S+)", (ROOT / "Dockerfile").read_text(), re.M)
    assert [image for image in images if not re.search(r":\d+\.\d+", image)] == []


def test_what_the_compose_file_names_exists(compose: dict[str, Any]) -> None:
    stages = set(re.findall(r" AS (\w+)$", (ROOT / "Dockerfile").read_text(), re.M))
    for name, service in compose["services"].items():
        assert set(service.get("depends_on", ())) <= set(compose["services"]), name
        assert set(service["networks"]) <= set(compose["networks"]), name
        if "build" in service:
            assert service["build"]["target"] in stages, name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            is_known = source in compose["volumes"] or (ROOT / source).is_file()
            assert is_known, f"{name} mounts {source}"


def test_no_port_of_the_demo_is_open_to_the_network(compose: dict[str, Any]) -> None:
    ports = [
        port
        for service in compose["services"].values()
        for port in service.get("ports", ())
    ]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_the_image_copies_only_what_the_build_context_has() -> None:
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    for source in re.findall(
        r"^COPY (?!--from)(\S+) ", (ROOT / "Dockerfile").read_text(), re.M
    ):
        assert (ROOT / source).exists()
        assert source == "." or f"!{Path(source).parent}" in allowed


def test_the_service_unit_leaves_postgresql_alone() -> None:
    """OPS-03, P-OPS-01: only the daemon is signalled, and it says when it is ready."""
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # systemd minds case
    unit.read(ROOT / "deploy" / "systemd" / "regnal.service")
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["KillMode"] == "process"
    assert service["ExecReload"] == "/bin/kill -s HUP $MAINPID"
    assert service["TimeoutSec"] == "30"
    assert service["Restart"] == "on-failure"


def test_the_example_members_do_not_get_into_each_others_way() -> None:
    members = [
        yaml.safe_load((ROOT / "examples" / name).read_text()) for name in EXAMPLES
    ]
    assert {member["scope"] for member in members} == {"batman"}
    for unique in (
        {member["name"] for member in members},
        {member["restapi"]["listen"] for member in members},
        {member["postgresql"]["listen"] for member in members},
        {member["postgresql"]["data_dir"] for member in members},
        {member["journal"]["dir"] for member in members},
    ):
        assert len(unique) == len(members)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_examples_journal_is_beside_the_data_directory(name: str) -> None:
    member = yaml.safe_load((ROOT / "examples" / name).read_text())
    data = Path(member["postgresql"]["data_dir"])
    journal = Path(member["journal"]["dir"])
    assert journal.parent == data.parent
    assert not journal.is_relative_to(data)


@pytest.mark.server
def test_haproxy_accepts_the_example() -> None:
    assert_haproxy_accepts(ROOT / "examples" / "haproxy.cfg")


@pytest.mark.server
def test_haproxy_accepts_the_configuration_of_the_compose_file() -> None:
    assert_haproxy_accepts(ROOT / "deploy" / "haproxy" / "haproxy.cfg")


def assert_haproxy_accepts(path: Path) -> None:
    haproxy = shutil.which("haproxy") or "/usr/sbin/haproxy"
    checked = subprocess.run(
        [haproxy, "-c", "-f", str(path)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
