"""The sections `nats` and `webhooks`: what is used, what is refused, what nobody sees."""

import json
from pathlib import Path
from typing import Any

import pytest

from regnal.configuration.problems import ConfigurationError
from regnal.runtime.outgoing_options import nats_options, webhook_options
from tests.regnal.configuration.builders import document, loaded

URL = "https://hooks.example.com/services/hunter1"


def configured(tmp_path: Path, **sections: Any) -> Any:
    return loaded(document(**sections), directory=tmp_path)


def test_without_the_sections_nothing_is_published(tmp_path: Path) -> None:
    plain = configured(tmp_path)
    assert nats_options(plain) is None
    assert webhook_options(plain) == ()


def test_nats_has_defaults_that_suit(tmp_path: Path) -> None:
    servers = ["nats://u:hunter2@10.0.0.7:4222", "10.0.0.8"]
    section = nats_options(configured(tmp_path, nats={"servers": servers}))
    assert section is not None
    assert (section.events, section.journal, section.jetstream) == (True, False, True)
    assert section.client.servers == tuple(servers)
    assert "hunter" not in section.client.shown
    plan = section.plan(section.stream, "regnal.events.*.>")
    assert plan is not None
    assert (plan.name, plan.create, plan.max_bytes) == ("REGNAL_EVENTS", True, -1)
    plain = configured(tmp_path, nats={"servers": servers, "jetstream": False})
    without = nats_options(plain)
    assert without is not None
    assert without.plan("X", "x") is None


def test_webhooks_have_names_that_last_and_tell_no_secret(tmp_path: Path) -> None:
    hooks = [{"url": URL}, {"url": URL + "2", "name": "chat", "events": "failover.*,x"}]
    effective = configured(tmp_path, webhooks=hooks)
    first, second = webhook_options(effective)
    assert first.name == webhook_options(effective)[0].name
    assert "hunter" not in first.name + first.shown
    assert (first.timeout, first.give_up_after, first.patterns) == (10.0, 3600, ())
    assert (second.name, second.patterns) == ("chat", ("failover.*", "x"))
    shown = json.loads(effective.masked)["webhooks"]
    assert shown[0]["url"] == "https://hooks.example.com/***"
    assert "hunter" not in effective.masked


@pytest.mark.parametrize(
    ("sections", "then"),
    [
        ({"nats": {}}, "nats.servers: is missing"),
        ({"nats": {"servers": ["x"], "username": "u"}}, "nats.password: is missing"),
        ({"nats": {"servers": ["x"], "keyfile": "k"}}, "nats.certfile: is missing"),
        ({"nats": {"servers": ["x"], "stream": "a.b"}}, "is no name of a stream"),
        (
            {"nats": {"servers": ["x"], "subject_prefix": "a.>"}},
            "nats.subject_prefix: 'a.>' is not a subject",
        ),
        ({"webhooks": [{}]}, "webhooks[0].url: is missing"),
        ({"webhooks": [{"url": "ftp://x"}]}, "webhooks[0].url: is no URL"),
        ({"webhooks": [{"url": URL}, {"url": URL}]}, "webhooks[1].name"),
        ({"webhooks": [{"url": URL, "timeout": "soon"}]}, "webhooks[0].timeout"),
    ],
)
def test_what_cannot_be_used_is_refused(
    sections: dict[str, Any], then: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        configured(tmp_path, **sections)
    assert then in str(refused.value)
