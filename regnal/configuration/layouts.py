"""Old names and layouts of options, translated in memory to today's."""

from regnal.configuration.schema_postgresql import PROGRAMS
from regnal.configuration.tree import Tree

_DYNAMIC_ALIASES = (
    ((), "master_start_timeout", "primary_start_timeout"),
    ((), "master_stop_timeout", "primary_stop_timeout"),
    ((), "permanent_replication_slots", "slots"),
    ((), "permanent_slots", "slots"),
    (("postgresql",), "create_replica_method", "create_replica_methods"),
    (("standby_cluster",), "create_replica_method", "create_replica_methods"),
)
_LOCAL_ALIASES = (
    (("bootstrap",), "post_init", "post_bootstrap"),
    (("postgresql",), "create_replica_method", "create_replica_methods"),
    (("etcd",), "discovery_srv", "srv"),
    (("etcd",), "srv_domain", "srv"),
    (("etcd3",), "discovery_srv", "srv"),
    (("etcd3",), "srv_domain", "srv"),
)
_OLD_ACCOUNTS = (
    ("superuser", "superuser"),
    ("replication", "replication"),
    ("pg_rewind", "rewind"),
)


def modernise_local(tree: Tree) -> None:
    """Translate the local files and the environment; where both names are
    written the new one counts."""
    for section, old, new in _LOCAL_ALIASES:
        _rename(tree, section, old, new)
    _accounts(tree)
    _name(tree)
    _exhibitor(tree)
    _methods(tree, ("postgresql",))
    if isinstance(tree.get("bootstrap", "dcs"), dict):
        _modernise_dynamic(tree, ("bootstrap", "dcs"))


def modernise_dynamic(tree: Tree) -> None:
    """Translate the dynamic configuration."""
    _modernise_dynamic(tree, ())


def _modernise_dynamic(tree: Tree, root: tuple[str, ...]) -> None:
    for section, old, new in _DYNAMIC_ALIASES:
        _rename(tree, (*root, *section), old, new)
    _methods(tree, (*root, "postgresql"))


def _rename(tree: Tree, section: tuple[str, ...], old: str, new: str) -> None:
    holder = tree.get(*section)
    if not isinstance(holder, dict) or old not in holder:
        return
    if holder.get(new) is None:
        tree.move((*section, old), (*section, new))
    else:
        tree.drop((*section, old))


def _methods(tree: Tree, section: tuple[str, ...]) -> None:
    holder = tree.get(*section)
    if not isinstance(holder, dict):
        return
    for name, method in list(holder.items()):
        if isinstance(method, dict) and name not in PROGRAMS:
            _rename(tree, (*section, name), "no_master", "no_leader")


def _accounts(tree: Tree) -> None:
    """Accounts directly below `postgresql`, read where `authentication` is absent."""
    postgresql = tree.get("postgresql")
    if not isinstance(postgresql, dict):
        return
    old = [pair for pair in _OLD_ACCOUNTS if isinstance(postgresql.get(pair[0]), dict)]
    has_new = postgresql.get("authentication") is not None
    for name, account in old:
        if name == "pg_rewind" and postgresql.get("use_pg_rewind") is None:
            origin = tree.origin(("postgresql", name))
            tree.put(("postgresql", "use_pg_rewind"), True, origin)
        if has_new:
            tree.drop(("postgresql", name))
            continue
        target = ("postgresql", "authentication", account)
        tree.move(("postgresql", name), target)
        if "network" in tree.get(*target):  # of pg_hba.conf, in times past
            tree.drop((*target, "network"))


def _name(tree: Tree) -> None:
    if tree.get("postgresql", "name") is None:
        return
    if tree.get("name") is None:
        tree.move(("postgresql", "name"), ("name",))
    else:
        tree.drop(("postgresql", "name"))


def _exhibitor(tree: Tree) -> None:
    """`exhibitor` inside `zookeeper` is a store of its own."""
    if not isinstance(tree.get("zookeeper", "exhibitor"), dict):
        return
    if tree.get("exhibitor") is None:
        tree.move(("zookeeper", "exhibitor"), ("exhibitor",))
    tree.drop(("zookeeper",))
