"""The options: what may be written in the local files, and what in the store.

The tables follow docs/contracts.md 6.  Old names are translated before
(`layouts`), so that only today's stand here.
"""

from dataclasses import replace
from types import MappingProxyType

from regnal.configuration.kinds import (
    Address,
    Anything,
    Boolean,
    Choice,
    FileMode,
    Integer,
    Items,
    LogFormat,
    Node,
    Option,
    Real,
    Scalar,
    Section,
    Size,
    Text,
    Time,
)
from regnal.configuration.schema_postgresql import (
    BELONGS_IN_DYNAMIC,
    BELONGS_IN_LOCAL_FILE,
    DYNAMIC_POSTGRESQL,
    LOCAL_POSTGRESQL,
)
from regnal.configuration.schema_publishing import NATS, OTEL, SWITCH, WEBHOOKS
from regnal.configuration.schema_stores import STORES

MIN_TTL = 20
MIN_LOOP_WAIT = 1
MIN_RETRY_TIMEOUT = 3
_THREAD_STACK_STEP = 64 * 1024

_FREE = Section(others=Option(Scalar()))
_TEXTS = Section(others=Option(Text(may_be_empty=True)))
_PASSWORD = Option(Text(), secret=True)
_CREDENTIALS = Section({"username": Option(Text()), "password": _PASSWORD})

_RESTAPI = Section(
    {
        "listen": Option(Address(), required=True),
        "connect_address": Option(Address()),
        "authentication": _CREDENTIALS,
        "certfile": Option(Text()),
        "keyfile": Option(Text()),
        "keyfile_password": _PASSWORD,
        "cafile": Option(Text()),
        "ciphers": Option(Text()),
        "verify_client": Option(
            Choice(("none", "optional", "required")), default="none"
        ),
        "allowlist": Items(Option(Text()), from_text=True),
        "allowlist_include_members": Option(Boolean(), default=False),
        "http_extra_headers": _TEXTS,
        "https_extra_headers": _TEXTS,
        "request_queue_size": Option(Integer(minimum=1), default=5),
        "thread_pool_size": Option(Integer(minimum=5), default=5),
        "server_tokens": Option(
            Choice(("original", "productonly", "minimal")), default="original"
        ),
    },
    always=True,
    required=True,
)

_CTL = Section(
    {
        "authentication": _CREDENTIALS,
        "insecure": Option(Boolean(), default=False),
        "cacert": Option(Text()),
        "certfile": Option(Text()),
        "keyfile": Option(Text()),
        "keyfile_password": _PASSWORD,
    },
    always=True,
)

