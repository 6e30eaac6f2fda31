"""Webhooks: signed, tried again, and never in the way."""

import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from regnal.bridges.outgoing import NotSent
from regnal.bridges.webhook import dead_letters
from regnal.bridges.webhook.dead_letters import DeadLetters
from regnal.bridges.webhook.sender import (
    Letter,
    Refused,
    WebhookOptions,
    WebhookSender,
    signature,
)
from regnal.events.cloud import Reporter, Said, cloud_event
from regnal.events.leadership import LeaderElected
from regnal.runtime.consumers import EventsToWebhook, is_wanted
from tests.servers.ports import free_port
from tests.servers.webhook import Receiver, receiving

LETTER = Letter("/regnal/demo#leader.elected/pg2/33", b'{"specversion":"1.0"}')


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def options(url: str) -> WebhookOptions:
    return WebhookOptions(
        name="chat",
        url=url,
        shown="http://127.0.0.1",
        secret="between us",
        token=None,
        patterns=(),
        timeout=5.0,
        give_up_after=60.0,
        cafile=None,
    )


def post(options: WebhookOptions) -> None:
    sender = WebhookSender(options, lambda: 1_700_000_000.5)
    try:
        sender.post(LETTER)
    finally:
        sender.close()


def test_a_letter_is_signed(receiver: Receiver) -> None:
    post(replace(options(receiver.url), token="open sesame"))
    (got,) = receiver.received
    assert got.body == LETTER.body
    assert got.headers["content-type"] == "application/cloudevents+json"
    assert got.headers["authorization"] == "Bearer open sesame"
    covered = f"{LETTER.id}.1700000000.".encode() + LETTER.body
    digest = hmac.new(b"between us", covered, hashlib.sha256).digest()
    wanted = f"v1,{base64.b64encode(digest).decode()}"
    assert got.headers["webhook-id"] == LETTER.id
    assert got.headers["webhook-timestamp"] == "1700000000"
    assert got.headers["webhook-signature"] == wanted


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of the specification (standard-webhooks, `spec/`)."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    told = signature(
        secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}'
    )
    assert told == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_secret_nothing_is_signed(receiver: Receiver) -> None:
    post(replace(options(receiver.url), secret=None))
    assert "webhook-signature" not in receiver.received[0].headers


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_what_may_be_taken_later_is_not_refused(
    receiver: Receiver, status: int
) -> None:
    receiver.status, receiver.text = status, "busy"
    with pytest.raises(NotSent, match=f"answered {status}: busy"):
        post(options(receiver.url))


@pytest.mark.parametrize("status", [400, 404, 410, 301])
def test_a_refusal_is_told(receiver: Receiver, status: int) -> None:
    receiver.status = status
    with pytest.raises(Refused, match=str(status)):
        post(options(receiver.url))


def test_nobody_there_is_told_without_the_secret_path() -> None:
    with pytest.raises(NotSent) as told:
        post(options(f"http://127.0.0.1:{free_port()}/hunter2"))
    assert "hunter2" not in str(told.value)
    assert "refused" in str(told.value)


def test_a_receiver_that_does_not_answer_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(NotSent, match="in time"):
            post(replace(options(url), timeout=0.1))


def test_a_file_that_is_not_there_is_told(receiver: Receiver, tmp_path: Path) -> None:
    with pytest.raises(NotSent, match="cafile"):
        post(replace(options(receiver.url), cafile=tmp_path / "missing.crt"))


# What is done with them: the consumer.


class Clock:
    seconds = 0.0

    def __call__(self) -> int:
        return 1_700_000_000_000_000 + int(self.seconds * 1e6)


def consumer(options: WebhookOptions, directory: Path, clock: Clock) -> EventsToWebhook:
    dead = DeadLetters(directory / "outbox" / "chat.dead.jsonl")
    return EventsToWebhook(Reporter("demo", "pg1"), clock, options, dead)


def letters(count: int) -> list[Letter]:
    return [Letter(f"id-{number}", b"{}") for number in range(count)]


def ids(receiver: Receiver) -> list[str]:
    return [one.headers["webhook-id"] for one in receiver.received]


def test_what_was_taken_is_not_sent_again(receiver: Receiver, tmp_path: Path) -> None:
    sending = consumer(options(receiver.url), tmp_path, Clock())
    parcel = letters(3)
    assert sending.send(parcel[:1]) == 1
    receiver.status = 503
    with pytest.raises(NotSent):
        sending.send(parcel[1:])
    receiver.status = 200
    assert sending.send(parcel[1:]) == 2
    assert ids(receiver) == ["id-0", "id-1", "id-1", "id-2"]
    assert DeadLetters(tmp_path / "outbox" / "chat.dead.jsonl").all() == []


def test_what_is_refused_is_kept_and_can_be_sent_again(
    receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sending = consumer(options(receiver.url), tmp_path, Clock())
    receiver.status = 400
    assert sending.send(letters(2)) == 0
    dead = DeadLetters(tmp_path / "outbox" / "chat.dead.jsonl")
    assert [one.letter for one in dead.all()] == letters(2)
    assert "answered 400" in dead.all()[0].why
    assert "regnal webhooks" in caplog.text
    receiver.status = 200
    sender = WebhookSender(options(receiver.url), lambda: 1.0)
    assert dead.resend(sender.post) == 2
    sender.close()
    assert dead.all() == []


def test_what_fails_for_too_long_is_kept_and_the_rest_goes_on(
    receiver: Receiver, tmp_path: Path
) -> None:
    clock = Clock()
    sending = consumer(options(receiver.url), tmp_path, clock)
    receiver.status = 500
    with pytest.raises(NotSent):
        sending.send(letters(2))
    clock.seconds = 61
    assert sending.send(letters(2)) == 0, "one attempt for each of the others"
    receiver.status = 200
    assert sending.send([Letter("id-9", b"{}")]) == 1
    receiver.status = 500
    with pytest.raises(NotSent):
        sending.send([Letter("id-10", b"{}")])


def test_resending_ends_where_it_fails(receiver: Receiver, tmp_path: Path) -> None:
    dead = DeadLetters(tmp_path / "dead.jsonl")
    for letter in letters(2):
        assert dead.add(letter, "2026-11-23T07:31:02Z", "no")
    receiver.status = 500
    sender = WebhookSender(options(receiver.url), lambda: 1.0)
    with pytest.raises(NotSent):
        dead.resend(sender.post)
    sender.close()
    assert len(dead.all()) == 2


def test_dead_letters_have_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "MAXIMUM_BYTES", 100)
    dead = DeadLetters(tmp_path / "dead.jsonl")
    kept = [dead.add(letter, "now", "no") for letter in letters(5)]
    assert kept[0]
    assert not kept[-1]
    assert len(dead.all()) == sum(kept)


def test_events_are_chosen_by_name() -> None:
    told = cloud_event(
        LeaderElected(leader="pg2"),
        "pg2/33",
        Reporter("demo", "pg1"),
        Said("pg1/1/1", "2026-11-23T07:31:02Z"),
        "reign-10",
    )
    assert json.loads(told.json_bytes())["type"] == "regnal.leader.elected.v1"
    for patterns in ((), ("leader.*",), ("regnal.leader.elected.v1",), ("x", "*ed")):
        assert is_wanted(told, patterns)
    assert not is_wanted(told, ("failover.*", "leader"))
