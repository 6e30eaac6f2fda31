"""The variables `PATRONI_*` and `REGNAL_*`, and which option each one sets.

A variable is removed from the environment when it is read: passwords do not
reach the programs that the daemon starts.
"""

import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote

from regnal.configuration.problems import ConfigurationError, Problem
from regnal.configuration.reading import is_unicode, read_yaml
from regnal.configuration.tree import Origin, Tree

WHOLE_CONFIGURATION = "PATRONI_CONFIGURATION"

Shape: TypeAlias = Literal["scalar", "list", "mapping", "format"]
"""How the text of a variable is taken apart; the schema then makes the type."""


@dataclass(frozen=True, slots=True)
class Variable:
    path: tuple[str, ...]
    shape: Shape


_ACCOUNT = (
    "USERNAME PASSWORD SSLMODE SSLKEY SSLCERT SSLPASSWORD SSLROOTCERT SSLCRL SSLCRLDIR "
    "SSLNEGOTIATION GSSENCMODE CHANNEL_BINDING"
)
_ETCD = (
    "HOST PORT URL PROXY PROTOCOL SRV SRV_SUFFIX CACERT CERT KEY USERNAME PASSWORD "
    "USE_PROXIES"
)


@dataclass(frozen=True, slots=True)
class _Group:
    """Variables of one section; an option is named as its variable."""

    prefix: str
    section: tuple[str, ...]
    scalars: str = ""
    lists: str = ""
    mappings: str = ""


_GROUPS = (
    _Group(
        "",
        (),
        scalars="NAME SCOPE NAMESPACE THREAD_POOL_SIZE THREAD_STACK_SIZE",
    ),
    _Group(
        "LOG_",
        ("log",),
        scalars=(
            "LEVEL TRACEBACK_LEVEL DATEFORMAT DIR TYPE MAX_QUEUE_SIZE FILE_NUM FILE_SIZE "
            "MODE DEDUPLICATE_HEARTBEAT_LOGS"
        ),
        mappings="LOGGERS STATIC_FIELDS",
    ),
    _Group(
        "RESTAPI_",
        ("restapi",),
        scalars=(
            "LISTEN CONNECT_ADDRESS CERTFILE KEYFILE KEYFILE_PASSWORD CAFILE CIPHERS "
            "VERIFY_CLIENT SERVER_TOKENS ALLOWLIST_INCLUDE_MEMBERS REQUEST_QUEUE_SIZE "
            "THREAD_POOL_SIZE"
        ),
        lists="ALLOWLIST",
        mappings="HTTP_EXTRA_HEADERS HTTPS_EXTRA_HEADERS",
    ),
    _Group(
        "RESTAPI_",
        ("restapi", "authentication"),
        scalars="USERNAME PASSWORD",
    ),
    _Group(
        "CTL_",
        ("ctl",),
        scalars="INSECURE CACERT CERTFILE KEYFILE KEYFILE_PASSWORD",
    ),
    _Group(
        "CTL_",
        ("ctl", "authentication"),
        scalars="USERNAME PASSWORD",
    ),
    _Group(
        "POSTGRESQL_",
        ("postgresql",),
        scalars=(
            "LISTEN CONNECT_ADDRESS PROXY_ADDRESS CONFIG_DIR DATA_DIR PGPASS BIN_DIR"
        ),
    ),
    _Group(
        "POSTGRESQL_BIN_",
        ("postgresql", "bin_name"),
        scalars=(
            "PG_CTL INITDB PG_CONTROLDATA PG_BASEBACKUP POSTGRES PG_ISREADY PG_REWIND"
        ),
    ),
    _Group(
        "SUPERUSER_",
        ("postgresql", "authentication", "superuser"),
        scalars=_ACCOUNT,
    ),
    _Group(
        "REPLICATION_",
        ("postgresql", "authentication", "replication"),
        scalars=_ACCOUNT,
    ),
    _Group(
        "REWIND_",
        ("postgresql", "authentication", "rewind"),
        scalars=_ACCOUNT,
    ),
    _Group(
        "ETCD_",
        ("etcd",),
        scalars=_ETCD,
        lists="HOSTS",
    ),
    _Group(
        "ETCD3_",
        ("etcd3",),
        scalars=_ETCD,
        lists="HOSTS",
    ),
    _Group(
        "CONSUL_",
        ("consul",),
        scalars=(
            "HOST PORT URL SCHEME TOKEN CACERT CERT KEY DC CONSISTENCY "
            "SERVICE_CHECK_INTERVAL SERVICE_CHECK_TLS_SERVER_NAME VERIFY "
            "REGISTER_SERVICE"
        ),
        lists="CHECKS SERVICE_TAGS",
    ),
    _Group(
        "ZOOKEEPER_",
        ("zookeeper",),
        scalars="USE_SSL VERIFY CACERT CERT KEY KEY_PASSWORD",
        lists="HOSTS",
        mappings="SET_ACLS AUTH_DATA",
    ),
    _Group(
        "EXHIBITOR_",
        ("exhibitor",),
        scalars="PORT",
        lists="HOSTS",
    ),
    _Group(
        "KUBERNETES_",
        ("kubernetes",),
        scalars=(
            "NAMESPACE CONTEXT SCOPE_LABEL ROLE_LABEL POD_IP CACERT LEADER_LABEL_VALUE "
            "FOLLOWER_LABEL_VALUE STANDBY_LEADER_LABEL_VALUE TMP_ROLE_LABEL "
            "USE_ENDPOINTS BYPASS_API_SERVICE"
        ),
        lists="PORTS RETRIABLE_HTTP_CODES",
        mappings="LABELS BOOTSTRAP_LABELS",
    ),
    _Group(
        "RAFT_",
        ("raft",),
        scalars=(
            "SELF_ADDR BIND_ADDR DATA_DIR PASSWORD MIN_TIMEOUT MAX_TIMEOUT "
            "CONNECTION_TIMEOUT APPEND_ENTRIES_PERIOD CONNECTION_RETRY_TIME "
            "LEADER_FALLBACK_TIMEOUT"
        ),
        lists="PARTNER_ADDRS",
    ),
    _Group(
        "CITUS_",
        ("citus",),
        scalars="GROUP DATABASE",
    ),
)

