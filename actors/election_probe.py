"""Whom election asks before a race or a switchover, and how long it waits for each."""

from regnal.actors.election_state import Election
from regnal.messages.base import MemberName, Seconds
from regnal.messages.probes import ProbePeers, ProbeTarget

PROBE_TIMEOUT: Seconds = 2.0

PROBE_GONE_WITHIN: Seconds = 0.5
"""For the former leader, if its own key has vanished as well: then its lease has ended,
as both have one, and it was fenced.  A host that is gone refuses no connection: to wait
for it in full would keep the cluster without a primary for as long."""


def probe_all(view: Election) -> ProbePeers:
    """Ask every member that was ever seen under this leader (ELEC-20); its PostgreSQL,
    too, where nothing has fenced who led."""
    urls = {m.name: m.api_url for m in view.known_members if m.api_url}
    servers = {m.name: m.conn_url for m in view.known_members if view.left_unfenced}
    listed = view.cluster.failsafe if view.cluster else None
    if view.settings is not None and view.settings.failsafe_mode:
        # P-FSAFE-03: the race is run with members that only the key still knows.
        urls = {member.name: member.api_url for member in listed or ()} | urls
    is_gone = not view.left_unfenced and _has_vanished(view, view.last_leader)
    return ProbePeers(
        targets=tuple(
            ProbeTarget(
                name=name,
                api_url=urls[name],
                within=PROBE_GONE_WITHIN
                if is_gone and name == view.last_leader
                else None,
                conn_url=servers.get(name),
            )
            for name in sorted(urls)
            if name != view.member
        ),
        timeout=PROBE_TIMEOUT,
    )


def _has_vanished(view: Election, member: MemberName | None) -> bool:
    if view.cluster is None or view.cluster.leader is not None:
        return False
    return all(there.name != member for there in view.cluster.members)
