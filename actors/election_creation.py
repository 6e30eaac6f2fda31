"""Rules of beginnings: a new cluster, a new member, a member that starts."""

from regnal.actors.election_lease import ask_for_the_lease
from regnal.actors.election_pause import has_foreign_data
from regnal.actors.election_rule import Conclusion
from regnal.actors.election_state import Election
from regnal.actors.upstreams import (
    remote_upstream,
    source_to_clone,
    upstream_to_follow,
)
from regnal.messages.base import Instant
from regnal.messages.daemon import ExitDaemon
from regnal.messages.frozen import replace
from regnal.messages.lease import ReleaseLeader
from regnal.messages.operations import (
    BootstrapCluster,
    CloneMember,
    FollowLeader,
    StartAsPrimary,
)
from regnal.messages.postgres import Upstream
from regnal.messages.reasons import because
from regnal.messages.store import (
    CancelInitialize,
    ConfirmInitialize,
    TakeInitialize,
    WriteConfig,
)

RETRY_AFTER_FAILURE = 5.0
"""Seconds between two attempts at what failed, at most; a heartbeat at least."""


def refuse_data_of_another_cluster(view: Election, now: Instant) -> Conclusion | None:
    """BOOT-24: our data belong to another cluster.  In pause only a warning."""
    if view.paused or not has_foreign_data(view):
        return None
    assert view.cluster is not None
    assert view.postgres is not None
    reason = because(
        "SYSTEM_IDENTIFIER_MISMATCH",
        local=view.postgres.system_identifier,
        cluster=view.cluster.initialize,
    )
    return Conclusion(
        view,
        said=(ExitDaemon(status=1, message=str(reason)),),
        facts={"reason": reason},
    )


def refuse_an_unusable_data_directory(
    view: Election, now: Instant
) -> Conclusion | None:
    """BOOT-22: not empty, and no PostgreSQL can run on it.  Where there is a cluster to
    join a person can still ask for a rebuild; where there is none the start ends."""
    cluster, postgres = view.cluster, view.postgres
    if cluster is None or postgres is None or view.paused or view.busy is not None:
        return None
    if postgres.data_directory != "invalid" or view.phase != "absent":
        return None
    reason = because("DATA_DIRECTORY_INVALID", directory="the data directory")
    is_new = cluster.initialize is None and cluster.leader is None
    if is_new and not view.seen_initialized and not view.shutdown:
        return Conclusion(
            view,
            said=(ExitDaemon(status=1, message=str(reason)),),
            facts={"reason": reason},
        )
    if view.failure == reason or view.has_lease:
        return None
    return Conclusion(replace(view, failure=reason), facts={"reason": reason})


def release_the_lease_of_a_lost_data_directory(
    view: Election, now: Instant
) -> Conclusion | None:
    """BOOT-33, BOOT-34, P-ELEC-21: the key is ours, the data directory is gone or
    cannot be read."""
    if view.postgres is None or view.busy is not None:
        return None
    unreadable = view.postgres.data_directory == "unreadable"
    gone = view.phase == "absent" and view.postgres.data_directory != "valid"
    if not gone and not (unreadable and view.phase == "stopped"):
        return None
    if not view.has_lease or view.asking or view.settings is None:
        return None
    if view.initialize != "no":
        return None
    return Conclusion(
        replace(view, asking="release"),
        said=(
            ReleaseLeader(
                member=view.member,
                last_lsn=None,
                deadline=now + view.settings.retry_timeout,
            ),
        ),
    )


def create_the_initialize_key(view: Election, now: Instant) -> Conclusion | None:
    """BOOT-01: a new cluster; whoever creates the key bootstraps it."""
    settings, cluster = view.settings, view.cluster
    if settings is None or cluster is None or view.initialize != "no":
        return None
    if cluster.initialize is not None or cluster.leader is not None:
        return None
    if view.phase != "absent" or not view.data_is_missing or view.paused:
        return None
    if not settings.may_bootstrap or not settings.tags.may_lead:
        return None
    if now < view.retry_at or view.busy is not None or view.shutdown:
        return None
    return Conclusion(
        replace(view, initialize="asked"),
        said=(TakeInitialize(deadline=now + settings.retry_timeout),),
    )


