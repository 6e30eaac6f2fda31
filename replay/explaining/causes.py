"""The causes: a published list of codes, each with its sentence and its remedy.

Programs rely on the codes: one may be added, none is renamed or given another meaning.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Cause(NamedTuple):
    """One entry of the list."""

    sentence: str
    """What happened; `{member}` is whom it befell."""

    proof: str
    """What in the journals shows it."""

    remedy: str
    """Where to look, or what to change."""


CAUSES: Mapping[str, Cause] = {
    # PostgreSQL.
    "postgres_crashed": Cause(
        "PostgreSQL of {member} crashed",
        "its postmaster ended unasked, by itself or by a signal of its own making",
        "read PostgreSQL's log of that moment, and the core file if there is one",
    ),
    "postgres_killed": Cause(
        "PostgreSQL of {member} was killed from outside (SIGKILL)",
        "its postmaster ended by signal 9, and the kernel counted no process killed "
        "for want of memory",
        "find who sent the signal: a person, a script, the service manager, a "
        "container's limit",
    ),
    "postgres_oom_killed": Cause(
        "the kernel killed PostgreSQL of {member} for want of memory",
        "its postmaster ended by signal 9 while the kernel's count of such kills rose",
        "give the host memory or PostgreSQL less (shared_buffers, work_mem times "
        "connections); vm.overcommit_memory=2 keeps the postmaster from being chosen",
    ),
    "postgres_stopped_by_hand": Cause(
        "PostgreSQL of {member} was stopped behind the daemon's back",
        "its postmaster ended in order, or by SIGTERM, SIGINT or SIGQUIT, and not on the "
        "daemon's order",
        "stop and restart members with regnalctl; pause the cluster for work by hand",
    ),
    "disk_full": Cause(
        "the disk of PostgreSQL on {member} was full",
        "its postmaster ended, and there was no room left for its data or its WAL",
        "free space; look for a replication slot that keeps WAL, a failing "
        "archive_command, or temporary files",
    ),
    "start_failed_after_crash": Cause(
        "PostgreSQL of {member} crashed and could not be started again",
        "the start in place failed, and the lease was released",
        "read PostgreSQL's log: crash recovery says what it could not do",
    ),
    # The host and the daemon.
    "host_lost": Cause(
        "the host of {member} was lost",
        "the daemon, PostgreSQL and its guard ended together and without a word, or the "
        "host was started anew",
        "power, hardware, hypervisor, kernel; or everything in its container was killed",
    ),
    "daemon_killed": Cause(
        "the daemon of {member} was killed",
        "its journal ends within a life, and the host and its PostgreSQL went on",
        "find who sent the signal; the service manager should start the daemon again at "
        "once (Restart=always)",
    ),
    "daemon_frozen": Cause(
        "the daemon of {member} was frozen: it was stopped, or the machine suspended",
        "the daemon noticed that it had been away, and the kernel counted neither running "
        "nor waiting",
        "look for SIGSTOP, a debugger, a snapshot or live migration of the machine",
    ),
    "daemon_stalled": Cause(
        "the daemon of {member} ran too late to renew its lease",
        "the daemon noticed that it had been away, and the kernel tells what it waited for",
        "give the daemon CPU, memory and a disk that answers: the autopsy names which",
    ),
    "leader_shut_down": Cause(
        "the daemon of {member} was told to stop",
        "it got SIGTERM or SIGINT",
        "none, if it was meant; for less interruption switch over before",
    ),
    "fenced_by_guard": Cause(
        "the guard ended PostgreSQL of {member}, since the lease was not renewed in time",
        "the guard's own record",
        "see what kept the daemon from renewing; its journal does not tell",
    ),
    "fencing_failed": Cause(
        "{member} gave the lead up, since its PostgreSQL could not have been fenced",
        "its guard, or a watchdog that is required, did not work",
        "the daemon's log says what is wrong with it; see docs/fencing.md",
    ),
    "watchdog": Cause(
        "the hardware watchdog reset the host of {member}",
        "the host started anew, and its watchdog device says that this was its doing",
        "see what kept the daemon and the guard from running: usually the whole host hung",
    ),
    "clock_jumped": Cause(
        "the wall clock of {member} was set",
        "it moved against the clock that cannot be set",
        "run one NTP client; nothing but schedules depends on the wall clock",
    ),
    # The store and the network.
    "leader_cut_off_from_dcs": Cause(
        "{member} could not reach the DCS, while others could",
        "its requests were not answered, and others had answers at that time",
        "the network between {member} and the DCS; failsafe_mode keeps a primary that "
        "all other members still reach",
    ),
    "leader_cut_off_from_members": Cause(
        "{member} was cut off from the other members, and kept the DCS",
        "all streams from it ended at once, its PostgreSQL went on, and its lease was "
        "renewed",
        "the network between the members",
    ),
    "member_cut_off_from_dcs": Cause(
        "{member}, not the leader, could not reach the DCS",
        "its requests were not answered, and the leader had answers at that time",
        "the network between {member} and the DCS",
    ),
    "dcs_down": Cause(
        "the DCS did not answer anybody",
        "no member had an answer from it",
        "the DCS: its servers, its quorum, its disks; failsafe_mode lets the primary go on",
    ),
    "dcs_slow": Cause(
        "the DCS answered too late",
        "renewals of the lease took long, or some were answered and some not",
        "the disks and the load of the DCS; a larger ttl and retry_timeout forgive more",
    ),
    "dcs_key_deleted": Cause(
        "somebody deleted the leader key of {member}",
        "the key was gone while its lease had time left and {member} renewed it",
        "find who writes into the DCS: `regnalctl remove`, a script, an operator, a "
        "restore from a backup",
    ),
    # Planned, or asked for.
    "switchover": Cause(
        "a switchover from {member} was asked for", "a request", "none, it was meant"
    ),
    "scheduled_switchover": Cause(
        "a switchover from {member} had been scheduled",
        "a request with a time",
        "none, it was meant",
    ),
    "manual_failover": Cause(
        "a failover from {member} was asked for",
        "a request that names a candidate and no leader",
        "none, it was meant",
    ),
    "restart_requested": Cause(
        "a restart of PostgreSQL on {member} was asked for",
        "a request, or a schedule",
        "none, it was meant",
    ),
    "request_refused": Cause(
        "a request was refused, or failed", "its answer", "the answer says why"
    ),
    "paused": Cause(
        "automatic failover was paused",
        "the configuration in force",
        "`regnalctl resume`, as soon as the work by hand is done",
    ),
    "configuration": Cause(
        "the configuration was changed", "the configuration in force", "none"
    ),
    "bootstrap": Cause(
        "{member} created the cluster", "initdb or its replacement ran", "none"
    ),
    # Why nobody took over.
    "promotion_failed": Cause(
        "{member} had the lease and could not be promoted",
        "the promotion failed or took too long, and the lease was given back",
        "read PostgreSQL's log of the candidate",
    ),
    "pre_promote_refused": Cause(
        "pre_promote of {member} refused the promotion",
        "the hook ended with a status that is not 0",
        "read what the hook prints; it may itself depend on what had failed",
    ),
    "failover_held": Cause(
        "the failover was held up, since the last one was too recent",
        "a member that could have raced said so (hold_the_failover_after_a_recent_one)",
        "`regnalctl ack` the incident before, or fail over by hand; look at "
        "incident_policy.min_time_between_failovers",
    ),
    "crash_loop": Cause(
        "PostgreSQL of {member} had ended too often to be let lead again",
        "it gave its lease up (give_the_lease_up_after_too_many_crashes)",
        "mend what ends it, then `regnalctl ack`; look at "
        "incident_policy.crash_loop_limit",
    ),
    "no_eligible_candidate": Cause(
        "no member could take the place of {member}",
        "each was passed over, with a reason",
        "the reasons name the tags and limits (nofailover, failover_priority, "
        "maximum_lag_on_failover, the sync key)",
    ),
    # What else befalls members.
    "replica_failed": Cause(
        "PostgreSQL of {member}, a standby, did not run or did not stream",
        "its own observations",
        "read PostgreSQL's log of {member}",
    ),
    "replica_rebuilt": Cause(
        "{member} was rewound or cloned", "the operation's outcome", "none"
    ),
    "unknown": Cause(
        "the journals do not say why {member} stopped to lead",
        "nothing",
        "bring the journals that are missing",
    ),
}
"""By code."""


def sentence(code: str, member: str) -> str:
    """What happened, of this member."""
    return CAUSES[code].sentence.format(member=member)
