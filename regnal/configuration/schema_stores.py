"""The options of the stores (DCS); one section of these is expected."""

from types import MappingProxyType

from regnal.configuration.kinds import (
    Anything,
    Boolean,
    Choice,
    Integer,
    Items,
    Option,
    Real,
    Scalar,
    Section,
    Text,
)

_TEXT = Option(Text())
_PASSWORD = Option(Text(), secret=True)
_TEXT_LIST = Items(_TEXT, from_text=True)
_LABELS = Section(others=_TEXT)

_ETCD = Section(
    {
        "host": _TEXT,
        "hosts": _TEXT_LIST,
        "port": Option(Integer(minimum=1, maximum=65535)),
        "url": _TEXT,
        "proxy": _TEXT,
        "srv": _TEXT,
        "srv_suffix": _TEXT,
        "use_proxies": Option(Boolean(), default=False),
        "protocol": Option(Choice(("http", "https")), default="http"),
        "username": _TEXT,
        "password": _PASSWORD,
        "cacert": _TEXT,
        "cert": _TEXT,
        "key": _TEXT,
    }
)

_CONSUL = Section(
    {
        "host": _TEXT,
        "url": _TEXT,
        "port": Option(Integer(minimum=1, maximum=65535)),
        "scheme": Option(Choice(("http", "https")), default="http"),
        "token": _PASSWORD,
        "verify": Option(Boolean()),
        "cacert": _TEXT,
        "cert": _TEXT,
        "key": _TEXT,
        "dc": _TEXT,
        "consistency": Option(
            Choice(("default", "consistent", "stale")), default="default"
        ),
        "checks": Items(_TEXT, default=(), from_text=True),
        "register_service": Option(Boolean(), default=False),
        "service_tags": Items(_TEXT, default=(), from_text=True),
        "service_check_interval": Option(Text(), default="5s"),
        "service_check_tls_server_name": _TEXT,
    }
)

_ZOOKEEPER = Section(
    {
        "hosts": _TEXT_LIST,
        "use_ssl": Option(Boolean(), default=False),
        "cacert": _TEXT,
        "cert": _TEXT,
        "key": _TEXT,
        "key_password": _PASSWORD,
        "verify": Option(Boolean(), default=True),
        "set_acls": Section(others=_TEXT_LIST),
        "auth_data": Section(others=_PASSWORD),
    }
)

_EXHIBITOR = Section(
    {
        "hosts": _TEXT_LIST,
        "port": Option(Integer(minimum=1, maximum=65535)),
        "poll_interval": Option(Integer(minimum=1), default=300),
    }
)

_KUBERNETES = Section(
    {
        "labels": _LABELS,
        "namespace": Option(Text(), default="default"),
        "scope_label": Option(Text(), default="cluster-name"),
        "role_label": Option(Text(), default="role"),
        "leader_label_value": Option(Text(), default="primary"),
        "follower_label_value": Option(Text(), default="replica"),
        "standby_leader_label_value": Option(Text(), default="primary"),
        "tmp_role_label": _TEXT,
        "bootstrap_labels": _LABELS,
        "use_endpoints": Option(Boolean(), default=False),
        "pod_ip": _TEXT,
        "ports": Items(Section(others=Option(Scalar())), default=({},)),
        "cacert": _TEXT,
        "context": _TEXT,
        "bypass_api_service": Option(Boolean(), default=False),
        "retriable_http_codes": Items(Option(Integer()), default=(), from_text=True),
    },
    others=Option(Anything()),
)

_SECONDS = Option(Real(minimum=0))
_RAFT = Section(
    {
        "self_addr": _TEXT,
        "partner_addrs": _TEXT_LIST,
        "bind_addr": _TEXT,
        "data_dir": _TEXT,
        "password": _PASSWORD,
        "min_timeout": _SECONDS,
        "max_timeout": _SECONDS,
        "connection_timeout": _SECONDS,
        "append_entries_period": _SECONDS,
        "connection_retry_time": _SECONDS,
        "leader_fallback_timeout": _SECONDS,
    }
)

STORES = MappingProxyType(
    {
        "consul": _CONSUL,
        "etcd": _ETCD,
        "etcd3": _ETCD,
        "exhibitor": _EXHIBITOR,
        "kubernetes": _KUBERNETES,
        "raft": _RAFT,
        "zookeeper": _ZOOKEEPER,
    }
)
"""In the order in which the first one counts where several are written."""