def bootstrap_the_cluster(view: Election, now: Instant) -> Conclusion | None:
    """The initialize key is ours: create the database."""
    if view.initialize != "ours" or view.busy is not None or view.phase != "absent":
        return None
    settings = view.settings
    if settings is not None and settings.is_standby_cluster:
        remote = remote_upstream(settings)
        return Conclusion(
            replace(view, busy="clone_member", initialize="created"),
            said=(
                CloneMember(
                    source=remote, upstream=remote, reason=because("BOOTSTRAP")
                ),
            ),
        )
    return Conclusion(
        replace(view, busy="bootstrap_cluster"),
        said=(BootstrapCluster(reason=because("BOOTSTRAP")),),
    )


def give_the_failed_bootstrap_up(view: Election, now: Instant) -> Conclusion | None:
    """BOOT-19: remove the key, so that another member may try."""
    if view.initialize != "ours" or view.failed_intent != "bootstrap_cluster":
        return None
    assert view.settings is not None
    return Conclusion(
        replace(
            view,
            initialize="no",
            failed_intent=None,
            retry_at=now + view.settings.loop_wait,
        ),
        said=(CancelInitialize(deadline=now + view.settings.retry_timeout),),
        facts={"reason": view.failure},
    )


def confirm_the_new_cluster(view: Election, now: Instant) -> Conclusion | None:
    """The database exists: publish its identifier and configuration, take the lease."""
    if view.initialize != "created" or view.settings is None or view.asking:
        return None
    identifier = view.new_identifier or (
        view.postgres.system_identifier if view.postgres else None
    )
    if identifier is None or view.busy is not None or not view.is_running:
        return None
    deadline = now + view.settings.retry_timeout
    config = WriteConfig(
        document=view.settings.bootstrap_config,
        if_revision="absent",
        deadline=deadline,
    )
    return Conclusion(
        replace(view, initialize="confirming", asking="acquire"),
        said=(
            ConfirmInitialize(system_identifier=identifier, deadline=deadline),
            # The configuration of a wiped cluster is the last one that was known,
            # which the watcher of the store writes (CFG-17).
            *(() if view.seen_initialized else (config,)),
            ask_for_the_lease(view, now),
        ),
        facts={"system_identifier": identifier},
    )


def take_over_an_existing_primary(view: Election, now: Instant) -> Conclusion | None:
    """BOOT-25: valid data of a primary, and no cluster in the store yet."""
    settings, cluster, postgres = view.settings, view.cluster, view.postgres
    if settings is None or cluster is None or postgres is None:
        return None
    if cluster.initialize is not None or cluster.leader is not None:
        return None
    if view.initialize != "no" or view.busy is not None or view.shutdown:
        return None
    if now < view.retry_at:
        return None
    if view.phase == "primary" and postgres.system_identifier:
        return Conclusion(
            replace(view, initialize="asked"),
            said=(
                TakeInitialize(
                    system_identifier=postgres.system_identifier,
                    deadline=now + settings.retry_timeout,
                ),
            ),
        )
    stopped_primary = (
        view.phase == "stopped"
        and view.control is not None
        and not view.control.state.endswith("in recovery")
        and view.control.state != "in archive recovery"
    )
    if stopped_primary and settings.tags.may_lead:
        assert view.control is not None
        return Conclusion(
            replace(view, initialize="asked"),
            said=(
                TakeInitialize(
                    system_identifier=view.control.system_identifier,
                    deadline=now + settings.retry_timeout,
                ),
            ),
        )
    return None


def refuse_a_replica_without_a_cluster(
    view: Election, now: Instant
) -> Conclusion | None:
    """BOOT-27: PostgreSQL runs as a replica of a cluster that the store does not
    know.  It is left running."""
    if view.cluster is None or view.cluster.initialize is not None or view.paused:
        return None
    if view.cluster.leader is not None or view.phase != "standby":
        return None
    if view.initialize != "no" or view.has_lease or view.seen_initialized:
        return None
    message = (
        "PostgreSQL runs as a replica, but the cluster is not initialized in the "
        "DCS; start the daemon on the primary first"
    )
    return Conclusion(view, said=(ExitDaemon(status=1, message=message),))


