"""`query` on a real PostgreSQL."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bridges.postgres.conftest import as_postgres
from tests.bridges.postgres.servers import BIN_DIR, SUPERUSER, free_port, initdb
from tests.regnal.cli.ctl_runs import Ctl, store_with

pytestmark = pytest.mark.server

SQL = "SELECT 1 a, NULL b, date '2030-01-02' c, 1.5 d, true e, 'x' f"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """`127.0.0.1:port` of a server that lets everybody in from this host."""
    port = free_port()
    with as_postgres():
        folder = Path(tempfile.mkdtemp(prefix="regnal-query-", dir="/tmp"))
        initdb(folder / "data")
        hba = folder / "data" / "pg_hba.conf"
        hba.write_text("host all all 127.0.0.1/32 trust\n")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder}"
        pg_ctl(folder, "start", f"--options={options}", f"--log={folder}/log")
    yield f"127.0.0.1:{port}"
    with as_postgres():
        pg_ctl(folder, "stop", "--mode=immediate")
        shutil.rmtree(folder)


def pg_ctl(folder: Path, *arguments: str) -> None:
    subprocess.run(
        [BIN_DIR / "pg_ctl", f"--pgdata={folder / 'data'}", "--wait", *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
    )


@pytest.fixture
def ctl(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> Ctl:
    """A cluster whose leader runs; n2 pretends to be its standby, n3 does not run."""
    assert SUPERUSER.username is not None
    monkeypatch.setenv("PGUSER", SUPERUSER.username)
    url = f"postgres://{address}/postgres"
    nobody = f"postgres://127.0.0.1:{free_port()}/postgres"
    members = {"n1": None, "n2": None, "n3": None}
    return Ctl(
        tmp_path,
        store_with(
            members, n1={"conn_url": url}, n2={"conn_url": url}, n3={"conn_url": nobody}
        ),
    )


@pytest.mark.parametrize(
    "arguments", [[], ["-r", "leader"], ["-r", "primary"], ["-m", "n2"], ["-r", "any"]]
)
def test_rows_are_printed_as_tsv(ctl: Ctl, arguments: list[str]) -> None:
    """CTL-28, P-CTL-09."""
    result = ctl("query", "-c", SQL, *arguments)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == ("a\tb\tc\td\te\tf\n1\tNone\t2030-01-02\t1.5\tTrue\tx\n")


def test_rows_are_printed_in_other_formats(ctl: Ctl) -> None:
    """CTL-28: what JSON cannot hold becomes text."""
    row = {"a": 1, "b": None, "c": "2030-01-02", "d": "1.5", "e": True, "f": "x"}

    assert json.loads(ctl("query", "--format=json", "-c", SQL).stdout) == [row]
    assert "c: '2030-01-02'\n" in ctl("query", "--format=yaml", "-c", SQL).stdout
    assert (
        "| 1 | None | 2030-01-02 |" in ctl("query", "--format=pretty", "-c", SQL).stdout
    )
    assert ctl("query", "--delimiter=|", "-c", "SELECT 1 a, 2 a").stdout == "a|a\n1|2\n"


def test_the_sql_can_come_from_a_file(ctl: Ctl, tmp_path: Path) -> None:
    """CTL-28."""
    file = tmp_path / "query.sql"
    file.write_text("SELECT 4;\nSELECT current_database() AS db")

    assert ctl("query", "-f", str(file), "-d", "template1").stdout == "db\ntemplate1\n"


def test_a_user_and_a_password_can_be_given(ctl: Ctl) -> None:
    """CTL-28."""
    result = ctl(
        "query", "-U", "postgres", "--password", "-c", "SELECT user", typed="secret\n"
    )

    assert result.stdout.endswith("user\npostgres\n")
    assert "secret" not in result.stdout


def test_we_say_who_we_are(ctl: Ctl) -> None:
    assert "\nPatroni ctl\n" in ctl("query", "-c", "SHOW application_name").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-c", "selec"], "ERROR, SQLSTATE: 42601"),
        (["-c", "SET work_mem = '1MB'"], "ERROR, SQLSTATE: no results to fetch"),
        (["-c", "SELECT 1", "-m", "n3"], "ERROR, SQLSTATE: connection to server at"),
        (["-c", "SELECT 1", "-m", "n9"], "No connection to member n9 is available"),
        (
            ["-c", "SELECT 1", "-r", "replica"],
            "No connection to role 'replica' is available",
        ),
        (
            ["-c", "SELECT 1", "-r", "standby-leader"],
            "No connection to role 'standby-leader' is available",
        ),
    ],
)
def test_errors_are_rows_with_the_time(
    ctl: Ctl, arguments: list[str], says: str
) -> None:
    """CTL-28: a server that does not run in the wanted role is not asked."""
    result = ctl("query", *arguments)

    time, _, text = result.stdout.partition("\t")
    assert (result.exit_code, len(time)) == (0, len("2030-01-01 10:00:00"))
    assert text.startswith(says)
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "You need to specify either --command or --file"),
        (
            ["-c", "x", "-f", "/dev/null"],
            "--file and --command are mutually exclusive options",
        ),
        (
            ["-c", "x", "-r", "any", "-m", "n1"],
            "--role and --member are mutually exclusive options",
        ),
    ],
)
def test_a_query_must_be_clear(ctl: Ctl, arguments: list[str], error: str) -> None:
    """CTL-28."""
    result = ctl("query", *arguments)

    assert (result.exit_code, result.stderr) == (1, f"Error: {error}\n")
