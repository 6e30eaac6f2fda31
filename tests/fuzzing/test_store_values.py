"""What stands in the store's keys, whoever wrote it: read as values, and lived with.

Law 8: no value makes reading fail; and no decider falls over what was read.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from regnal.actors.dcs_watcher import DCS_WATCHER
from regnal.actors.election import ELECTION
from regnal.actors.incidents import INCIDENTS
from regnal.actors.postgres_supervisor import POSTGRES_SUPERVISOR
from regnal.actors.rest import REST
from regnal.actors.slot_manager import SLOT_MANAGER
from regnal.actors.step import Decider
from regnal.actors.sync_standby_manager import SYNC_STANDBY_MANAGER
from regnal.bridges.dcs import keys
from regnal.bridges.dcs.keys import StoredKey, cluster_view
from regnal.messages.base import Message
from regnal.messages.cluster import ClusterObserved, ClusterView
from tests.actors.builders import (
    BEAT,
    acquired,
    begun,
    configured,
    phase,
    primary,
    standby,
)
from tests.fuzzing.hostile import NUMBERS, TEXTS, VALUES, many, objects, some, written

NAMES = st.sampled_from(["pg1", "pg2", "pg3", "PG2", "", "..", "a/b", "*"])
FLAGS = st.sampled_from([True, False, None, "true", "no", "", 1, -1])
TAGS = objects(
    {
        **dict.fromkeys(("nofailover", "clonefrom", "noloadbalance"), FLAGS),
        **dict.fromkeys(("nosync", "nostream"), FLAGS),
        **dict.fromkeys(("failover_priority", "sync_priority"), NUMBERS),
        "replicatefrom": NAMES,
    }
)
MEMBER = objects(
    {
        "conn_url": st.just("postgres://pg2:5432/postgres") | TEXTS,
        "conn_kwargs": objects({"host": NAMES, "port": NUMBERS, "dbname": TEXTS}),
        "api_url": st.just("http://pg2:8008/patroni") | TEXTS,
        "state": st.sampled_from(["running", "streaming", "stopped", "starting", ""]),
        "role": st.sampled_from(["primary", "master", "replica", "standby_leader"]),
        "version": st.just("4.1.5") | TEXTS,
        **dict.fromkeys(("xlog_location", "receive_lsn", "replay_lsn"), NUMBERS),
        "timeline": NUMBERS,
        "replication_state": st.just("streaming") | TEXTS,
        "tags": TAGS,
        **dict.fromkeys(("pending_restart", "pause", "barred"), FLAGS),
        "checkpoint_after_promote": FLAGS,
        "pending_restart_reason": objects({"max_connections": VALUES}),
        "scheduled_restart": objects(
            {"schedule": TEXTS, "postmaster_start_time": TEXTS}
        ),
        "hlc": st.just("1900000000.000000/0 pg2/1") | TEXTS,
        "journal_head": st.just("812:8a1f") | TEXTS,
        "proxy_url": TEXTS,
    }
)
CONFIG = objects(
    {
        **dict.fromkeys(("ttl", "loop_wait", "retry_timeout"), NUMBERS),
        "maximum_lag_on_failover": NUMBERS,
        **dict.fromkeys(("pause", "failsafe_mode", "check_timeline"), FLAGS),
        "synchronous_mode": st.sampled_from([True, "quorum", "off", 7]),
        "synchronous_node_count": NUMBERS,
        "standby_cluster": objects({"host": TEXTS, "port": NUMBERS}),
        "slots": st.dictionaries(
            NAMES, objects({"type": TEXTS, "database": TEXTS, "plugin": TEXTS})
        ),
        "postgresql": objects(
            {
                "use_slots": FLAGS,
                "parameters": st.dictionaries(TEXTS, VALUES, max_size=3),
            }
        ),
    }
)
SYNC = objects(
    {"leader": NAMES, "sync_standby": st.just("pg2,pg3") | NAMES, "quorum": NUMBERS}
)
FAILOVER = objects(
    {
        "leader": NAMES,
        "member": NAMES,
        "scheduled_at": st.just("2030-05-01T02:00:00+00:00") | TEXTS,
    }
)
HISTORY = st.lists(
    st.tuples(NUMBERS, NUMBERS, TEXTS, TEXTS, NAMES).map(list) | VALUES, max_size=4
)
STATUS = objects(
    {
        "optime": NUMBERS,
        "slots": st.dictionaries(NAMES, NUMBERS, max_size=3),
        "retain_slots": st.lists(NAMES, max_size=3),
    }
)
VALUE_OF = {
    "initialize": st.just("7301234567890123456") | TEXTS,
    "config": written(CONFIG),
    "leader": NAMES | TEXTS,
    "members/pg1": written(MEMBER),
    "members/pg2": written(MEMBER),
    "members/PG2": written(MEMBER),
    "members/": written(MEMBER),
    "failover": written(FAILOVER) | st.sampled_from(["pg1:pg2", ":pg2", "pg1:", "::"]),
    "sync": written(SYNC),
    "history": written(HISTORY),
    "status": written(STATUS),
    "optime/leader": NUMBERS.map(str) | TEXTS,
    "failsafe": written(st.dictionaries(NAMES, TEXTS, max_size=3)),
    "somebody/elses": TEXTS,
}
KEYS = st.fixed_dictionaries({}, optional=VALUE_OF)


def view_of(values: dict[str, str]) -> ClusterView:
    """As a store's bridge makes it, from bytes."""
    raw = {
        path: value.encode("utf-8", "surrogatepass") for path, value in values.items()
    }
    return cluster_view(
        {
            path: StoredKey(keys.decode(value), number)
            for number, (path, value) in enumerate(raw.items(), 1)
        }
    )


