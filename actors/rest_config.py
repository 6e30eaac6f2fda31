"""The dynamic configuration by request (docs/contracts.md 4.6), and reload."""

import json
from typing import Any

from regnal.actors.rest_answers import (
    Conclusion,
    Moment,
    answer,
    answer_document,
    finish,
    forget,
    refuse,
    wait,
)
from regnal.actors.rest_document import object_of
from regnal.actors.rest_state import ConfigWrite, Rest
from regnal.messages.base import Instant
from regnal.messages.cluster import KeyRefused, KeyUnconfirmed, KeyWritten, Revision
from regnal.messages.requests import (
    ConfigPatchRequested,
    ConfigReplaceRequested,
    ReloadRequested,
)
from regnal.messages.settings import ReloadConfiguration
from regnal.messages.store import WriteConfig

WRITE_WITHIN = 10.0
"""Seconds that a write may take while the settings are not known."""


def patch_the_configuration(
    rest: Rest, asked: ConfigPatchRequested, moment: Moment
) -> Conclusion:
    """REST-16, DCS-12: merged into what is there, and never into nothing: a cluster
    whose keys were wiped must not get a configuration of one option."""
    view = rest.view
    if view is None or view.config is None:
        return refuse(rest, asked.request, 503, "There is no config key to change")
    current = object_of(view.config)
    wanted = merge(current, json.loads(asked.document))
    return _write(
        rest,
        ConfigWrite(asked.request, json.dumps(wanted), "PATCH"),
        is_same=_text(wanted) == _text(current),
        if_revision=view.config_revision,
        now=moment.now,
    )


def replace_the_configuration(
    rest: Rest, asked: ConfigReplaceRequested, moment: Moment
) -> Conclusion:
    """REST-16: whatever is there."""
    wanted = json.loads(asked.document)
    config = rest.view.config if rest.view is not None else None
    is_same = config is not None and _text(object_of(config)) == _text(wanted)
    return _write(
        rest,
        ConfigWrite(asked.request, asked.document, "PUT"),
        is_same=is_same,
        if_revision=None,
        now=moment.now,
    )


def _write(
    rest: Rest,
    write: ConfigWrite,
    *,
    is_same: bool,
    if_revision: Revision | None,
    now: Instant,
) -> Conclusion:
    if is_same:
        return Conclusion(rest, (answer_document(write.request, write.document),))
    within = rest.settings.retry_timeout if rest.settings is not None else WRITE_WITHIN
    command = WriteConfig(
        document=_compact(json.loads(write.document)),
        if_revision=if_revision,
        deadline=now + within,
        request=write.request,
    )
    return Conclusion(wait(rest, write), (command,), {"if_revision": if_revision})


def config_was_written(
    rest: Rest, write: ConfigWrite, outcome: KeyWritten | KeyRefused | KeyUnconfirmed
) -> Conclusion:
    match outcome:
        case KeyWritten():
            return Conclusion(
                forget(rest, write.request),
                (answer_document(write.request, write.document),),
            )
        case KeyRefused() if write.method == "PATCH":
            return finish(
                rest, write.request, 409, "The configuration was changed meanwhile"
            )
        case KeyRefused():
            return finish(rest, write.request, 502, "The configuration was not written")
        case KeyUnconfirmed(error=error):
            status = 503 if write.method == "PATCH" else 502
            return finish(
                rest,
                write.request,
                status,
                f"The configuration may not have been written: {error}",
            )


def reload_the_configuration(
    rest: Rest, asked: ReloadRequested, moment: Moment
) -> Conclusion:
    """REST-17: as SIGHUP does."""
    return Conclusion(
        rest, (answer(asked.request, 202, "reload scheduled"), ReloadConfiguration())
    )


def merge(current: Any, patch: dict[str, Any]) -> dict[str, Any]:
    """Objects are merged, null removes, everything else replaces (RFC 7396)."""
    merged = dict(current) if isinstance(current, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = merge(merged.get(name), value)
        else:
            merged[name] = value
    return merged


def _text(document: dict[str, Any]) -> str:
    """To compare: Python takes 1 for true, and JSON does not."""
    return json.dumps(document, sort_keys=True)


def _compact(document: dict[str, Any]) -> str:
    """As every key is written."""
    return json.dumps(document, separators=(",", ":"))