_LEVELS = Choice(("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), {"warn": "WARNING"})

_LOG = Section(
    {
        "type": Option(Choice(("plain", "json")), default="plain"),
        "level": Option(_LEVELS, default="INFO"),
        "traceback_level": Option(_LEVELS, default="ERROR"),
        "format": Option(LogFormat()),
        "dateformat": Option(Text()),
        "static_fields": _FREE,
        "max_queue_size": Option(Integer(minimum=1), default=1000),
        "dir": Option(Text()),
        "file_num": Option(Integer(minimum=0), default=4),
        "file_size": Option(Size(minimum=1), default=25_000_000),
        "mode": Option(FileMode()),
        "loggers": Section(others=Option(_LEVELS)),
        "deduplicate_heartbeat_logs": Option(Boolean(), default=False),
    },
    always=True,
)

_WATCHDOG = Section(
    {
        "mode": Option(
            Choice(
                ("off", "automatic", "required"),
                {
                    "false": "off",
                    "disable": "off",
                    "disabled": "off",
                    "auto": "automatic",
                    "require": "required",
                },
            ),
            default="automatic",
        ),
        "device": Option(Text(), default="/dev/watchdog"),
        "safety_margin": Option(Integer(minimum=-1), default=5),
        "driver": Option(Choice(("default", "testing")), default="default"),
    },
    always=True,
)

_TAGS = Section(
    {
        "nofailover": Option(Boolean()),
        "failover_priority": Option(Integer()),
        "clonefrom": Option(Boolean()),
        "noloadbalance": Option(Boolean()),
        "replicatefrom": Option(Text()),
        "nosync": Option(Boolean()),
        "sync_priority": Option(Integer()),
        "nostream": Option(Boolean()),
    },
    others=Option(Anything()),
    always=True,
)

# Regnal's own.
_JOURNAL = Section(
    {
        "dir": Option(Text()),
        "max_segment_size": Option(Size(minimum=64 * 1024)),
        "max_age": Option(Time(whole=False, minimum=1)),
        "retention_days": Option(Real(minimum=0)),
        "max_size": Option(Size(minimum=1024**2)),
        "patience": Option(Time(whole=False, minimum=0, maximum=5)),
        "fsync": Option(Boolean(), default=True),
    },
    always=True,
)
_FENCING = Section(
    {
        "guard": Option(Choice(("on", "off"), SWITCH), default="on"),
        "margin": Option(Time(whole=False, minimum=0.1), default=5.0),
        "lease": Option(Time(whole=False, minimum=3.0)),
    },
    always=True,
)
_INCIDENTS = Section(
    {"explain": Option(Choice(("on", "off"), SWITCH), default="on")},
    always=True,
)

_SLOT = Section(
    {
        "type": Option(Choice(("physical", "logical")), default="physical"),
        "database": Option(Text()),
        "plugin": Option(Text()),
        "cluster_type": Option(Choice(("primary", "standby"))),
    },
)
_SLOT_MATCHER = Section(
    {
        "name": Option(Text()),
        "type": Option(Text()),
        "database": Option(Text()),
        "plugin": Option(Text()),
    }
)
_STANDBY_CLUSTER = Section(
    {
        "host": Option(Text()),
        "port": Option(Text()),
        "primary_slot_name": Option(Text()),
        "create_replica_methods": Items(Option(Text()), from_text=True),
        "restore_command": Option(Text()),
        "archive_cleanup_command": Option(Text()),
        "recovery_min_apply_delay": Option(Text()),
    }
)

_MAXIMUM_CRASHES = 100
"""As many as are remembered."""

# Regnal's own; the peer keeps it and ignores it.
_INCIDENT_POLICY = Section(
    {
        "min_time_between_failovers": Option(Time(minimum=0), default=0),
        "crash_loop_limit": Option(
            Integer(minimum=0, maximum=_MAXIMUM_CRASHES), default=0
        ),
        "crash_loop_window": Option(Time(minimum=1), default=600),
    },
    always=True,
)

_DYNAMIC_ENTRIES: dict[str, Node] = {
    "ttl": Option(Time(), default=30),
    "loop_wait": Option(Time(), default=10),
    "retry_timeout": Option(Time(), default=10),
    "maximum_lag_on_failover": Option(Size(minimum=0), default=1048576),
    "maximum_lag_on_syncnode": Option(Size(), default=-1),
    "check_timeline": Option(Boolean(), default=False),
    "max_timelines_history": Option(Integer(minimum=0), default=0),
    "primary_start_timeout": Option(Time(minimum=0), default=300),
    "primary_stop_timeout": Option(Time(), default=0),
    "primary_race_backoff": Option(Time(minimum=0), default=0),
    "synchronous_mode": Option(Choice(("off", "on", "quorum"), SWITCH), default="off"),
    "synchronous_mode_strict": Option(Boolean(), default=False),
    "synchronous_node_count": Option(Integer(minimum=0), default=1),
    "failsafe_mode": Option(Boolean(), default=False),
    "pause": Option(Boolean(), default=False),
    "member_slots_ttl": Option(Time(minimum=0), default=1800),
    "slots": Section(others=_SLOT),
    "ignore_slots": Items(_SLOT_MATCHER),
    "standby_cluster": _STANDBY_CLUSTER,
    "incident_policy": _INCIDENT_POLICY,
    "postgresql": DYNAMIC_POSTGRESQL,
}

_LOCAL_NAMES = (
    "name",
    "scope",
    "namespace",
    "log",
    "restapi",
    "ctl",
    "watchdog",
    "tags",
    "bootstrap",
    "journal",
    "fencing",
    "incidents",
    "nats",
    "webhooks",
    "otel",
    "thread_pool_size",
    "thread_stack_size",
    "citus",
    *STORES,
)

DYNAMIC = Section(
    MappingProxyType(_DYNAMIC_ENTRIES),
    always=True,
    remarks=dict.fromkeys(_LOCAL_NAMES, BELONGS_IN_LOCAL_FILE),
)
"""The `config` key, and `bootstrap.dcs`."""

_BOOTSTRAP = Section(
    {
        "dcs": replace(DYNAMIC, stays_bare=True),
        "method": Option(Text(), default="initdb"),
        "initdb": Items(Option(Anything()), from_mapping=True),
        "pg_hba": Items(Option(Text())),
        "post_bootstrap": Option(Text()),
        "users": Section(
            others=Section(
                {
                    "password": _PASSWORD,
                    "options": Items(Option(Text()), from_text=True),
                }
            )
        ),
    },
    others=Section(others=Option(Anything())),
)

_CITUS = Section(
    rejected="Citus clusters are not supported: remove the section to run this "
    "member as an ordinary PostgreSQL cluster"
)

LOCAL = Section(
    MappingProxyType(
        {
            "name": Option(Text(forbidden="/\n"), required=True),
            "scope": Option(Text(forbidden="/\n"), required=True),
            "namespace": Option(Text()),
            "thread_pool_size": Option(Integer(minimum=5), default=5),
            "thread_stack_size": Option(
                Size(minimum=_THREAD_STACK_STEP, multiple_of=_THREAD_STACK_STEP),
                default=512 * 1024,
            ),
            "restapi": _RESTAPI,
            "ctl": _CTL,
            "log": _LOG,
            "watchdog": _WATCHDOG,
            "tags": _TAGS,
            "bootstrap": _BOOTSTRAP,
            "postgresql": LOCAL_POSTGRESQL,
            "journal": _JOURNAL,
            "fencing": _FENCING,
            "incidents": _INCIDENTS,
            "nats": NATS,
            "webhooks": WEBHOOKS,
            "otel": OTEL,
            "citus": _CITUS,
            **STORES,
        }
    ),
    always=True,
    remarks={
        name: BELONGS_IN_DYNAMIC for name in _DYNAMIC_ENTRIES if name != "postgresql"
    },
)
"""The local files and the environment."""
