"""Every option: its types, its default, and what is said of a wrong value."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regnal.configuration.checking import check, with_defaults
from regnal.configuration.kinds import Anything, Items, LogFormat, Node, Option, Section
from regnal.configuration.problems import ConfigurationError, OptionPath, dotted
from regnal.configuration.schema import DYNAMIC, LOCAL
from regnal.configuration.source import ConfigurationSource
from regnal.configuration.tree import Tree
from tests.regnal.configuration.builders import document, loaded, source
from tests.regnal.configuration.test_values import JSON_VALUES


def leaves(node: Node, path: OptionPath = ()) -> Iterator[tuple[OptionPath, Node]]:
    """Every place of a schema, with a made-up name where any name may stand."""
    yield path, node
    match node:
        case Section():
            for name, entry in node.entries.items():
                yield from leaves(entry, (*path, name))
            if node.others is not None:
                yield from leaves(node.others, (*path, "zzz"))
        case Items():
            yield from leaves(node.item, (*path, 0))
        case Option():
            pass


def nested(path: OptionPath, value: Any) -> Any:
    for part in reversed(path):
        value = [value] if part == 0 else {part: value}
    return value


def wrong_for(node: Node) -> Any:
    """A value that cannot be meant."""
    return 7.5 if isinstance(node, Section | Items) else {"no": ["value"]}


STRICT = [
    pytest.param(schema, path, node, id=f"{name} {dotted(path)}")
    for name, schema in (("local", LOCAL), ("dynamic", DYNAMIC))
    for path, node in leaves(schema)
    if path
    and not (isinstance(node, Option) and isinstance(node.kind, Anything))
    and not (isinstance(node, Section) and node.rejected)
    and path not in (("postgresql", "zzz"), ("bootstrap", "dcs", "postgresql", "zzz"))
    and path != ("bootstrap", "zzz")
]


@pytest.mark.parametrize(("schema", "path", "node"), STRICT)
def test_a_wrong_type_is_named_with_its_path(
    schema: Section, path: OptionPath, node: Node
) -> None:
    """CFG-13, CFG-19: wherever it stands."""
    checked = check(schema, Tree(nested(path, wrong_for(node))))
    assert [problem.path for problem in checked.problems] == [dotted(path)]
    assert checked.problems[0].remedy


@pytest.mark.parametrize(("schema", "path", "node"), STRICT)
def test_null_counts_as_not_written(
    schema: Section, path: OptionPath, node: Node
) -> None:
    checked = check(schema, Tree(nested(path, None)))
    assert checked.problems == []


@given(st.dictionaries(st.sampled_from([*LOCAL.entries, "other"]), JSON_VALUES))
def test_any_local_document_is_checked_or_refused(written: dict[str, Any]) -> None:
    checked = check(LOCAL, Tree(written))
    if not checked.problems:
        json.dumps(with_defaults(LOCAL, checked.document), allow_nan=False)


@given(
    st.dictionaries(st.sampled_from([*DYNAMIC.entries, "other"]), JSON_VALUES),
    st.dictionaries(
        st.sampled_from([*DYNAMIC.entries["postgresql"].entries, "x"]),  # type: ignore[union-attr]  # it is a section
        JSON_VALUES,
    ),
)
def test_any_dynamic_configuration_is_used_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    written: dict[str, Any],
    postgresql: dict[str, Any],
) -> None:
    """CFG-13: hypothesis writes what another program might."""
    configuration = source(document(), directory=tmp_path_factory.mktemp("any"))
    configuration.load()
    for text in (
        json.dumps(written | {"postgresql": postgresql}),
        json.dumps(written),
    ):
        with contextlib.suppress(ConfigurationError):
            assert configuration.with_dynamic(text).dynamic == text


@given(
    st.dictionaries(
        st.sampled_from([*LOCAL.entries, "master_start_timeout", "other"]), JSON_VALUES
    ),
    st.dictionaries(
        st.sampled_from(
            [
                *LOCAL.entries["postgresql"].entries,  # type: ignore[union-attr]  # it is a section
                "replication",
                "pg_rewind",
                "name",
                "create_replica_method",
                "x",
            ]
        ),
        JSON_VALUES,
    ),
)
def test_any_whole_configuration_is_used_or_refused(
    written: dict[str, Any], postgresql: dict[str, Any]
) -> None:
    """CFG-13, CFG-18"""
    base = document()
    for content in (
        base | written,
        base | {"postgresql": base["postgresql"] | postgresql},
        base | {"bootstrap": {"dcs": written | {"postgresql": postgresql}}},
    ):
        environ = {"PATRONI_CONFIGURATION": json.dumps(content)}
        with contextlib.suppress(ConfigurationError):
            json.loads(ConfigurationSource(None, environ).load().masked)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("ttl", 30),
        ("loop_wait", 10),
        ("retry_timeout", 10),
        ("maximum_lag_on_failover", 1048576),
        ("maximum_lag_on_syncnode", -1),
        ("check_timeline", False),
        ("max_timelines_history", 0),
        ("primary_start_timeout", 300),
        ("primary_stop_timeout", 0),
        ("synchronous_mode", "off"),
        ("synchronous_mode_strict", False),
        ("synchronous_node_count", 1),
        ("failsafe_mode", False),
        ("paused", False),
        ("member_slots_ttl", 1800),
        ("slots", ()),
        ("ignore_slots", ()),
        ("standby_cluster", None),
        ("use_slots", True),
        ("use_pg_rewind", False),
        ("pg_ctl_timeout", 60),
        ("watchdog_mode", "automatic"),
        ("watchdog_safety_margin", 5),
        ("guard", True),
        ("min_time_between_failovers", 0),
        ("crash_loop_limit", 0),
        ("crash_loop_window", 600),
        ("explain_incidents", True),
        ("may_bootstrap", False),
        ("bootstrap_config", "{}"),
    ],
)
def test_defaults(option: str, value: object, tmp_path: Path) -> None:
    """CFG-08, RWD-01"""
    settings = loaded(document(), directory=tmp_path).settings
    assert getattr(settings, option) == value


@pytest.mark.parametrize(
    ("written", "path", "value"),
    [
        ("{log: {level: debug}}", "log.level", "DEBUG"),
        ("{log: {mode: 0640}}", "log.mode", 0o640),
        ("{log: {mode: '0640'}}", "log.mode", 0o640),
        ("{log: {mode: 416}}", "log.mode", 0o640),
        ("{log: {file_size: 10MB}}", "log.file_size", 10 * 1024**2),
        ("{watchdog: {mode: off}}", "watchdog.mode", "off"),
        ("{watchdog: {mode: Required}}", "watchdog.mode", "required"),
        ("{watchdog: {mode: require}}", "watchdog.mode", "required"),
        ("{watchdog: {mode: auto}}", "watchdog.mode", "automatic"),
        ("{watchdog: {mode: disabled}}", "watchdog.mode", "off"),
        ("{fencing: {guard: off}}", "fencing.guard", "off"),
        ("{fencing: {margin: 2.5}}", "fencing.margin", 2.5),
        ("{incidents: {explain: false}}", "incidents.explain", "off"),
        ("{journal: {max_segment_size: 1MB}}", "journal.max_segment_size", 1024**2),
        ("{journal: {patience: 50ms}}", "journal.patience", 0.05),
        ("{thread_stack_size: 128kB}", "thread_stack_size", 131072),
        (
            "{restapi: {authentication: {username: on, password: 0123}}}",
            "restapi.authentication",
            {"username": "on", "password": "0123"},
        ),
        (
            "{postgresql: {create_replica_methods: 'a, basebackup'}}",
            "postgresql.create_replica_methods",
            ["a", "basebackup"],
        ),
        (
            "{postgresql: {basebackup: {max-rate: 100M}}}",
            "postgresql.basebackup",
            [{"max-rate": "100M"}],
        ),
        (
            "{postgresql: {basebackup: [verbose, {max-rate: 1}]}}",
            "postgresql.basebackup",
            ["verbose", {"max-rate": 1}],
        ),
        (
            "{bootstrap: {initdb: {encoding: UTF8, locale: C}}}",
            "bootstrap.initdb",
            [{"encoding": "UTF8"}, {"locale": "C"}],
        ),
        ("{etcd3: {hosts: 'a:1,b:2'}}", "etcd3.hosts", ["a:1", "b:2"]),
        ("{tags: {x: [1, {y: null}]}}", "tags.x", [1, {"y": None}]),
        (
            "{postgresql: {parameters: {fsync: off, port: 1, a.b: 'c'}}}",
            "postgresql.parameters",
            {"fsync": False, "a.b": "c"},
        ),
    ],
)
def test_how_options_may_be_written(
    written: str, path: str, value: object, tmp_path: Path
) -> None:
    (tmp_path / "10.yml").write_text(json.dumps(document()))
    (tmp_path / "20.yml").write_text(written)
    found: Any = ConfigurationSource(tmp_path, {}).load().document
    for name in path.split("."):
        found = found[name]
    assert found == value


def test_an_unknown_option_is_a_warning_with_the_nearest_name(tmp_path: Path) -> None:
    text = (
        json.dumps(document())[:-1]
        + ',\n"nmae": 1,\n"loging": {"level": "x"},\n"zzz": 1}'
    )
    effective = loaded(text, directory=tmp_path)
    file = tmp_path / "regnal.yml"
    assert (
        f"nmae is not a known option; did you mean name? ({file}, line 2)"
        in effective.warnings
    )
    assert f"zzz is not a known option ({file}, line 4)" in effective.warnings


def test_a_misspelt_option_of_postgresql_is_not_taken_for_a_method(
    tmp_path: Path,
) -> None:
    content = document(
        postgresql={
            "datadir": "/x",
            "authentification": {"superuser": {"username": "x"}},
            "pgbackrest": {"command": "restore", "keep_data": True},
        }
    )
    effective = loaded(content, directory=tmp_path)
    text = "\n".join(effective.warnings)
    assert "postgresql.datadir is not a known option; did you mean data_dir?" in text
    assert (
        "postgresql.authentification is not a known option; did you mean auth" in text
    )
    assert "pgbackrest" not in text


@pytest.mark.parametrize("missing", ["name", "scope", "restapi", "postgresql", "etcd3"])
def test_what_is_required_is_named(missing: str, tmp_path: Path) -> None:
    """CFG-19"""
    with pytest.raises(ConfigurationError) as caught:
        loaded(document(**{missing: None}), directory=tmp_path)
    paths = [problem.path for problem in caught.value.problems]
    expected = {
        "name": ["name"],
        "scope": ["scope"],
        "restapi": ["restapi.listen"],
        "postgresql": [
            "postgresql.listen",
            "postgresql.data_dir",
            "postgresql.authentication.replication.username",
        ],
        "etcd3": ["dcs"],
    }
    assert paths == expected[missing]


def test_a_missing_store_lists_those_there_are(tmp_path: Path) -> None:
    """DCS-01"""
    with pytest.raises(ConfigurationError, match="consul, etcd, etcd3, exhibitor, kub"):
        loaded(document(etcd3=None), directory=tmp_path)


def test_a_citus_section_is_refused_with_a_clear_message(tmp_path: Path) -> None:
    """P-CITUS-03"""
    with pytest.raises(
        ConfigurationError, match=r"^citus: is there; Citus clusters are"
    ):
        loaded(document(citus={"group": 0, "database": "x"}), directory=tmp_path)


def test_an_error_shows_value_place_and_remedy_but_no_secret(tmp_path: Path) -> None:
    text = json.dumps(document())[:-1] + ',\n"ctl": {"insecure": "maybe"}}'
    with pytest.raises(ConfigurationError) as caught:
        loaded(text, directory=tmp_path)
    assert str(caught.value) == (
        "ctl.insecure: 'maybe' is not a boolean; write on or off "
        f"({tmp_path}/regnal.yml, line 2)"
    )
    content = document(etcd3={"password": {"secret": "hunter2"}})
    with pytest.raises(ConfigurationError) as caught:
        loaded(content, directory=tmp_path)
    assert "etcd3.password: the value is not a text" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("sections", "path"),
    [
        (
            {"restapi": {"authentication": {"username": "a"}}},
            "restapi.authentication.password",
        ),
        ({"ctl": {"authentication": {"password": "a"}}}, "ctl.authentication.username"),
        (
            {"restapi": {"verify_client": "required", "certfile": "/c"}},
            "restapi.cafile",
        ),
        ({"journal": {"dir": "/nowhere/data/journal"}}, "journal.dir"),
        ({"journal": {"dir": "/nowhere/data"}}, "journal.dir"),
        ({"bootstrap": {"method": "pgbackrest"}}, "bootstrap.pgbackrest.command"),
        ({"log": {"format": "%(no"}}, "log.format"),
        ({"etcd3": None, "etcd": {}}, "etcd.host"),
        ({"etcd3": None, "zookeeper": {}}, "zookeeper.hosts"),
        ({"etcd3": None, "raft": {"partner_addrs": ["a:1"]}}, "raft.self_addr"),
        ({"etcd3": None, "kubernetes": {}}, "kubernetes.labels"),
        ({"name": "a/b"}, "name"),
        ({"scope": ""}, "scope"),
        ({"postgresql": {"listen": "127.0.0.1"}}, "postgresql.listen"),
        ({"postgresql": {"connect_address": "a b:1"}}, "postgresql.connect_address"),
        ({"thread_stack_size": 100000}, "thread_stack_size"),
        ({"thread_pool_size": 4}, "thread_pool_size"),
        ({"log": {"mode": 644}}, "log.mode"),
    ],
)
def test_what_does_not_fit_together_is_named(
    sections: dict[str, Any], path: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(document(**sections), directory=tmp_path)
    assert [problem.path for problem in caught.value.problems] == [path]


def test_consul_needs_no_address(tmp_path: Path) -> None:
    effective = loaded(document(etcd3=None, consul={}), directory=tmp_path)
    assert effective.document["consul"]["consistency"] == "default"


def test_log_formats() -> None:
    """LOG-01, P-LOG-01"""
    kind = LogFormat()
    assert kind.parse(["a", {"b": "c"}], None) == ["a", {"b": "c"}]
    assert kind.parse("%(message)s", "%(message)s") == "%(message)s"