_OWN_GROUPS = (
    _Group(
        "JOURNAL_",
        ("journal",),
        scalars="DIR MAX_SEGMENT_SIZE MAX_AGE RETENTION_DAYS MAX_SIZE PATIENCE FSYNC",
    ),
    _Group(
        "FENCING_",
        ("fencing",),
        scalars="GUARD MARGIN",
    ),
    _Group(
        "INCIDENTS_",
        ("incidents",),
        scalars="EXPLAIN",
    ),
    _Group(
        "NATS_",
        ("nats",),
        scalars=(
            "USERNAME PASSWORD TOKEN CREDENTIALS CAFILE CERTFILE KEYFILE EVENTS JOURNAL "
            "JETSTREAM CREATE_STREAMS STREAM JOURNAL_STREAM SUBJECT_PREFIX MAX_AGE "
            "MAX_BYTES REPLICAS"
        ),
        lists="SERVERS",
    ),
    _Group(
        "OTEL_",
        ("otel",),
        scalars=(
            "ENDPOINT PROTOCOL CAFILE CERTFILE KEYFILE COMPRESSION TIMEOUT TRACES METRICS "
            "LOGS SAMPLING METRICS_INTERVAL"
        ),
        mappings="HEADERS RESOURCE_ATTRIBUTES",
    ),
)

_OLD_NAMES = {
    "PATRONI_LOGLEVEL": Variable(("log", "level"), "scalar"),
    "PATRONI_LOGFORMAT": Variable(("log", "format"), "format"),
    "PATRONI_LOG_DATEFMT": Variable(("log", "dateformat"), "scalar"),
    "PATRONI_REQUESTS_LOGLEVEL": Variable(("log", "loggers", "urllib3"), "scalar"),
    "PATRONI_POSTGRESQL_BIN_IS_READY": Variable(
        ("postgresql", "bin_name", "pg_isready"), "scalar"
    ),
    "PATRONI_RETRIABLE_HTTP_CODES": Variable(
        ("kubernetes", "retriable_http_codes"), "list"
    ),
}


def _variables() -> Iterator[tuple[str, Variable]]:
    yield from _OLD_NAMES.items()  # first, so that today's name is applied later
    yield "PATRONI_LOG_FORMAT", Variable(("log", "format"), "format")
    for start, groups in (("PATRONI_", _GROUPS), ("REGNAL_", _OWN_GROUPS)):
        for group in groups:
            yield from _of_group(start, group)


def _of_group(start: str, group: _Group) -> Iterator[tuple[str, Variable]]:
    shapes: Iterable[tuple[str, Shape]] = (
        (group.scalars, "scalar"),
        (group.lists, "list"),
        (group.mappings, "mapping"),
    )
    for names, shape in shapes:
        for name in names.split():
            path = (*group.section, name.lower())
            yield start + group.prefix + name, Variable(path, shape)


VARIABLES: Mapping[str, Variable] = MappingProxyType(dict(_variables()))
"""Every variable that sets one option, in the order in which they are applied."""

_USER = re.compile(r"PATRONI_(?P<user>.+)_(?P<what>PASSWORD|OPTIONS)")


def take_environment(environ: MutableMapping[str, str]) -> tuple[Tree, list[str]]:
    """The options set by variables, which are removed; and warnings.

    An empty variable counts as not set.  Raises ConfigurationError for a list
    or mapping that cannot be read.
    """
    tree = Tree()
    problems: list[Problem] = []
    for name in VARIABLES:
        text = environ.pop(name, "")
        if text:
            _apply(tree, name, VARIABLES[name], text, problems)
    for name in sorted(environ):
        match = _USER.fullmatch(name)
        if match:
            option = match["what"].lower()
            path = ("bootstrap", "users", match["user"], option)
            shape: Shape = "list" if option == "options" else "scalar"
            _apply(tree, name, Variable(path, shape), environ.pop(name), problems)
    if problems:
        raise ConfigurationError(*problems)
    return tree, _likely_mistakes(environ)


