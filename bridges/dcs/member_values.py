"""What a member published of itself: from the value of its key to `MemberView`.

The fields are listed in docs/contracts.md 2.1.
"""

from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from regnal.bridges.dcs.json_values import (
    clean,
    compact,
    number_of,
    object_text,
    parse_object,
    text_of,
    truth_of,
)
from regnal.messages.base import MemberName
from regnal.messages.cluster import MemberView, Tags


@lru_cache(maxsize=1024)  # most keys have not changed since the view before
def member_view(name: MemberName, text: str) -> MemberView:
    data = _old_form(text) if text.startswith("postgres") else parse_object(text)
    role = text_of(data.get("role")) or "uninitialized"
    version = text_of(data.get("version"))
    return MemberView(
        name=name,
        conn_url=_conn_url(data),
        api_url=text_of(data.get("api_url")),
        state=text_of(data.get("state")) or "unknown",
        role="primary" if role == "master" else role,
        version=version,
        proxy_url=text_of(data.get("proxy_url")),
        xlog_location=number_of(data.get("xlog_location")),
        receive_lsn=number_of(data.get("receive_lsn")),
        replay_lsn=number_of(data.get("replay_lsn")),
        replication_state=text_of(data.get("replication_state")),
        timeline=number_of(data.get("timeline")) or None,
        tags=tags_of(data.get("tags")),
        pending_restart=truth_of(data.get("pending_restart")),
        pending_restart_reason=object_text(data.get("pending_restart_reason")),
        scheduled_restart=object_text(data.get("scheduled_restart")),
        paused=truth_of(data.get("pause")),
        checkpoint_after_promote=_boolean(data.get("checkpoint_after_promote")),
        hlc=text_of(data.get("hlc")),
        barred=truth_of(data.get("barred")),
        journal_head=text_of(data.get("journal_head")),
        document=text,
    )


def tags_of(value: Any) -> Tags:
    """The tags that mean something to us; a value that is nonsense counts as unset."""
    tags = value if isinstance(value, dict) else {}
    nofailover = tags.get("nofailover")
    nosync = tags.get("nosync")
    return Tags(
        nofailover=truth_of(nofailover),
        failover_priority=_priority(tags.get("failover_priority"), nofailover),
        clonefrom=truth_of(tags.get("clonefrom")),
        noloadbalance=truth_of(tags.get("noloadbalance")),
        replicatefrom=text_of(tags.get("replicatefrom")) or None,
        nosync=truth_of(nosync),
        sync_priority=_priority(tags.get("sync_priority"), nosync),
        nostream=truth_of(tags.get("nostream")),
        document=compact(tags),
    )


def _priority(value: Any, forbidden: Any) -> int:
    """`nofailover: false` wins over a priority that says never; so with nosync."""
    negative = isinstance(value, str) and value.startswith("-")
    if isinstance(value, float):
        value = int(value) if abs(value) < 1 << 31 else None
    below = negative or (isinstance(value, int) and value < 0)
    number = 0 if below else number_of(value)
    if number is None:
        return 1
    if number == 0 and forbidden is not None and not truth_of(forbidden):
        return 1
    return number


def _conn_url(data: dict[str, Any]) -> str | None:
    url = text_of(data.get("conn_url"))
    if url:
        return url
    keywords = data.get("conn_kwargs")
    if not isinstance(keywords, dict):
        return None
    host = text_of(keywords.get("host"))
    if not host:
        return None
    # An IPv6 address needs brackets in a URL.
    place = f"[{host}]" if ":" in host else host
    port = number_of(keywords.get("port")) or 5432
    database = text_of(keywords.get("dbname")) or "postgres"
    return f"postgres://{place}:{port}/{database}"


def _old_form(text: str) -> dict[str, Any]:
    """`postgres://host:port/db?application_name=<api_url>`: before values were JSON."""
    url, _, query = clean(text).partition("?")
    try:
        parameters = dict(parse_qsl(query))
    except ValueError:
        return {}
    return {"conn_url": url, "api_url": parameters.get("application_name")}


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None
