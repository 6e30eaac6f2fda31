"""Authentication by certificate on real servers, the private key with a password."""

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest

from regnal.bridges.postgres.options import Credentials
from regnal.messages.postgres import (
    ClonePostgres,
    PostgresCloned,
    PostgresReloaded,
    PostgresStarted,
    ReloadPostgres,
)
from tests.bridges.postgres.recorder import (
    Driven,
    start_standby,
    streams,
    upstream_of,
)
from tests.bridges.postgres.servers import REPLICATION, options_for

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl"),
]

PASSWORD = "secret-of-the-key"


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(
        ["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60
    )


@pytest.fixture
def certificates(playground: Path) -> Path:
    """An authority `ca`, the server's pair, and the replication user's with an
    encrypted key."""
    folder = playground / "certificates"
    folder.mkdir()
    openssl(
        folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=authority",
    )  # fmt: skip
    for name, subject, protection in (
        ("server", "127.0.0.1", ("-nodes",)),
        ("client", REPLICATION.username, ("-passout", f"pass:{PASSWORD}")),
    ):
        openssl(
            folder, "req", "-newkey", "rsa:2048", *protection, "-keyout", f"{name}.key",
            "-out", f"{name}.csr", "-subj", f"/CN={subject}",
        )  # fmt: skip
        openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt",
            "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out", f"{name}.crt",
        )  # fmt: skip
        (folder / f"{name}.key").chmod(0o600)
    return folder


def test_a_replica_authenticates_by_certificate(
    primary: Driven, playground: Path, certificates: Path
) -> None:
    """SEC-01, SEC-02, SEC-05: the base backup and the stream."""
    lines = (
        "local all all trust",
        "host all postgres 127.0.0.1/32 scram-sha-256",
        "hostssl replication replicator 127.0.0.1/32 cert",
    )
    changed = primary.with_parameters(
        ssl="on",
        ssl_ca_file=str(certificates / "ca.crt"),
        ssl_cert_file=str(certificates / "server.crt"),
        ssl_key_file=str(certificates / "server.key"),
    )
    primary.bridge.reconfigure(dataclasses.replace(changed, pg_hba=lines))
    primary.do(ReloadPostgres(), PostgresReloaded)
    credentials = Credentials(
        REPLICATION.username,
        None,
        {
            "sslmode": "verify-ca",
            "sslrootcert": str(certificates / "ca.crt"),
            "sslcert": str(certificates / "client.crt"),
            "sslkey": str(certificates / "client.key"),
            "sslpassword": PASSWORD,
        },
    )
    options = options_for(playground, "pg2", replication=credentials)
    replica = Driven(options)
    try:
        source = upstream_of(primary)
        replica.do(ClonePostgres(source=source), PostgresCloned)
        replica.do(start_standby(primary), PostgresStarted)
        replica.observe_until(streams, "streamed")
    finally:
        replica.close()
    for said in replica.voice.said:
        assert PASSWORD not in said.message.model_dump_json()