def standard_telemetry(environ: Mapping[str, str]) -> Tree:
    """What OpenTelemetry's own variables say for the section `otel`.

    They are addressed to every program in this environment: they stay there, and count
    for us only where the section says that we export.  Raises ConfigurationError.
    """
    tree = Tree()
    problems: list[Problem] = []
    for name, path in STANDARD.items():
        text = environ.get(name, "")
        if not text:
            continue
        if not is_unicode(text):
            problems.append(Problem(name, "is not UTF-8 text", "write it in UTF-8"))
        elif path[-1] in ("headers", "resource_attributes"):
            _put_pairs(tree, name, path, text, problems)
        else:
            unit = "ms" if name == _INTERVAL and text.isdigit() else ""
            tree.put(path, text + unit, Origin(name, text=text))
    if problems:
        raise ConfigurationError(*problems)
    return tree


def _put_pairs(
    tree: Tree, name: str, path: tuple[str, ...], text: str, problems: list[Problem]
) -> None:
    """`key=value,key=value`, each percent-encoded."""
    for pair in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = pair.partition("=")
        key, value = unquote(key.strip()), unquote(value.strip())
        if not key or not equals or not is_unicode(value):
            problems.append(
                Problem(name, "has a part without key=value", "write key=value,...")
            )
        else:
            tree.put((*path, key), value, Origin(name, text=value))


_INTERVAL = "OTEL_METRIC_EXPORT_INTERVAL"

STANDARD: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "OTEL_EXPORTER_OTLP_ENDPOINT": ("otel", "endpoint"),
        "OTEL_EXPORTER_OTLP_PROTOCOL": ("otel", "protocol"),
        "OTEL_EXPORTER_OTLP_HEADERS": ("otel", "headers"),
        "OTEL_EXPORTER_OTLP_CERTIFICATE": ("otel", "cafile"),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": ("otel", "certfile"),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": ("otel", "keyfile"),
        "OTEL_EXPORTER_OTLP_COMPRESSION": ("otel", "compression"),
        _INTERVAL: ("otel", "metrics_interval"),
        "OTEL_RESOURCE_ATTRIBUTES": ("otel", "resource_attributes"),
        "OTEL_SERVICE_NAME": ("otel", "resource_attributes", "service.name"),
    }
)
"""https://opentelemetry.io/docs/specs/otel/protocol/exporter/; the last counts.  Not its
OTEL_EXPORTER_OTLP_TIMEOUT, whose unit implementations do not agree on."""


def take_own(environ: MutableMapping[str, str]) -> Tree:
    """As `take_environment`, but only what the peer does not know (`REGNAL_*`)."""
    own = {name: environ.pop(name) for name in list(environ) if name in _OWN_NAMES}
    return take_environment(own)[0]


_OWN_NAMES = frozenset(name for name in VARIABLES if name.startswith("REGNAL_"))


def _apply(
    tree: Tree, name: str, variable: Variable, text: str, problems: list[Problem]
) -> None:
    if not is_unicode(text):
        problems.append(Problem(name, "is not UTF-8 text", "write it in UTF-8"))
        return
    try:
        value = _taken_apart(text, variable.shape)
    except (ValueError, ConfigurationError) as error:
        problems.append(
            Problem(name, f"is not a {variable.shape}", "write it as YAML", str(error))
        )
        return
    written = value if isinstance(value, str) else None
    tree.put(variable.path, value, Origin(name, text=written))


def _taken_apart(text: str, shape: Shape) -> Any:
    match shape:
        case "scalar":
            return text
        case "list":
            return _list(text)
        case "mapping":
            return _mapping(text)
        case "format":
            return text if "%(" in text else _list(text)


def _list(text: str) -> list[Any]:
    """`a,b`, or a YAML list.

    `[::1]:1,[::2]:2` begins as a YAML list and is none.
    """
    if text.lstrip()[:1] in ("[", "-"):
        with contextlib.suppress(ConfigurationError):
            parsed = _yaml(text)
            if isinstance(parsed, list):
                return parsed
    return [part.strip() for part in text.split(",") if part.strip()]


def _mapping(text: str) -> dict[str, Any]:
    stripped = text.strip()
    in_braces = stripped if stripped.startswith("{") else f"{{{stripped}}}"
    parsed = _yaml(in_braces)
    if not isinstance(parsed, dict):
        raise ValueError("not a YAML mapping")
    return parsed


def _yaml(text: str) -> Any:
    """The value of a YAML text of any shape."""
    # One level down, where lists are allowed as well as mappings.
    indented = "".join(f"  {line}\n" for line in text.splitlines())
    return read_yaml(f"value:\n{indented}", "variable").data.get("value")


def _likely_mistakes(environ: Mapping[str, str]) -> list[str]:
    """Variables that look like a misspelling of one that we know."""
    warnings = []
    for name in sorted(environ):
        if not name.startswith(("PATRONI_", "REGNAL_")) or name == WHOLE_CONFIGURATION:
            continue
        close = difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.85)
        if close:
            warnings.append(f"{name} is not a known variable; did you mean {close[0]}?")
    return warnings
