"""The variables, each and every one (CFG-03, CFG-04; docs/contracts.md 7)."""

from typing import Any

import pytest

from regnal.configuration.checking import check
from regnal.configuration.environment import VARIABLES, Variable, take_environment
from regnal.configuration.kinds import (
    Address,
    Boolean,
    Choice,
    FileMode,
    Integer,
    Items,
    LogFormat,
    Node,
    Option,
    Real,
    Section,
    Size,
    Time,
)
from regnal.configuration.problems import ConfigurationError
from regnal.configuration.schema import LOCAL
from regnal.configuration.tree import Tree

SUPPORTED = [
    (name, variable)
    for name, variable in VARIABLES.items()
    if variable.path[0] != "citus"
]


def option_of(path: tuple[str, ...]) -> Node:
    node: Node = LOCAL
    for name in path:
        assert isinstance(node, Section)
        found = node.entries.get(name) or node.others
        assert found is not None, path
        node = found
    return node


def sample(node: Node) -> tuple[str, Any]:
    """A text that the variable may have, and the value that it means."""
    match node:
        case Items(item=Option(kind=Integer())):
            return "500,503", [500, 503]
        case Items(item=Section()):
            return "[{port: 1}]", [{"port": 1}]
        case Items():
            return "a,b c", ["a", "b c"]
        case Section(others=Items()):
            return "a: [x, y]", {"a": ["x", "y"]}
        case Section(others=Option(kind=Choice())):
            return "urllib3: warning", {"urllib3": "WARNING"}
        case Section():
            return "a: b, c: d", {"a": "b", "c": "d"}
        case Option(kind=kind):
            pass
    match kind:
        case Boolean():
            return "on", True
        case Choice(words=words):
            return words[-1], words[-1]
        case Real(maximum=1):
            return "0.5", 0.5
        case Integer() | Real():
            return "77", 77
        case Time():
            return "2s", 2
        case Size():
            return "1MB", 1024**2
        case Address():
            return "10.0.0.1:77", "10.0.0.1:77"
        case FileMode():
            return "0640", 0o640
        case LogFormat():
            return "%(message)s", "%(message)s"
        case _:
            return "0123", "0123"


@pytest.mark.parametrize(("name", "variable"), SUPPORTED, ids=lambda value: str(value))
def test_every_variable_sets_its_option_and_is_removed(
    name: str, variable: Variable
) -> None:
    """CFG-03, CFG-04"""
    text, expected = sample(option_of(variable.path))
    environ = {name: text, "PATH": "/bin"}
    tree, warnings = take_environment(environ)
    checked = check(LOCAL, tree)
    assert checked.problems == []
    assert checked.warnings == []
    assert warnings == []
    found: Any = checked.document
    for part in variable.path:
        found = found[part]
    assert found == expected
    assert environ == {"PATH": "/bin"}


