"""The REST API with TLS: certificates, clients' certificates, changes on disk."""

import contextlib
import logging
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from regnal.bridges.http.errors import UnusableOptions
from regnal.bridges.http.options import RestOptions, ServerCertificate
from tests.bridges.http.certificates import Authority, authority
from tests.bridges.http.running import (
    CLIENT,
    DEADLINE,
    PLAIN,
    Api,
    answered,
    primary,
    read_reply,
    serving,
)


@pytest.fixture
def signer(tmp_path: Path) -> Authority:
    return authority(tmp_path)


def with_tls(signer: Authority, **fields: Any) -> RestOptions:
    certfile, keyfile = signer.issue("pg1")
    return replace(PLAIN, tls=certificate(certfile, keyfile, **fields))


def certificate(
    certfile: Path, keyfile: Path | None, **fields: Any
) -> ServerCertificate:
    return ServerCertificate(
        **{
            "certfile": certfile,
            "keyfile": keyfile,
            "keyfile_password": None,
            "cafile": None,
            "ciphers": None,
            "verify_client": "none",
            **fields,
        }
    )


def trusting(signer: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(signer.certificate))


@contextlib.contextmanager
def serving_tls(
    signer: Authority, options: RestOptions, client: str | None = None
) -> Iterator[Api]:
    """`client`: who the client shows to be; None: nobody."""
    with serving(options, answering=answered(200, "done")) as running:
        running.tls = trusting(signer)
        if client is not None:
            running.tls.load_cert_chain(*signer.issue(client))
        running.publish(primary())
        yield running


def presented(api: Api) -> bytes:
    """The certificate that the listener shows now."""
    assert api.tls is not None
    with (
        socket.create_connection(("127.0.0.1", api.port), DEADLINE) as plain,
        api.tls.wrap_socket(plain, server_hostname="127.0.0.1") as client,
    ):
        shown = client.getpeercert(binary_form=True)
    assert shown is not None
    return shown


def test_the_api_speaks_tls(signer: Authority) -> None:
    """REST-33, REST-35, REST-41."""
    options = replace(with_tls(signer), https_extra_headers={"X-Secure": "yes"})
    with serving_tls(signer, options) as api:
        reply = api.ask("GET", "/primary")
        assert reply.status == 200
        assert reply.headers["x-secure"] == "yes"
        assert api.ask("OPTIONS", "/primary").status == 200
        assert api.ask("POST", "/reload").text == "done"


def test_old_protocols_are_off(signer: Authority) -> None:
    """REST-33."""
    with serving_tls(signer, with_tls(signer)) as api:
        assert api.tls is not None
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            api.tls.minimum_version = ssl.TLSVersion.TLSv1
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            api.tls.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError):
            api.ask("GET", "/primary")


def test_the_key_may_be_in_the_certificates_file_and_encrypted(
    signer: Authority,
) -> None:
    """REST-33."""
    certfile, keyfile = signer.issue("pg1", password="open")
    both = signer.directory / "both.pem"
    both.write_bytes(certfile.read_bytes() + keyfile.read_bytes())
    tls = certificate(both, None, keyfile_password="open")
    with serving_tls(signer, replace(PLAIN, tls=tls)) as api:
        assert api.status("/primary") == 200


def test_ciphers_are_restricted(signer: Authority) -> None:
    """REST-33."""
    options = with_tls(signer, ciphers="ECDHE-ECDSA-AES256-GCM-SHA384")
    with serving_tls(signer, options) as api:
        assert api.tls is not None
        api.tls.maximum_version = ssl.TLSVersion.TLSv1_2
        assert api.status("/primary") == 200
        api.tls.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        with pytest.raises(ssl.SSLError):
            api.status("/primary")


@pytest.mark.parametrize(
    ("fields", "option"),
    [
        ({"keyfile_password": "wrong"}, "keyfile"),
        ({"keyfile_password": None}, "keyfile"),
        ({"certfile": Path("/nonexistent")}, "certfile"),
        ({"ciphers": "NO-SUCH-CIPHER"}, "ciphers"),
        ({"cafile": Path("/nonexistent")}, "cafile"),
    ],
)
def test_what_cannot_be_used_is_named(
    signer: Authority, fields: dict[str, Any], option: str
) -> None:
    """REST-33, law 8; and nobody is asked for a password on the terminal."""
    certfile, keyfile = signer.issue("pg1", password="open")
    given = {"certfile": certfile, "keyfile": keyfile, "keyfile_password": "open"}
    tls = certificate(**{**given, **fields})
    with (
        pytest.raises(UnusableOptions, match=rf"restapi\..*{option}") as refused,
        serving(replace(PLAIN, tls=tls)),
    ):
        pass
    assert "open" not in str(refused.value).replace("OpenSSL", "").split("(")[0]


@pytest.mark.parametrize(
    ("verify", "client", "get", "post"),
    [
        ("none", None, 200, 200),
        ("optional", None, 200, 403),
        ("optional", "ctl", 200, 200),
        ("required", "ctl", 200, 200),
    ],
)
def test_certificates_of_clients(
    signer: Authority, verify: str, client: str | None, get: int, post: int
) -> None:
    """REST-37."""
    options = with_tls(signer, verify_client=verify, cafile=signer.certificate)
    with serving_tls(signer, options, client) as api:
        assert api.status("/primary") == get
        reply = api.ask("POST", "/reload")
        assert reply.status == post
        if post == 403:
            assert reply.text == "client certificate required"


