"""Runs regnalctl in this process, against a store and members of the test."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from regnal.cli.ctl import ctl
from regnal.cli.ctl_store import ClusterStore
from regnal.runtime.options import StoreOptions
from tests.servers.fake_member import FakeMember
from tests.servers.memory_store import MemoryStore

SYSTEM_IDENTIFIER = "7301234567890123456"
CONFIG = {"ttl": 30, "loop_wait": 10, "retry_timeout": 10}
CONFIGURATION = {"scope": "demo", "etcd3": {"host": "127.0.0.1:2379"}}


class Ctl:
    """One person's regnalctl: a configuration file, and the stores that it leads to."""

    def __init__(self, directory: Path, store: ClusterStore) -> None:
        self.store = store
        self.opened: list[StoreOptions] = []
        self.file = directory / "ctl.yml"
        self.configure(CONFIGURATION)

    def configure(self, configuration: Mapping[str, Any]) -> None:
        self.file.write_text(yaml.safe_dump(dict(configuration)))

    def __call__(self, *arguments: str, typed: str = "") -> Result:
        return self.bare("--config-file", str(self.file), *arguments, typed=typed)

    def bare(self, *arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(
            ctl,
            list(arguments),
            input=typed,
            obj=self._open,
            prog_name="regnalctl",
            catch_exceptions=False,
        )

    def _open(self, options: StoreOptions) -> ClusterStore:
        self.opened.append(options)
        return self.store


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine that runs the tests."""
    for name in ("PATRONICTL_CONFIG_FILE", "DCS_URL", "DCS", "EDITOR", "PAGER"):
        monkeypatch.delenv(name, raising=False)


def member_key(name: str, **fields: Any) -> str:
    """The value of a running replica's key, changed by `fields`; None leaves one out."""
    number = sum(name.encode()) % 200 + 1
    document = {
        "conn_url": f"postgres://127.0.0.{number}:5432/postgres",
        "state": "running",
        "role": "replica",
        "version": "4.1.5",
        "timeline": 3,
    }
    document |= fields
    return json.dumps({k: v for k, v in document.items() if v is not None})


def store_with(
    members: Mapping[str, FakeMember | None],
    *,
    leader: str | None = "n1",
    config: Mapping[str, Any] = CONFIG,
    **fields: Mapping[str, Any],
) -> MemoryStore:
    """A healthy cluster of these members; `fields` change one member's key each."""
    values = {
        "initialize": SYSTEM_IDENTIFIER,
        "config": json.dumps(config),
        "status": '{"optime":83886408}',
    }
    if leader is not None:
        values["leader"] = leader
    for name, server in members.items():
        role = "primary" if name == leader else "replica"
        given: dict[str, Any] = {"role": role, "api_url": server and server.url}
        given |= fields.get(name, {})
        values[f"members/{name}"] = member_key(name, **given)
    return MemoryStore(values)
