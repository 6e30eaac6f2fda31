"""No secret gets into a journal, and so into nothing that is made of one.

What leaves the host (bundles, `GET /journal`, the stream, stories, reports) are the
lines of the journal or made of them.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from regnal.journal.encoding import without_secrets
from regnal.messages.base import Message
from regnal.messages.masking import SecretMask
from regnal.messages.requests import Caller, ConfigPatchRequested
from regnal.messages.settings import ApplyDynamicConfiguration, ConfigurationApplied
from tests.actors.builders import seen
from tests.journal.builders import Member, records
from tests.regnal.configuration.builders import loaded
from tests.regnal.configuration.planting import planted

CANARY = "c4nary"

DYNAMIC = {
    "ttl": 30,
    "standby_cluster": {
        "host": "10.0.0.9",
        "primary_conninfo": f"host=h password={CANARY}",
    },
    "postgresql": {
        "authentication": {"replication": {"username": "r", "password": CANARY}},
        "parameters": {
            "archive_command": f"AWS_SECRET_ACCESS_KEY={CANARY} PGPASSWORD='{CANARY}' x",
            "primary_conninfo": f"postgres://r:{CANARY}@10.0.0.9/db",
            "some.token": CANARY,
            "restore_command": f"fetch --password {CANARY} %f",
        },
        "pg_hba": ["host all all 0.0.0.0/0 scram-sha-256"],
        "recovery_conf": {"primary_conninfo": f"user=x password = '{CANARY} y'"},
    },
    "secrets": {"deep": [CANARY, {"deeper": CANARY}]},
}
TEXTS = (json.dumps(DYNAMIC), json.dumps(DYNAMIC, indent=2), json.dumps([DYNAMIC]))


def words(text: str) -> tuple[Message, ...]:
    caller = Caller(address="10.0.0.1", username=None, user_agent=None)
    observed = seen("pg1", "pg2")
    return (
        observed.model_copy(
            update={"view": observed.view.model_copy(update={"config": text})}
        ),
        ApplyDynamicConfiguration(document=text),
        ConfigPatchRequested(request="r", caller=caller, document=text),
    )


@pytest.mark.parametrize("text", TEXTS)
def test_no_word_brings_a_secret_into_the_journal(tmp_path: Path, text: str) -> None:
    effective = loaded(planted(CANARY), directory=tmp_path)
    applied = ConfigurationApplied(
        settings=effective.settings.model_copy(update={"bootstrap_config": text}),
        document=effective.masked,
        postgres_changed=True,
        dynamic=text,
    )
    member = Member(tmp_path / "journal").open()
    for message in (*words(text), applied):
        assert CANARY in message.model_dump_json(), "it is planted"
        member.tell(message)
    member.ledger.roll("asked")
    member.ledger.close()
    said: dict[str, Any] = {
        str(r.fields.get("type")): r.fields.get("data")
        for r in records(member.directory)
    }
    masked = said["apply_dynamic_configuration"]["document"]
    assert said["cluster_observed"]["view"]["config"] == masked, "replay compares them"
    assert said["configuration_applied"]["dynamic"] == masked
    written = b"".join(path.read_bytes() for path in (tmp_path / "journal").iterdir())
    assert b"cluster_observed" in written
    assert CANARY.encode() not in written


@pytest.mark.parametrize("text", TEXTS)
def test_all_but_the_secrets_stays_as_it_was(text: str) -> None:
    mask = SecretMask(b"key")
    shown = mask.of_text(text)
    found = json.loads(shown)
    found = found[0] if isinstance(found, list) else found
    assert CANARY not in shown
    assert found["ttl"] == 30
    assert found["postgresql"]["pg_hba"] == DYNAMIC["postgresql"]["pg_hba"]  # type: ignore[index]
    assert mask.of_text(shown) == shown, "a mask is not masked again"


def test_a_document_without_secrets_keeps_its_bytes() -> None:
    text = b'{"data":{"config":"{ \\"ttl\\" : 30,\\n \\"tokens\\": 5 }"}}'
    assert without_secrets(text) == text


def test_a_mask_shows_when_its_secret_changed_and_nothing_else() -> None:
    def shown(secret: str, key: bytes = b"key") -> str:
        return SecretMask(key).of_text(json.dumps({"password": secret}))

    assert shown("one") == shown("one")
    assert shown("one") != shown("two")
    assert shown("one") != shown("one", b"another process")
    assert len(shown("a much longer secret")) == len(shown("one"))


def test_what_a_person_reads_of_an_error_stays() -> None:
    text = 'FATAL: password authentication failed for user "x" (token expired)'
    assert SecretMask(b"key").of_text(text) == text