def test_without_a_certificate_that_is_required_there_is_no_connection(
    signer: Authority,
) -> None:
    """REST-37."""
    options = with_tls(signer, verify_client="required", cafile=signer.certificate)
    with (
        serving_tls(signer, options) as api,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        api.status("/primary")


def test_a_certificate_of_somebody_else_is_none(
    signer: Authority, tmp_path: Path
) -> None:
    """REST-37."""
    options = with_tls(signer, verify_client="optional", cafile=signer.certificate)
    other = authority(tmp_path, "other")
    with serving_tls(signer, options) as api:
        assert api.tls is not None
        api.tls.load_cert_chain(*other.issue("stranger"))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            api.ask("POST", "/reload")


def test_a_certificate_that_changed_on_disk_is_used_after_a_reload(
    signer: Authority,
) -> None:
    """REST-36, P-REST-16: connections that exist go on with the old one."""
    options = with_tls(signer)
    with serving_tls(signer, options) as api:
        before = presented(api)
        with contextlib.closing(api.connect()) as kept:
            kept.request("GET", "/primary")
            assert read_reply(kept).status == 200
            signer.issue("pg1")
            assert presented(api) == before
            api.bridge.reconfigure(options, CLIENT)
            assert presented(api) != before
            kept.request("GET", "/primary")
            assert read_reply(kept).status == 200


def test_no_client_is_turned_away_while_it_changes(signer: Authority) -> None:
    """P-REST-16: clients that wait in the kernel's queue are served by the new one."""
    options = with_tls(signer)
    with serving_tls(signer, options) as api:
        for _ in range(20):
            waiting = [
                socket.create_connection(("127.0.0.1", api.port), DEADLINE)
                for _ in range(5)
            ]
            signer.issue("pg1")
            api.bridge.reconfigure(options, CLIENT)
            assert api.tls is not None
            for plain in waiting:
                with api.tls.wrap_socket(plain, server_hostname="127.0.0.1") as client:
                    client.sendall(b"GET /primary HTTP/1.0\r\n\r\n")
                    assert client.recv(12) == b"HTTP/1.1 200"


def test_without_a_change_the_listener_stays(signer: Authority) -> None:
    """REST-36."""
    options = with_tls(signer)
    with serving_tls(signer, options) as api:
        before = api.bridge._server._servers
        api.bridge.reconfigure(options, CLIENT)
        assert api.bridge._server._servers is before


def test_a_broken_certificate_leaves_the_old_one(
    signer: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """Law 8: what ran goes on running."""
    options = with_tls(signer)
    assert options.tls is not None
    with serving_tls(signer, options) as api:
        before = presented(api)
        options.tls.certfile.write_text("not yet written completely")
        api.bridge.reconfigure(options, CLIENT)
        assert "restapi.certfile" in caplog.text
        assert presented(api) == before
        signer.issue("pg1")
        api.bridge.reconfigure(options, CLIENT)
        assert presented(api) != before


def test_from_tls_to_plain_and_back(signer: Authority) -> None:
    """REST-36: on the same port."""
    secure = with_tls(signer)
    with serving(secure) as api:
        api.publish(primary())
        api.bridge.reconfigure(replace(secure, tls=None), CLIENT)
        assert api.status("/primary") == 200
        api.bridge.reconfigure(secure, CLIENT)
        api.tls = trusting(signer)
        assert api.status("/primary") == 200


def test_a_client_that_says_nothing_keeps_nobody_waiting(signer: Authority) -> None:
    """REST-34: the handshake is not in the accept loop."""
    with serving_tls(signer, with_tls(signer)) as api:
        silent = [
            socket.create_connection(("127.0.0.1", api.port), DEADLINE)
            for _ in range(20)
        ]
        assert api.status("/primary") == 200
        for client in silent:
            client.close()


def test_clients_that_leave_early_leave_no_trace(
    signer: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """P-REST-17, P-REST-18, REST-43."""
    caplog.set_level(logging.INFO)
    with serving_tls(signer, with_tls(signer)) as api:
        for sent in (b"", b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01", b"\x00" * 300):
            with socket.create_connection(("127.0.0.1", api.port), DEADLINE) as client:
                client.sendall(sent)
        assert api.tls is not None
        plain = socket.create_connection(("127.0.0.1", api.port), DEADLINE)
        client = api.tls.wrap_socket(plain, server_hostname="127.0.0.1")
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        client.close()
        assert api.status("/primary") == 200
    assert not [r for r in caplog.records if r.name != "asyncio"], caplog.text


def test_curl_is_served(signer: Authority) -> None:
    """REST-33, REST-35: a client that is not ours, if it is there."""
    with serving_tls(signer, with_tls(signer)) as api:
        try:
            done = subprocess.run(
                [
                    "curl",
                    "-sS",
                    "--cacert",
                    str(signer.certificate),
                    f"https://127.0.0.1:{api.port}/primary",
                ],
                check=False,
                capture_output=True,
                timeout=DEADLINE,
            )
        except FileNotFoundError:
            pytest.skip("curl is not installed")
        assert done.returncode == 0, done.stderr
        assert b'"role": "primary"' in done.stdout
