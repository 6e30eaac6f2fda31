"""Where regnalctl gets its configuration, and how it reaches stores and members."""

import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from regnal.bridges.dcs.contract import StoreDenied, StoreUnavailable
from regnal.cli import ctl_session, ctl_store
from regnal.cli.dcs_url import NamedStore, parse_dcs_url
from tests.regnal.cli.ctl_runs import CONFIGURATION, Ctl, store_with
from tests.servers.fake_member import FakeMember, fake_members
from tests.servers.memory_store import MemoryStore

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the person who runs the tests."""
    for name in ("PATRONICTL_CONFIG_FILE", "DCS_URL", "DCS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ctl_session, "DEFAULT_CONFIG_FILE", tmp_path / "default.yml")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("etcd3://h:2379", NamedStore("etcd3", {"host": "h:2379"}, None)),
        ("etcd3://h/a/b/", NamedStore("etcd3", {"host": "h:2379"}, "a/b")),
        ("h", NamedStore("etcd", {"host": "h:2379"}, None)),
        ("h:2379/ns", NamedStore("etcd", {"host": "h:2379"}, "ns")),
        ("h:8500", NamedStore("consul", {"host": "h:8500"}, None)),
        ("h:2181", NamedStore("zookeeper", {"hosts": ["h:2181"]}, None)),
        ("h:8181", NamedStore("exhibitor", {"hosts": ["h"], "port": 8181}, None)),
        ("h:1234", NamedStore("etcd", {"host": "h:1234"}, None)),
        ("consul://[::1]", NamedStore("consul", {"host": "[::1]:8500"}, None)),
    ],
)
def test_a_store_can_be_named_by_a_url(url: str, expected: NamedStore) -> None:
    """P-CTL-06."""
    assert parse_dcs_url(url) == expected


@pytest.mark.parametrize("url", ["foo://h", "etcd://h:x", "etcd3://h:99999"])
def test_a_url_that_names_no_store_is_refused(url: str, tmp_path: Path) -> None:
    result = Ctl(tmp_path, MemoryStore({})).bare("-d", url, "list", "demo")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")


def test_a_url_replaces_the_stores_of_the_file(tmp_path: Path) -> None:
    """CTL-01, P-CTL-06: the path is the namespace, the file's scope stays."""
    ctl = Ctl(tmp_path, MemoryStore({}))
    ctl.configure({**CONFIGURATION, "consul": {"host": "c"}, "namespace": "x"})

    ctl("--dcs", "etcd://h/ns", "list")

    (options,) = ctl.opened
    assert (options.section, options.options["host"]) == ("etcd", "h:2379")
    assert (options.namespace, options.scope) == ("ns", "demo")


@pytest.mark.parametrize("variable", ["DCS_URL", "DCS"])
def test_the_url_can_come_from_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "etcd3://h")
    ctl = Ctl(tmp_path, MemoryStore({}))

    assert ctl.bare("list", "demo").exit_code == 0
    assert ctl.opened[0].section == "etcd3"


