"""Whom to stream from, and whom to clone from: pure choices on the cluster view."""

from urllib.parse import urlsplit

from regnal.actors.names import slot_name
from regnal.messages.base import MemberName
from regnal.messages.cluster import ClusterView, MemberView
from regnal.messages.postgres import Upstream
from regnal.messages.settings import Settings


def upstream_from(view: MemberView, settings: Settings, is_leader: bool) -> Upstream:
    """`view` as somebody to stream from."""
    host, port = host_and_port(view.conn_url or "")
    return Upstream(
        member=view.name,
        host=host,
        port=port,
        slot=slot_name(settings.name) if settings.use_slots else None,
        is_leader=is_leader,
    )


def remote_upstream(settings: Settings) -> Upstream | None:
    """The remote of a standby cluster; None: archive only, or no standby cluster."""
    remote = settings.standby_cluster
    if remote is None or not (remote.host or remote.port):
        return None
    return Upstream(
        member=None,
        host=remote.host or "",
        port=remote.port or "5432",
        slot=remote.primary_slot_name,
        is_leader=False,
    )


def upstream_to_follow(cluster: ClusterView, settings: Settings) -> Upstream | None:
    """The member of our `replicatefrom` tag if it runs, else the leader (REPL-10).

    None: nobody is there to follow, or we are tagged nostream.
    """
    if settings.tags.nostream:
        return None
    leader = cluster.leader_member
    wanted = settings.tags.replicatefrom
    if wanted and wanted != settings.name:
        chosen = cluster.member(wanted)
        if chosen and chosen.is_running and chosen.conn_url:
            return upstream_from(chosen, settings, chosen is leader)
    if leader is None or leader.name == settings.name or not leader.conn_url:
        return None
    return upstream_from(leader, settings, is_leader=True)


def source_to_clone(cluster: ClusterView, settings: Settings) -> Upstream | None:
    """A running member tagged clonefrom, else the leader (REPL-09).

    Among several the choice differs from member to member, so that new members
    do not all copy from the same one.
    """
    willing = [
        member
        for member in cluster.members
        if member.tags.clonefrom
        and member.is_running
        and member.conn_url
        and member.name not in (settings.name, cluster.leader_name)
    ]
    if willing:
        chosen = willing[sum(map(ord, settings.name)) % len(willing)]
        return upstream_from(chosen, settings, is_leader=False)
    leader = cluster.leader_member
    if leader is None or leader.name == settings.name or not leader.conn_url:
        return None
    if not leader.is_running:
        return None
    return upstream_from(leader, settings, is_leader=True)


def host_and_port(url: str) -> tuple[str, str]:
    """Of a conn_url; the port defaults to 5432.  A broken one gives its text."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", str(parts.port or 5432)
    except ValueError:
        return url, "5432"


def may_stream_from(member: MemberView, me: MemberName) -> bool:
    """Whether `member` says that it streams from `me` rather than from the leader."""
    return member.tags.replicatefrom == me and not member.tags.nostream