@many
@given(KEYS)
def test_every_value_reads_as_something_that_a_journal_can_hold(
    values: dict[str, str],
) -> None:
    view = view_of(values)
    assert ClusterView.model_validate_json(view.model_dump_json()) == view


@many
@given(KEYS)
def test_what_stands_under_one_key_changes_nothing_of_another(
    values: dict[str, str],
) -> None:
    """A member's nonsense must not hide the leader, the pause or the sync state."""
    whole, alone = view_of(values), view_of({})
    shown_by = {
        "leader": "leader",
        "config": "config",
        "failover": "failover",
        "sync": "sync",
        "history": "history",
        "failsafe": "failsafe",
    }
    for path, field in shown_by.items():
        if path not in values:
            assert getattr(whole, field) == getattr(alone, field)
    names = sorted(
        path.removeprefix("members/") for path in values if path > "members/"
    )
    for member in whole.members:
        assert member.name in names


SETTINGS = configured(synchronous_mode="on", failsafe_mode=True)
HEARERS: tuple[tuple[Decider[Any], tuple[Message, ...]], ...] = tuple(
    (decider, story)
    for decider in (
        DCS_WATCHER,
        ELECTION,
        INCIDENTS,
        POSTGRES_SUPERVISOR,
        REST,
        SLOT_MANAGER,
        SYNC_STANDBY_MANAGER,
    )
    for story in (
        (SETTINGS, primary(), phase("primary"), acquired()),
        (SETTINGS, standby(), phase("standby")),
    )
)


@some
@given(st.lists(KEYS, min_size=1, max_size=3))
def test_no_decider_falls_over_what_it_reads(story: list[dict[str, str]]) -> None:
    """Two members, one leading and one following, in front of hostile views."""
    for decider, before in HEARERS:
        told = begun(decider, *(m for m in before if type(m) in decider.hears))
        for values in story:
            seen = ClusterObserved(view=view_of(values))
            for message in (seen, BEAT):
                if type(message) in decider.hears:
                    told = told.hear(message)
        for said in told.all_said:
            assert type(said).model_validate_json(said.model_dump_json()) == said