def test_the_file_can_come_from_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CTL-01."""
    ctl = Ctl(tmp_path, MemoryStore({}))
    monkeypatch.setenv("PATRONICTL_CONFIG_FILE", str(ctl.file))

    assert ctl.bare("list").exit_code == 0
    assert ctl.opened[0].scope == "demo"


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    """CTL-02."""
    result = Ctl(tmp_path, MemoryStore({})).bare("-c", "/nowhere.yml", "list")

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: Provided config file /nowhere.yml not existing or no read rights. "
        "Check the -c/--config-file parameter\n"
    )


def test_the_default_file_may_be_missing(tmp_path: Path) -> None:
    """CTL-02: then a store must be named in some other way."""
    result = Ctl(tmp_path, MemoryStore({})).bare("list", "demo")

    assert result.exit_code == 1
    assert "Can not find suitable configuration of distributed" in result.stderr
    assert "--dcs-url" in result.stderr


def test_the_configuration_of_a_daemon_serves(tmp_path: Path) -> None:
    """CTL-01, P-CTL-19: in it there is much that is not for ctl."""
    ctl = Ctl(tmp_path, MemoryStore({}))
    ctl.configure(
        {
            **CONFIGURATION,
            "name": "n1",
            "bootstrap": {"dcs": {"ttl": 5}},
            "postgresql": {"parameters": {"max_connections": 5}},
        }
    )

    result = ctl("list")

    assert (result.exit_code, result.stderr) == (0, "")


def test_a_broken_file_is_told_with_its_line(tmp_path: Path) -> None:
    ctl = Ctl(tmp_path, MemoryStore({}))
    ctl.file.write_text("scope: demo\netcd3: {host\n")

    result = ctl("list")

    assert result.exit_code == 1
    assert re.match(r"Error: .*ctl\.yml: is not YAML: .*line \d", result.stderr)


@pytest.mark.parametrize("command", [["dsn"], ["show-config"], ["history"], ["pause"]])
def test_some_cluster_must_be_meant(tmp_path: Path, command: list[str]) -> None:
    """CTL-03."""
    ctl = Ctl(tmp_path, MemoryStore({}))
    ctl.configure({"etcd3": {"host": "h"}})

    result = ctl(*command)

    assert result.exit_code == 1
    assert "No cluster is named" in result.stderr


def test_a_list_of_nothing_is_a_warning(tmp_path: Path) -> None:
    ctl = Ctl(tmp_path, MemoryStore({}))
    ctl.configure({"etcd3": {"host": "h"}})

    result = ctl("list")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "No cluster names were provided" in result.stderr


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (
            StoreUnavailable("connection refused"),
            "No answer from the store etcd3 (127.0.0.1:2379): connection refused; check",
        ),
        (StoreDenied("bad password"), "bad password; check the credentials"),
    ],
)
def test_a_store_that_fails_is_named_with_a_remedy(
    tmp_path: Path, failure: StoreUnavailable, says: str
) -> None:
    store = MemoryStore({})
    store.broken = failure

    result = Ctl(tmp_path, store)("list")

    assert result.exit_code == 1
    assert says in result.stderr
    assert "Traceback" not in result.stderr


class StuckStore(MemoryStore):
    """Its client never comes back, whatever the deadline is."""

    def __init__(self) -> None:
        super().__init__({})
        self.released = threading.Event()

    def _answer(self) -> None:
        self.released.wait()


def test_a_stuck_store_does_not_hang_ctl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctl_store, "PATIENCE", 0.05)
    monkeypatch.setattr(ctl_store, "GRACE", 0.05)
    store = StuckStore()

    result = Ctl(tmp_path, store)("list")
    store.released.set()

    assert result.exit_code == 1
    assert "No answer from the store etcd3 (127.0.0.1:2379)" in result.stderr


def test_watching_opens_the_store_once(tmp_path: Path) -> None:
    """P-CTL-12, CTL-07."""
    store = MemoryStore({})

    def interrupt() -> None:
        raise KeyboardInterrupt

    def then_interrupt() -> None:
        store.meanwhile = interrupt

    store.meanwhile = then_interrupt
    ctl = Ctl(tmp_path, store)

    result = ctl("list", "-w", "0.01")

    assert (result.exit_code, result.stderr.strip()) == (1, "Aborted!")
    assert store.reads >= 1
    assert len(ctl.opened) == 1


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """For 127.0.0.1, signed by itself; key and certificate in one file."""
    file = tmp_path / "server.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", file, "-out", tmp_path / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    with file.open("a") as both:
        both.write((tmp_path / "cert.pem").read_text())
    return file


def test_credentials_are_sent(tmp_path: Path) -> None:
    """CTL-04: those of ctl, else those of restapi."""
    with fake_members("n1", credentials=("u", "secret")) as members:
        members["n1"].answers["PATCH /config"] = (200, "{}")
        ctl = Ctl(tmp_path, store_with(members))
        account = {"username": "u", "password": "secret"}
        wrong = {"username": "u", "password": "wrong"}

        assert "401" in ctl("pause").stdout
        ctl.configure({**CONFIGURATION, "restapi": {"authentication": account}})
        assert "paused" in ctl("pause").stdout
        ctl.configure(
            {
                **CONFIGURATION,
                "restapi": {"authentication": wrong},
                "ctl": {"authentication": account},
            }
        )
        assert "paused" in ctl("pause").stdout


@pytest.fixture
def encrypted(certificate: Path) -> Iterator[dict[str, FakeMember]]:
    with fake_members("n1", certificate=certificate) as members:
        members["n1"].answers["PATCH /config"] = (200, "{}")
        yield members


def test_a_certificate_that_nobody_vouches_for_is_refused(
    tmp_path: Path, encrypted: dict[str, FakeMember]
) -> None:
    """CTL-05."""
    result = Ctl(tmp_path, store_with(encrypted))("pause")

    assert result.exit_code == 1
    assert "certificate" in result.stderr


def test_certificates_are_verified_by_the_configured_ca_or_not_at_all(
    tmp_path: Path, encrypted: dict[str, FakeMember], certificate: Path
) -> None:
    """CTL-05."""
    ctl = Ctl(tmp_path, store_with(encrypted))

    assert "paused" in ctl("--insecure", "pause").stdout
    for section in (
        {"ctl": {"insecure": True}},
        {"ctl": {"cacert": str(certificate)}},
        {"restapi": {"cafile": str(certificate)}},
    ):
        ctl.configure({**CONFIGURATION, **section})
        assert "paused" in ctl("pause").stdout


@pytest.mark.parametrize("insecure", [False, True])
def test_a_client_certificate_is_presented(
    tmp_path: Path, certificate: Path, insecure: bool
) -> None:
    """P-CTL-02, P-CTL-03, P-CTL-04: only from the ctl section."""
    with fake_members("n1", certificate=certificate, clients_ca=certificate) as members:
        members["n1"].answers["PATCH /config"] = (200, "{}")
        ctl = Ctl(tmp_path, store_with(members))
        files = {"certfile": str(certificate), "keyfile": str(certificate)}
        trust = {"cacert": str(certificate), "insecure": insecure}

        ctl.configure({**CONFIGURATION, "ctl": {**trust, **files}})
        assert "paused" in ctl("pause").stdout

        ctl.configure({**CONFIGURATION, "ctl": trust, "restapi": files})
        assert ctl("pause").exit_code == 1


def test_a_certificate_that_cannot_be_used_is_named(
    tmp_path: Path, encrypted: dict[str, FakeMember]
) -> None:
    ctl = Ctl(tmp_path, store_with(encrypted))
    ctl.configure({**CONFIGURATION, "ctl": {"certfile": "/nowhere.pem"}})

    result = ctl("pause")

    assert result.exit_code == 1
    assert "certificates of the ctl section" in result.stderr