def clone_this_member(view: Election, now: Instant) -> Conclusion | None:
    """The cluster exists and our data directory does not (REPL-01..09)."""
    settings, cluster = view.settings, view.cluster
    if settings is None or cluster is None or view.phase != "absent":
        return None
    if view.busy is not None or view.shutdown or view.paused or now < view.retry_at:
        return None
    if not cluster.is_initialized or not view.data_is_missing or view.has_lease:
        return None
    source = source_to_clone(cluster, settings)
    upstream = upstream_to_follow(cluster, settings)
    sourceless = any(not method.needs_source for method in settings.replica_methods)
    if source is None and not sourceless:
        return None
    return Conclusion(
        replace(view, busy="clone_member", following=upstream),
        said=(
            CloneMember(
                source=source,
                upstream=upstream,
                reason=because("LEADER_CHANGED", leader=cluster.leader_name),
            ),
        ),
        facts={"source": source},
    )


def may_start_again(view: Election, now: Instant) -> bool:
    """Whether our primary is down, and a start would mend that."""
    if view.phase != "stopped" or view.busy is not None or view.shutdown:
        return False
    settings = view.settings
    if settings is None or not view.lease_is_safe(now) or view.asking:
        return False
    if view.switchover is not None or view.handed_to is not None:
        return False
    if settings.is_standby_cluster or view.failed_intent == "start_as_primary":
        return False
    if not view.was_primary or view.stepping_down or view.is_barred:
        return False
    if view.control is not None and view.control.is_of_standby:
        # The lease was handed to it, and its host died: it must be promoted, or two
        # histories have the same timeline.
        return False
    has_to_fail_over = settings.primary_start_timeout <= 0 or view.request_is_due
    return not (view.candidates_stand_by and has_to_fail_over)


def start_the_primary_again(view: Election, now: Instant) -> Conclusion | None:
    """The lease is ours and nobody led in between: no failover is needed for what a
    restart mends (ELEC-11, P-ELEC-11)."""
    settings = view.settings
    if settings is None or not may_start_again(view, now) or view.fencing != "stands":
        return None
    return Conclusion(
        replace(view, busy="start_as_primary"),
        said=(
            StartAsPrimary(
                not_after=view.last_moment,
                timeout=settings.primary_start_timeout or settings.pg_ctl_timeout,
                reason=view.failure or because("POSTGRES_NOT_RUNNING"),
            ),
        ),
        facts={"lease_left": view.lease_left(now), "control": view.control},
    )


def release_the_lease_of_a_dead_primary(
    view: Election, now: Instant
) -> Conclusion | None:
    """PostgreSQL does not start, or is not to be started again: let another lead
    (ELEC-14)."""
    if view.phase != "stopped" or view.busy is not None or not view.has_lease:
        return None
    if view.asking or view.settings is None or view.switchover is not None:
        return None
    if view.handed_to is not None:
        return None
    return Conclusion(
        replace(view, asking="release", failed_intent=None),
        said=(
            ReleaseLeader(
                member=view.member,
                last_lsn=view.last_lsn,
                deadline=now + view.settings.retry_timeout,
            ),
        ),
        facts={"reason": view.failure, "last_lsn": view.last_lsn},
    )


def start_as_standby(view: Election, now: Instant) -> Conclusion | None:
    """PostgreSQL does not run and the lease is not ours: start it as a standby, after
    a look at whether it may follow (law 5)."""
    settings, cluster = view.settings, view.cluster
    if settings is None or cluster is None or view.phase != "stopped":
        return None
    if view.busy is not None or view.shutdown or view.paused or now < view.retry_at:
        return None
    if view.has_lease and view.handed_to is None:
        return None
    if view.postgres is not None and view.postgres.data_directory != "valid":
        return None
    upstream = _upstream(view)
    return Conclusion(
        replace(
            view,
            busy="follow_leader",
            following=upstream,
            followed_timeline=_leader_timeline(view),
            stepping_down=False,
        ),
        said=(
            FollowLeader(
                upstream=upstream,
                check_divergence=view.handed_to is None
                and (upstream is None or upstream.member is not None),
                reason=because("POSTGRES_NOT_RUNNING"),
            ),
        ),
        facts={"upstream": upstream, "was_primary": view.was_primary},
    )


def _upstream(view: Election) -> Upstream | None:
    assert view.cluster is not None
    assert view.settings is not None
    if view.settings.is_standby_cluster and view.leader in (None, view.member):
        return remote_upstream(view.settings)
    return upstream_to_follow(view.cluster, view.settings)


def _leader_timeline(view: Election) -> int:
    leader = view.cluster.leader_member if view.cluster else None
    return leader.timeline or 0 if leader else 0
