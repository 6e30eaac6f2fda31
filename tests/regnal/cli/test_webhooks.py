"""`regnal webhooks`: what a receiver would not take, and sending it again."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from regnal.bridges.webhook.sender import Letter
from regnal.cli.webhooks import webhooks_command
from regnal.runtime.publishing import dead_letters
from tests.regnal.configuration.builders import document
from tests.servers.webhook import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def file(receiver: Receiver, tmp_path: Path) -> Path:
    """A configuration whose webhook has two dead letters."""
    path = tmp_path / "regnal.yml"
    content = document(
        journal={"dir": str(tmp_path / "journal")},
        webhooks=[
            {"url": receiver.url, "name": "chat"},
            {"url": receiver.url, "name": "pager"},
        ],
    )
    path.write_text(yaml.safe_dump(content))
    (tmp_path / "journal").mkdir()
    for number in range(2):
        letter = Letter(f"id-{number}", b'{"id": "x"}')
        dead_letters(tmp_path / "journal", "chat").add(letter, "2026", "answered 400")
    return path


def run(*arguments: object, status: int = 0) -> str:
    done = CliRunner().invoke(webhooks_command, [str(one) for one in arguments])
    assert done.exit_code == status, done.output
    return done.output


def test_what_was_kept_is_shown(file: Path) -> None:
    shown = run(file)
    assert "chat (http://127.0.0.1): 2 kept" in shown
    assert "pager (http://127.0.0.1): 0 kept" in shown
    assert "id-1  answered 400" in shown
    assert "hunter2" not in shown
    (first, _) = map(json.loads, run(file, "--json").splitlines())
    assert first["webhook"] == "chat"
    assert first["event"] == {"id": "x"}


def test_it_is_sent_again_and_forgotten(file: Path, receiver: Receiver) -> None:
    assert "chat (http://127.0.0.1): 2 sent" in run(file, "--resend", "--name", "chat")
    assert [one.headers["webhook-id"] for one in receiver.received] == ["id-0", "id-1"]
    assert "0 kept" in run(file, "--name", "chat")


def test_a_receiver_that_still_refuses_keeps_them(
    file: Path, receiver: Receiver
) -> None:
    receiver.status = 400
    assert "2 are still kept" in run(file, "--resend", status=1)


def test_a_name_that_is_none_is_told(file: Path) -> None:
    assert "no webhook 'x'" in run(file, "--name", "x", status=1)