EXPECTED = """
NAME SCOPE NAMESPACE THREAD_POOL_SIZE THREAD_STACK_SIZE
LOG_LEVEL LOGLEVEL LOG_FORMAT LOGFORMAT LOG_DATEFORMAT LOG_DATEFMT LOG_TRACEBACK_LEVEL LOG_DIR
LOG_TYPE LOG_MAX_QUEUE_SIZE LOG_FILE_NUM LOG_FILE_SIZE LOG_MODE LOG_LOGGERS LOG_STATIC_FIELDS
LOG_DEDUPLICATE_HEARTBEAT_LOGS REQUESTS_LOGLEVEL
RESTAPI_LISTEN RESTAPI_CONNECT_ADDRESS RESTAPI_CERTFILE RESTAPI_KEYFILE
RESTAPI_KEYFILE_PASSWORD RESTAPI_CAFILE RESTAPI_CIPHERS RESTAPI_VERIFY_CLIENT
RESTAPI_SERVER_TOKENS RESTAPI_USERNAME RESTAPI_PASSWORD RESTAPI_ALLOWLIST
RESTAPI_ALLOWLIST_INCLUDE_MEMBERS RESTAPI_HTTP_EXTRA_HEADERS RESTAPI_HTTPS_EXTRA_HEADERS
RESTAPI_REQUEST_QUEUE_SIZE RESTAPI_THREAD_POOL_SIZE
CTL_INSECURE CTL_CACERT CTL_CERTFILE CTL_KEYFILE CTL_KEYFILE_PASSWORD CTL_USERNAME CTL_PASSWORD
POSTGRESQL_LISTEN POSTGRESQL_CONNECT_ADDRESS POSTGRESQL_PROXY_ADDRESS POSTGRESQL_CONFIG_DIR
POSTGRESQL_DATA_DIR POSTGRESQL_PGPASS POSTGRESQL_BIN_DIR POSTGRESQL_BIN_PG_CTL
POSTGRESQL_BIN_INITDB POSTGRESQL_BIN_PG_CONTROLDATA POSTGRESQL_BIN_PG_BASEBACKUP
POSTGRESQL_BIN_POSTGRES POSTGRESQL_BIN_PG_ISREADY POSTGRESQL_BIN_IS_READY
POSTGRESQL_BIN_PG_REWIND
SUPERUSER_USERNAME SUPERUSER_PASSWORD SUPERUSER_SSLMODE SUPERUSER_SSLKEY SUPERUSER_SSLCERT
SUPERUSER_SSLPASSWORD SUPERUSER_SSLROOTCERT SUPERUSER_SSLCRL SUPERUSER_GSSENCMODE
SUPERUSER_CHANNEL_BINDING SUPERUSER_SSLCRLDIR SUPERUSER_SSLNEGOTIATION
REPLICATION_USERNAME REPLICATION_PASSWORD REPLICATION_SSLNEGOTIATION REWIND_USERNAME
REWIND_PASSWORD REWIND_SSLMODE
ETCD_HOST ETCD_URL ETCD_PROXY ETCD_PROTOCOL ETCD_SRV ETCD_SRV_SUFFIX ETCD_CACERT ETCD_CERT
ETCD_KEY ETCD_USERNAME ETCD_PASSWORD ETCD_HOSTS ETCD_USE_PROXIES ETCD_PORT
ETCD3_HOST ETCD3_HOSTS ETCD3_SRV ETCD3_USE_PROXIES ETCD3_USERNAME ETCD3_PASSWORD ETCD3_PORT
CONSUL_HOST CONSUL_URL CONSUL_SCHEME CONSUL_TOKEN CONSUL_CACERT CONSUL_CERT CONSUL_KEY CONSUL_DC
CONSUL_CONSISTENCY CONSUL_SERVICE_CHECK_INTERVAL CONSUL_SERVICE_CHECK_TLS_SERVER_NAME
CONSUL_PORT CONSUL_VERIFY CONSUL_REGISTER_SERVICE CONSUL_CHECKS CONSUL_SERVICE_TAGS
ZOOKEEPER_HOSTS ZOOKEEPER_USE_SSL ZOOKEEPER_VERIFY ZOOKEEPER_CACERT ZOOKEEPER_CERT
ZOOKEEPER_KEY ZOOKEEPER_KEY_PASSWORD ZOOKEEPER_SET_ACLS ZOOKEEPER_AUTH_DATA
EXHIBITOR_HOSTS EXHIBITOR_PORT
KUBERNETES_NAMESPACE KUBERNETES_CONTEXT KUBERNETES_SCOPE_LABEL KUBERNETES_ROLE_LABEL
KUBERNETES_POD_IP KUBERNETES_CACERT KUBERNETES_LEADER_LABEL_VALUE
KUBERNETES_FOLLOWER_LABEL_VALUE KUBERNETES_STANDBY_LEADER_LABEL_VALUE KUBERNETES_TMP_ROLE_LABEL
KUBERNETES_LABELS KUBERNETES_BOOTSTRAP_LABELS KUBERNETES_PORTS KUBERNETES_RETRIABLE_HTTP_CODES
RETRIABLE_HTTP_CODES KUBERNETES_USE_ENDPOINTS KUBERNETES_BYPASS_API_SERVICE
RAFT_SELF_ADDR RAFT_BIND_ADDR RAFT_DATA_DIR RAFT_PASSWORD RAFT_PARTNER_ADDRS RAFT_MIN_TIMEOUT
RAFT_MAX_TIMEOUT RAFT_CONNECTION_TIMEOUT RAFT_APPEND_ENTRIES_PERIOD RAFT_CONNECTION_RETRY_TIME
RAFT_LEADER_FALLBACK_TIMEOUT CITUS_GROUP CITUS_DATABASE
"""


