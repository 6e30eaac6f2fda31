"""An old subscriber reads what a newer member says: the promises of docs/events.md."""

import gzip
import json
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import pytest

from regnal.events.asyncapi import asyncapi_document
from regnal.events.base import Event, EventName, type_of
from regnal.events.cloud import CloudEvent, Reporter, Said, cloud_event
from regnal.events.leadership import LeaderElected
from regnal.events.vocabulary import EVENTS, WORDS

DATA = Path(__file__).parent.parent / "data" / "events"
DOCS = Path(__file__).parent.parent.parent / "docs"

FROZEN: dict[str, dict[str, Any]] = json.loads((DATA / "v1.json").read_text())
"""By type: what an old subscriber knows."""

NAMES = [word.name for word in WORDS]

SAID = Said("pg2/7/1", "2026-11-23T07:31:02Z")


class NewerLeaderElected(LeaderElected):
    """As a later Regnal might have it: it says more."""

    name: ClassVar[EventName] = "leader.elected"
    votes: int


def as_told(event: Event) -> dict[str, Any]:
    told = cloud_event(event, "x", Reporter("demo", "pg2"), SAID, "reign-10")
    document: dict[str, Any] = json.loads(told.json_bytes())
    return document


def test_an_old_subscriber_reads_a_newer_event() -> None:
    newer = as_told(NewerLeaderElected(leader="pg2", previous="pg1", votes=2))
    newer["region"] = "eu"
    jsonschema.validate(newer["data"], FROZEN["regnal.leader.elected.v1"])
    read = CloudEvent.model_validate(newer)
    assert LeaderElected.model_validate(read.data).leader == "pg2"
    assert read.model_dump()["region"] == "eu"


def test_no_event_that_was_published_is_gone() -> None:
    assert FROZEN.keys() <= EVENTS.keys()


@pytest.mark.parametrize("kind", sorted(FROZEN))
def test_a_version_only_grows(kind: str) -> None:
    old, new = FROZEN[kind], EVENTS[kind].model_json_schema(mode="serialization")
    assert set(old.get("required", ())) <= set(new.get("required", ()))
    for name, shape in old["properties"].items():
        assert name in new["properties"], f"{name} was promised"
        assert kinds_of(new["properties"][name]) <= kinds_of(shape), name


def kinds_of(shape: dict[str, Any]) -> set[str]:
    """The JSON types that a property may have."""
    if "anyOf" in shape:
        return {kind for one in shape["anyOf"] for kind in kinds_of(one)}
    return {shape["type"]}


def test_no_list_of_values_is_closed() -> None:
    """A text may get new values: no subscriber is told that it may not."""
    for word in WORDS:
        schema = json.dumps(word.model_json_schema())
        assert '"enum"' not in schema
        assert '"additionalProperties": false' not in schema


def test_names_and_types_are_unique() -> None:
    assert len(EVENTS) == len(WORDS)
    assert [type_of(word) for word in WORDS] == list(EVENTS)


def test_the_document_is_valid_asyncapi() -> None:
    schema = json.loads(
        gzip.decompress((DATA / "asyncapi-3.0.0.schema.json.gz").read_bytes())
    )
    jsonschema.Draft7Validator(schema).validate(asyncapi_document())


def test_the_document_in_docs_is_that_of_the_program() -> None:
    written = json.loads((DOCS / "schemas" / "asyncapi.json").read_text())
    assert written == asyncapi_document(), "make lists"


def test_the_table_in_docs_has_every_event() -> None:
    page = (DOCS / "events.md").read_text()
    rows = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert [name for name in rows if name in NAMES] == NAMES, "make lists"


def test_its_schemas_describe_what_is_told() -> None:
    document = asyncapi_document()
    event = as_told(LeaderElected(leader="pg2"))
    message = document["components"]["messages"]["LeaderElectedV1"]
    schema = {**message["payload"], "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(event)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate({**event, "data": {}})


def test_every_message_of_the_document_is_explained() -> None:
    for message in asyncapi_document()["components"]["messages"].values():
        assert message["summary"].endswith("."), message["name"]
