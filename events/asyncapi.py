"""The AsyncAPI 3 document of the public events, made from their models."""

from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from regnal.events.base import Event, type_of
from regnal.events.cloud import CONTENT_TYPE, CloudEvent
from regnal.events.vocabulary import WORDS


def asyncapi_document() -> dict[str, Any]:
    """JSON-ready; the same for the same program."""
    words: tuple[type[BaseModel], ...] = (*WORDS, CloudEvent)
    models: list[tuple[type[BaseModel], Literal["serialization"]]]
    models = [(word, "serialization") for word in words]
    references, definitions = models_json_schema(
        models,
        ref_template="#/components/schemas/{model}",
    )
    envelope = references[CloudEvent, "serialization"]
    names = [_component(word) for word in WORDS]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Regnal's public events",
            "version": "1.0.0",
            "description": "What a cluster tells other systems, as CloudEvents 1.0. "
            "Promises and how to subscribe: docs/events.md.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            "events": {
                "address": "regnal.events.{scope}.{member}.{event}",
                "title": "NATS",
                "parameters": {
                    "scope": {"description": "The cluster, percent-encoded."},
                    "member": {"description": "Whom the event is about, likewise."},
                    "event": {"description": "Its name, such as leader.elected."},
                },
                "messages": {
                    name: {"$ref": f"#/components/messages/{name}"} for name in names
                },
            }
        },
        "operations": {
            "tell": {
                "action": "send",
                "channel": {"$ref": "#/channels/events"},
                "summary": "A member tells what happened.",
            }
        },
        "components": {
            "messages": {
                name: _message(word, references[word, "serialization"], envelope)
                for name, word in zip(names, WORDS, strict=True)
            },
            "schemas": definitions["$defs"],
        },
    }


def _component(word: type[Event]) -> str:
    return f"{word.__name__}V{word.version}"


def _message(
    word: type[Event], data: dict[str, Any], envelope: dict[str, Any]
) -> dict[str, Any]:
    text = " ".join((word.__doc__ or word.name).split())
    return {
        "name": type_of(word),
        "title": word.name,
        "summary": text,
        "contentType": CONTENT_TYPE,
        "payload": {
            "allOf": [envelope],
            "properties": {"type": {"const": type_of(word)}, "data": data},
        },
    }