def test_no_variable_of_the_contract_is_missing() -> None:
    """docs/contracts.md 7 and 12"""
    missing = [n for n in EXPECTED.split() if f"PATRONI_{n}" not in VARIABLES]
    assert missing == []


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("PATRONI_LOGLEVEL", "PATRONI_LOG_LEVEL", "level"),
        ("PATRONI_LOGFORMAT", "PATRONI_LOG_FORMAT", "format"),
        ("PATRONI_LOG_DATEFMT", "PATRONI_LOG_DATEFORMAT", "dateformat"),
    ],
)
def test_old_names_of_variables_give_way_to_the_new(
    old: str, new: str, path: str
) -> None:
    """LOG-03"""
    alone, _ = take_environment({old: "%(a)s"})
    assert alone.data == {"log": {path: "%(a)s"}}
    both, _ = take_environment({new: "%(b)s", old: "%(a)s"})
    assert both.data == {"log": {path: "%(b)s"}}


def test_the_level_of_the_http_client_has_an_old_variable() -> None:
    """LOG-03"""
    tree, _ = take_environment({"PATRONI_REQUESTS_LOGLEVEL": "ERROR"})
    assert tree.data == {"log": {"loggers": {"urllib3": "ERROR"}}}


def test_a_log_format_without_fields_is_a_list() -> None:
    tree, _ = take_environment({"PATRONI_LOG_FORMAT": "[message, {asctime: time}]"})
    assert tree.data == {"log": {"format": ["message", {"asctime": "time"}]}}


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a,b", ["a", "b"]),
        ("[a, 'b,c']", ["a", "b,c"]),
        ("- a\n- b", ["a", "b"]),
        ("*:1, [::1]:2", ["*:1", "[::1]:2"]),
        ("[::1]:1,[::2]:2", ["[::1]:1", "[::2]:2"]),
        ("one", ["one"]),
        (" , ", []),
    ],
)
def test_lists(text: str, items: list[str]) -> None:
    """CFG-04, CFG-21"""
    tree, _ = take_environment({"PATRONI_ETCD3_HOSTS": text})
    assert tree.data == {"etcd3": {"hosts": items}}


@pytest.mark.parametrize("text", ["{a: b}", "a: b", "{'a': 'b'}", ' "a": "b" '])
def test_mappings_with_and_without_braces(text: str) -> None:
    """CFG-04"""
    tree, _ = take_environment({"PATRONI_KUBERNETES_LABELS": text})
    assert tree.data == {"kubernetes": {"labels": {"a": "b"}}}


def test_a_mapping_that_is_none_names_the_variable() -> None:
    with pytest.raises(ConfigurationError, match="PATRONI_LOG_LOGGERS: is not a mapp"):
        take_environment({"PATRONI_LOG_LOGGERS": "a: [b"})


def test_a_wrong_value_names_option_and_variable() -> None:
    """CFG-04"""
    tree, _ = take_environment({"PATRONI_RESTAPI_REQUEST_QUEUE_SIZE": "many"})
    problem = check(LOCAL, tree).problems[0]
    assert str(problem) == (
        "restapi.request_queue_size: 'many' is not a number; write a whole number "
        "(PATRONI_RESTAPI_REQUEST_QUEUE_SIZE)"
    )


def test_an_empty_variable_counts_as_not_set() -> None:
    environ = {"PATRONI_NAME": ""}
    tree, _ = take_environment(environ)
    assert tree == Tree()
    assert environ == {}


def test_users_of_a_new_cluster() -> None:
    """Seed variables PATRONI_<user>_PASSWORD and _OPTIONS."""
    tree, _ = take_environment(
        {"PATRONI_app_PASSWORD": "s", "PATRONI_app_OPTIONS": "createdb,createrole"}
    )
    assert tree.data == {
        "bootstrap": {
            "users": {"app": {"password": "s", "options": ["createdb", "createrole"]}}
        }
    }


def test_a_misspelt_variable_is_a_warning() -> None:
    _, warnings = take_environment(
        {"PATRONI_POSTGRESQL_DATADIR": "/x", "PATRONI_PORT_80_TCP_ADDR": "of the cloud"}
    )
    assert warnings == [
        (
            "PATRONI_POSTGRESQL_DATADIR is not a known variable; did you mean "
            "PATRONI_POSTGRESQL_DATA_DIR?"
        )
    ]


def test_a_variable_that_is_no_text_is_named() -> None:
    with pytest.raises(ConfigurationError, match="PATRONI_NAME: is not UTF-8 text"):
        take_environment({"PATRONI_NAME": "caf\udce9"})
