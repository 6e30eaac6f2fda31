"""Why: the catalogue of reasons, each a code with parameters.

The journal, the log, the REST body of a refusal, ctl's answer and `explain`
print the same sentence, made here from the same value.
"""

from typing import TypeAlias

from regnal.messages.base import Value

ParameterValue: TypeAlias = str | int | float | bool | None


class Parameter(Value):
    name: str
    value: ParameterValue


class Reason(Value):
    """A code of `SENTENCES` and what fills its sentence."""

    code: str
    parameters: tuple[Parameter, ...] = ()

    def __str__(self) -> str:
        values = {p.name: p.value for p in self.parameters}
        return SENTENCES[self.code].format(**values)


def because(code: str, **parameters: ParameterValue) -> Reason:
    """The reason `code`, which must be in the catalogue."""
    assert code in SENTENCES, code
    return Reason(
        code=code,
        parameters=tuple(Parameter(name=n, value=v) for n, v in parameters.items()),
    )


SENTENCES = {
    # Candidates of an election.
    "BEST": "is the best candidate",
    "CANDIDATE_LAG": "{member} is {lag} bytes behind, {limit} are allowed",
    "CANDIDATE_BEHIND": "{member} is {lag} bytes behind {best}",
    "CANDIDATE_LOWER_PRIORITY": "{member} has a lower failover_priority than {best}",
    "CANDIDATE_NOFAILOVER": "{member} is tagged nofailover",
    "CANDIDATE_NOT_SYNCHRONOUS": "{member} is not a synchronous standby",
    "CANDIDATE_NOT_REACHABLE": "{member} did not answer",
    "CANDIDATE_NOT_RUNNING": "PostgreSQL of {member} is not running",
    "CANDIDATE_DIVERGED": "{member} left the cluster's history at {left_at:X} of timeline {timeline}, and has more",
    "CANDIDATE_TIMELINE": "{member} is on timeline {timeline}, the cluster on {wanted}",
    "CANDIDATE_WATCHDOG": "{member} could not be fenced: its guard or its watchdog does "
    "not work",
    "CANDIDATE_NOT_ASKED_FOR": "{member} is not the candidate that was asked for",
    "CANDIDATE_NOT_IN_FAILSAFE": "{member} is not in the failsafe key",
    "CANDIDATE_BARRED": "PostgreSQL of {member} ended unasked as primary too often; it "
    "must not lead until a person acknowledges that",
    "CANDIDATE_LEVEL": "{member} is level with {best}, which asks first",
    "PRIMARY_STILL_RUNS": "{member} still runs as primary",
    "PRIMARY_WITHOUT_DAEMON": "the PostgreSQL of {member} takes writes and its daemon does "
    "not answer; start the daemon, or stop that PostgreSQL",
    # Policy (docs/configuration.md).
    "FAILOVER_HELD": "no automatic failover yet: the last one, {incident}, is too recent; "
    "acknowledge it, or fail over by hand",
    "CRASH_LOOP": "PostgreSQL of {member} ended unasked as primary {crashes} times within "
    "{seconds:.0f} s; acknowledge {incident} to let it lead again",
    # The lease.
    "LEASE_ENDING": "the lease ends in {seconds:.1f} s and was not renewed",
    "LEASE_LOST": "the leader key belongs to {holder}",
    "LEASE_GONE": "the leader key is gone",
    "STORE_UNREACHABLE": "the DCS is not accessible: {error}",
    # Fencing (docs/fencing.md).
    "GUARD_FAILED": "the guard does not work: {error}",
    "WATCHDOG_FAILED": "watchdog.mode is required, and the watchdog does not work: {error}",
    "WATCHDOG_NOT_USABLE": "watchdog.mode is required, and its timeout of {timeout:.0f} s is "
    "not longer than loop_wait, {loop_wait:.0f} s; raise ttl or lower safety_margin",
    # PostgreSQL.
    "POSTGRES_CRASHED": "PostgreSQL ended by signal {signal}, exit status {status}",
    "POSTGRES_NOT_RUNNING": "PostgreSQL is not running",
    "START_TIMEOUT": "PostgreSQL did not accept connections within {seconds:.0f} s",
    "START_FAILED": "PostgreSQL ended while starting (exit status {status}, signal "
    "{signal}); its log says why",
    "STOP_TIMEOUT": "PostgreSQL did not stop within {seconds:.0f} s",
    "REWIND_BROKE_DIRECTORY": "pg_rewind did not come to its end, so {directory} is "
    "of no use; reinitialise this member",
    "BACKUP_LABEL": "the data are those of a backup that was never started",
    "CHILDREN_LEFT": "children of the former postmaster do not end",
    "RELOAD_TIMEOUT": "PostgreSQL did not read its files anew within {seconds:.0f} s",
    "INTERNAL_ERROR": "an error nobody foresaw, see the log: {error}",
    "PROMOTION_TIMEOUT": "PostgreSQL did not take writes within {seconds:.0f} s",
    "PROGRAM_FAILED": "{program} ended with status {status}",
    "PROGRAM_NOT_STARTED": "{program} could not be started: {error}",
    "PROGRAM_TIMEOUT": "{program} did not end within {seconds:.0f} s",
    "PROGRAM_MISSING": "{program} was not found in {directory}; set postgresql.bin_dir",
    "PRE_PROMOTE_REFUSED": "pre_promote ended with status {status}",
    "CONNECTION_FAILED": "cannot connect to PostgreSQL: {error}",
    "DATA_DIRECTORY_INVALID": "{directory} is not empty and not a usable data "
    "directory; reinitialise this member",
    "DATA_DIRECTORY_GONE": "the data directory is not there any more",
    "DATA_DIRECTORY_IN_USE": "PostgreSQL with pid {pid} runs in {directory}",
    "VERSION_UNKNOWN": "the version of PostgreSQL in {directory} is not known",
    "OPTION_INVALID": "{option} {error}",
    "ACCOUNT_FAILED": "the account {name} could not be created: {error}",
    "SYSTEM_IDENTIFIER_MISMATCH": "the data directory belongs to cluster {local}, "
    "this cluster is {cluster}",
    "DIVERGED": "our timeline {timeline} left the leader's history at {lsn}",
    "NO_ROOM": "the disk of {directory} has {free} MB left, and {needed} MB are needed",
    "REWIND_NOT_POSSIBLE": "pg_rewind is switched off or impossible here",
    "REMOVED_FOR_REBUILD": "the data directory is removed and cloned anew",
    "WAITING_FOR_LEADER": "waiting for a leader",
    "WAITING_FOR_BOOTSTRAP": "waiting for {member} to bootstrap the cluster",
    "NO_REPLICA_METHOD": "no method of postgresql.create_replica_methods can be used "
    "without a running member to copy from",
    "NO_BOOTSTRAP_SECTION": "this member has no bootstrap section",
    "IO_ERROR": "{path}: {error}",
    # Requests.
    "SWITCHOVER": "a switchover to {candidate} was asked for",
    "FAILOVER": "a failover to {candidate} was asked for",
    "RESTART_REQUESTED": "a restart was asked for",
    "REINITIALIZE_REQUESTED": "a reinitialise was asked for",
    "SHUTDOWN": "the daemon is stopping",
    "IN_PROGRESS": "{action} already in progress",
    "LEADER_CHANGED": "the leader is now {leader}",
    "BOOTSTRAP": "the cluster is new",
    "CLUSTER_HAS_LEADER": "{leader} holds the leader key",
    "NOT_READY": "{what}",
    "ACTOR_BROKEN": "the actor {actor} fails on message after message",
}
