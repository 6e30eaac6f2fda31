"""What the values of the keys mean: as peers write them, as old ones did, and garbage."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.bridges.dcs import keys
from regnal.bridges.dcs.contract import FailoverDraft, SyncDraft
from regnal.bridges.dcs.keys import Place, StoredKey, cluster_view
from regnal.bridges.dcs.member_values import member_view, tags_of
from regnal.messages.cluster import (
    ClusterView,
    FailoverRequest,
    FailsafeMember,
    HistoryLine,
    LeaderStatus,
    SlotPosition,
    SyncState,
)

PRIMARY = (
    '{"conn_url":"postgres://10.1.0.11:5432/postgres",'
    '"api_url":"http://10.1.0.11:8008/patroni","state":"running","role":"primary",'
    '"version":"4.1.5","xlog_location":83886408,"timeline":3}'
)
STANDBY = (
    '{"conn_url":"postgres://10.1.0.12:5432/postgres",'
    '"api_url":"http://10.1.0.12:8008/patroni","state":"running","role":"replica",'
    '"version":"4.1.5","tags":{"clonefrom":true},"xlog_location":83886408,'
    '"replay_lsn":83886408,"receive_lsn":83886400,"replication_state":"streaming",'
    '"timeline":3}'
)
HISTORY = (
    '[[1,25165984,"no recovery target specified",'
    '"2030-01-02T03:04:05.600000+00:00","n2"],[2,50331808,"x"]]'
)
KEY_NAMES = (
    "initialize",
    "config",
    "leader",
    "members/n1",
    "failover",
    "sync",
    "history",
    "status",
    "optime/leader",
    "failsafe",
)


def view_of(**values: str) -> ClusterView:
    """Of keys whose values are given; `members_n1` stands for `members/n1`."""
    return cluster_view(
        {
            name.replace("_", "/"): StoredKey(value, number)
            for number, (name, value) in enumerate(values.items(), 1)
        }
    )


@pytest.mark.parametrize(
    ("place", "path"),
    [
        pytest.param(Place("service", "demo"), "/service/demo/leader", id="default"),
        pytest.param(Place("/service/", "/demo"), "/service/demo/leader", id="slashes"),
        pytest.param(Place("/a//b/", "demo"), "/a/b/demo/leader", id="deep"),
        pytest.param(Place("", "demo"), "/demo/leader", id="no namespace"),
        pytest.param(Place("service", "demo", 0), "/service/demo/0/leader", id="citus"),
    ],
)
def test_a_path_has_no_doubled_slash(place: Place, path: str) -> None:
    """DCS-02"""
    assert place.path("leader") == path


def test_a_whole_cluster_as_peers_write_it() -> None:
    """DCS-02"""
    view = view_of(
        initialize="7301234567890123456",
        leader="n1",
        config='{"ttl":30}',
        members_n2=STANDBY,
        members_n1=PRIMARY,
        sync='{"leader":"n1","quorum":0,"sync_standby":"n2"}',
        history=HISTORY,
        status='{"optime":83886408,"slots":{"cdc":83880000},"retain_slots":["n1"]}',
        failsafe='{"n1":"http://10.1.0.11:8008/patroni"}',
    )
    assert view.is_initialized
    assert view.leader_member == member_view("n1", PRIMARY)
    assert [member.name for member in view.members] == ["n1", "n2"]
    assert (view.config, view.config_revision) == ('{"ttl":30}', 3)
    assert view.sync == SyncState(leader="n1", standbys=("n2",), quorum=0, revision=6)
    assert view.timeline == 3
    assert view.status == LeaderStatus(
        optime=83886408,
        slots=(SlotPosition(name="cdc", lsn=83880000),),
        retain_slots=("n1",),
    )
    assert view.failsafe == (
        FailsafeMember(name="n1", api_url="http://10.1.0.11:8008/patroni"),
    )


def test_a_standby_as_peers_write_it() -> None:
    member = member_view("n2", STANDBY)
    assert member.conn_url == "postgres://10.1.0.12:5432/postgres"
    assert member.api_url == "http://10.1.0.12:8008/patroni"
    assert (member.state, member.role, member.version) == (
        "running",
        "replica",
        "4.1.5",
    )
    assert (member.receive_lsn, member.replay_lsn) == (83886400, 83886408)
    assert (member.timeline, member.replication_state) == (3, "streaming")
    assert member.tags.clonefrom
    assert not member.runs_regnal
    assert member.document == STANDBY


def test_what_is_special_about_a_member() -> None:
    member = member_view(
        "n1",
        json.dumps(
            {
                "role": "primary",
                "checkpoint_after_promote": False,
                "pending_restart": True,
                "pending_restart_reason": {
                    "max_connections": {"old_value": "100", "new_value": "200"}
                },
                "scheduled_restart": {"schedule": "2030-05-01T02:00:00+00:00"},
                "pause": True,
                "proxy_url": "postgres://10.1.0.1:6432/postgres",
                "hlc": "x",
                "journal_head": "abc",
            }
        ),
    )
    assert member.checkpoint_after_promote is False
    assert member.pending_restart
    assert member.paused
    assert "max_connections" in (member.pending_restart_reason or "")
    assert "2030-05-01" in (member.scheduled_restart or "")
    assert member.proxy_url == "postgres://10.1.0.1:6432/postgres"
    assert (member.hlc, member.journal_head) == ("x", "abc")


@pytest.mark.parametrize(
    ("text", "conn_url", "api_url", "role"),
    [
        pytest.param(
            "postgres://h:5432/postgres?application_name=http://h:8008/patroni",
            "postgres://h:5432/postgres",
            "http://h:8008/patroni",
            "uninitialized",
            id="before JSON",
        ),
        pytest.param(
            '{"role":"master","conn_kwargs":{"host":"h","port":5433,"dbname":"d"}}',
            "postgres://h:5433/d",
            None,
            "primary",
            id="keywords, master",
        ),
        pytest.param(
            '{"conn_kwargs":{"host":"::1"}}',
            "postgres://[::1]:5432/postgres",
            None,
            "uninitialized",
            id="address of version 6",
        ),
        pytest.param("[]", None, None, "uninitialized", id="no object"),
    ],
)
def test_old_forms_of_a_member(
    text: str, conn_url: str | None, api_url: str | None, role: str
) -> None:
    member = member_view("n1", text)
    assert (member.conn_url, member.api_url, member.role) == (conn_url, api_url, role)
    assert member.version is None


@pytest.mark.parametrize(
    ("tags", "may_lead", "may_be_synchronous"),
    [
        pytest.param({}, True, True, id="none"),
        pytest.param({"nofailover": True}, False, True, id="nofailover"),
        pytest.param({"nofailover": "true"}, False, True, id="as text"),
        pytest.param({"failover_priority": 0}, False, True, id="priority 0"),
        pytest.param({"failover_priority": "-1"}, False, True, id="below 0"),
        pytest.param(
            {"failover_priority": 0, "nofailover": False}, True, True, id="wins"
        ),
        pytest.param({"failover_priority": "many"}, True, True, id="nonsense"),
        pytest.param({"nosync": True}, True, False, id="nosync"),
        pytest.param({"sync_priority": 0}, True, False, id="sync priority 0"),
        pytest.param({"sync_priority": 0, "nosync": False}, True, True, id="sync wins"),
        pytest.param({"nostream": True}, True, False, id="nostream"),
    ],
)
def test_tags(
    tags: dict[str, object], may_lead: bool, may_be_synchronous: bool
) -> None:
    read = tags_of(tags)
    assert (read.may_lead, read.may_be_synchronous) == (may_lead, may_be_synchronous)
    assert json.loads(read.document) == tags


@pytest.mark.parametrize(
    ("text", "leader", "candidate", "at"),
    [
        pytest.param('{"leader":"n1","member":"n2"}', "n1", "n2", None, id="both"),
        pytest.param('{"member":"n3"}', None, "n3", None, id="failover"),
        pytest.param(
            '{"leader":"n1","scheduled_at":"2030-05-01T02:00:00+00:00"}',
            "n1",
            None,
            "2030-05-01T02:00:00+00:00",
            id="scheduled",
        ),
        pytest.param("n1:n2", "n1", "n2", None, id="historic"),
        pytest.param("n1:", "n1", None, None, id="historic, any"),
        pytest.param(":n2", None, "n2", None, id="historic, failover"),
    ],
)
def test_a_request_for_a_failover(
    text: str, leader: str | None, candidate: str | None, at: str | None
) -> None:
    assert view_of(failover=text).failover == FailoverRequest(
        leader=leader, candidate=candidate, scheduled_at=at, revision=1
    )


@pytest.mark.parametrize(
    "text",
    ["{}", "", ":", "null", "nonsense", '{"leader":""}', '{"leader":3}', "[1:2]"],
)
def test_no_request_for_a_failover(text: str) -> None:
    assert view_of(failover=text).failover is None


def test_a_schedule_that_is_no_text_does_not_mean_at_once() -> None:
    assert view_of(failover='{"leader":"n1","scheduled_at":12}').failover is None


@pytest.mark.parametrize(
    "text",
    ["{}", '{"leader":null,"sync_standby":"n2"}', "garbage", '{"quorum":3}', "[]"],
)
def test_a_synchronous_state_without_leader_restricts_nobody(text: str) -> None:
    state = view_of(sync=text).sync
    assert state is not None
    assert (state.leader, state.quorum) == (None, 0)


def test_names_in_the_synchronous_state() -> None:
    state = view_of(sync='{"leader":"N1","sync_standby":"n2, n3,","quorum":"1"}').sync
    assert state is not None
    assert (state.standbys, state.quorum) == (("n2", "n3"), 1)
    assert state.allows("n1")
    assert not state.allows("n4")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("[]", (), id="empty"),
        pytest.param("garbage", (), id="garbage"),
        pytest.param(
            "[[1,2]]",
            (),
            id="too short",
        ),
        pytest.param(
            '[[1,2,"r"],[2,"3","r","t"],["x",1,"r"]]',
            (
                HistoryLine(timeline=1, lsn=2, reason="r"),
                HistoryLine(timeline=2, lsn=3, reason="r", at="t"),
            ),
            id="three and four elements",
        ),
    ],
)
def test_history_of_any_age(text: str, lines: tuple[HistoryLine, ...]) -> None:
    """ELEC-23"""
    view = view_of(history=text)
    assert view.history == lines
    assert view_of(history=text).timeline == (lines[-1].timeline + 1 if lines else 1)
    assert view_of().timeline == 0


@pytest.mark.parametrize(
    ("values", "status"),
    [
        pytest.param({"status": "123"}, LeaderStatus(optime=123), id="bare number"),
        pytest.param({"optime_leader": "123"}, LeaderStatus(optime=123), id="old key"),
        pytest.param({"status": "x"}, LeaderStatus(optime=0), id="garbage"),
        pytest.param(
            {"status": '{"optime":5}', "optime_leader": "4"},
            LeaderStatus(optime=5),
            id="both",
        ),
        pytest.param(
            {"status": '{"optime":"5","slots":{"a":"7","b":null},"retain_slots":3}'},
            LeaderStatus(optime=5, slots=(SlotPosition(name="a", lsn=7),)),
            id="texts",
        ),
    ],
)
def test_status_of_any_age(values: dict[str, str], status: LeaderStatus) -> None:
    assert view_of(**values).status == status


def test_documents_are_what_peers_expect() -> None:
    """DCS-02: no blanks, names sorted, empty fields left out."""
    assert keys.failover_document(FailoverDraft(None, None, None)) == "{}"
    assert (
        keys.failover_document(FailoverDraft("n1", "n2", None))
        == '{"leader":"n1","member":"n2"}'
    )
    assert (
        keys.sync_document(SyncDraft("n1", ("n3", "n2"), 1))
        == '{"leader":"n1","quorum":1,"sync_standby":"n2,n3"}'
    )
    assert json.loads(keys.sync_document(SyncDraft(None, (), 0))) == {
        "leader": None,
        "quorum": None,
        "sync_standby": None,
    }
    assert keys.status_document(LeaderStatus(optime=5)) == '{"optime":5}'
    status = LeaderStatus(
        optime=83886408,
        slots=(SlotPosition(name="cdc", lsn=83880000),),
        retain_slots=("n1",),
    )
    assert (
        keys.status_document(status)
        == '{"optime":83886408,"slots":{"cdc":83880000},"retain_slots":["n1"]}'
    )
    lines = view_of(history=HISTORY).history
    assert lines is not None
    assert keys.history_document(lines) == HISTORY
    members = (FailsafeMember(name="n1", api_url="http://h/patroni"),)
    assert keys.failsafe_document(members) == '{"n1":"http://h/patroni"}'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
FIELDS = st.sampled_from(
    [
        *("conn_url", "conn_kwargs", "api_url", "state", "role", "version", "tags"),
        *("xlog_location", "timeline", "leader", "member", "sync_standby", "quorum"),
        *("optime", "slots", "retain_slots", "scheduled_at", "pending_restart"),
        *("pending_restart_reason", "nofailover", "failover_priority", "host"),
    ]
)
VALUES = (
    st.text() | JSON.map(json.dumps) | st.dictionaries(FIELDS, JSON).map(json.dumps)
)


@given(st.dictionaries(st.sampled_from(KEY_NAMES), VALUES))
def test_no_value_makes_reading_fail(values: dict[str, str]) -> None:
    """What somebody else wrote is no reason to fall over; all is fit for a journal."""
    raw = {name: value.encode("utf-8", "replace") for name, value in values.items()}
    view = cluster_view(
        {name: StoredKey(keys.decode(value), 1) for name, value in raw.items()}
    )
    assert ClusterView.model_validate_json(view.model_dump_json()) == view


@pytest.mark.parametrize(
    "raw", [b"\xff\xfe", b'{"state":"\\ud800"}', b"[" * 100000, b"9" * 5000]
)
def test_bytes_that_are_no_text_are_read_all_the_same(raw: bytes) -> None:
    text = keys.decode(raw)
    view = cluster_view({name: StoredKey(text, 1) for name in KEY_NAMES})
    assert ClusterView.model_validate_json(view.model_dump_json()) == view
