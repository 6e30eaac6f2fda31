"""Commands and intents that are spans, what answers them, and what both tell.

A command lasts until the outcome whose cause it is; an intent until the supervisor has
fulfilled, failed or refused it.
"""

from typing import NamedTuple, get_args

from regnal.events.spans import naming
from regnal.events.spans.span import Attribute
from regnal.messages import (
    callbacks,
    fencing,
    lease,
    operations,
    postgres,
    probes,
    store,
)
from regnal.messages.base import LSN, Message
from regnal.messages.cluster import KeyRefused, KeyUnconfirmed
from regnal.messages.postgres import Upstream
from regnal.messages.reasons import Reason

Attributes = dict[str, Attribute]

INTENTS: tuple[type[Message], ...] = get_args(operations.Intent)

OPERATIONS: tuple[type[Message], ...] = get_args(postgres.OperatorCommand)
"""One at a time, and each is answered."""

_OTHERS: tuple[type[Message], ...] = (
    lease.AcquireLeader,
    lease.ReleaseLeader,
    lease.HandOverLeader,
    lease.WithdrawHandOver,
    store.TakeInitialize,
    store.ConfirmInitialize,
    store.CancelInitialize,
    store.WriteConfig,
    store.WriteFailover,
    store.WriteSync,
    store.DeleteSync,
    store.WriteHistory,
    store.WriteFailsafe,
    postgres.SetSynchronousStandbys,
    postgres.CreateSlot,
    postgres.DropSlot,
    postgres.CopyLogicalSlots,
    probes.ProbePeers,
    probes.AskFailsafe,
    fencing.ArmGuard,
    fencing.ActivateWatchdog,
    callbacks.RunCallback,
)

HEARTBEATS: tuple[type[Message], ...] = (
    lease.RenewLeader,
    store.TouchMember,
    store.WriteStatus,
    postgres.AdvanceSlot,
)
"""What an idle member says over and over: a span only where a share of quiet life is
wanted."""

COMMANDS: tuple[type[Message], ...] = (*OPERATIONS, *_OTHERS)

OUTCOMES: tuple[type[Message], ...] = (
    *get_args(postgres.OperatorOutcome),
    *get_args(lease.LeaseOutcome),
    KeyRefused,
    KeyUnconfirmed,
    postgres.SynchronousStandbysSet,
    postgres.SynchronousStandbysRefused,
    postgres.SlotChanged,
    postgres.SlotRefused,
    probes.PeersProbed,
    probes.FailsafeAnswered,
    fencing.GuardArmed,
    fencing.GuardFailed,
    fencing.WatchdogActivated,
    fencing.WatchdogFailed,
    callbacks.CallbackEnded,
    callbacks.CallbackFailed,
)
"""`KeyWritten` as well, which an idle member hears over and over."""

_OF_POSTGRES: tuple[type[Message], ...] = (
    *OPERATIONS,
    postgres.SetSynchronousStandbys,
    postgres.CreateSlot,
    postgres.DropSlot,
    postgres.CopyLogicalSlots,
    postgres.AdvanceSlot,
)

_KEYS: dict[type[Message], str] = {
    store.TakeInitialize: "initialize",
    store.ConfirmInitialize: "initialize",
    store.CancelInitialize: "initialize",
    store.WriteConfig: "config",
    store.WriteFailover: "failover",
    store.WriteSync: "sync",
    store.DeleteSync: "sync",
    store.WriteHistory: "history",
    store.WriteFailsafe: "failsafe",
    store.WriteStatus: "status",
    store.TouchMember: "member",
}


INTENT_KINDS = frozenset(word.model_fields["kind"].default for word in INTENTS)
OPERATION_KINDS = frozenset(word.model_fields["kind"].default for word in OPERATIONS)


class Answer(NamedTuple):
    """What became of a command."""

    attributes: Attributes
    error: str = ""
    """A code; empty: it was done."""

    text: str = ""


def kind_of(word: type[Message]) -> str:
    return str(word.model_fields["kind"].default)


def command_attributes(message: Message) -> Attributes:
    """What a command says of itself."""
    found: Attributes = {}
    if isinstance(message, _OF_POSTGRES):
        found[naming.DATABASE] = "postgresql"
    if type(message) in _KEYS:
        found[naming.KEY] = _KEYS[type(message)]
    match message:
        case (
            postgres.StartPostgres(role=role, upstream=upstream)
            | postgres.RestartPostgres(role=role, upstream=upstream)
        ):
            found[naming.ROLE] = role
            found |= _upstream(upstream)
        case postgres.StopPostgres(mode=mode):
            found[naming.MODE] = mode
        case (
            postgres.FollowUpstream(upstream=upstream)
            | postgres.CheckDivergence(upstream=upstream)
            | postgres.RewindPostgres(upstream=upstream)
            | postgres.ClonePostgres(source=upstream)
        ):
            found |= _upstream(upstream)
        case postgres.SetSynchronousStandbys(value=value):
            found[naming.SYNCHRONOUS] = value
        case (
            postgres.CreateSlot(name=name)
            | postgres.DropSlot(name=name)
            | postgres.AdvanceSlot(name=name)
        ):
            found[naming.SLOT] = name
        case lease.HandOverLeader(to=to, last_lsn=lsn):
            found |= {naming.LEADER: to, naming.POSITION: lsn_text(lsn)}
        case callbacks.RunCallback(action=action, role=role):
            found |= {naming.OUTCOME: action, naming.ROLE: role}
        case _:
            pass
    return found


def intent_attributes(intent: Message) -> Attributes:
    """What an intent says of itself."""
    found: Attributes = {}
    match intent:
        case operations.DemotePostgres(mode=mode):
            found[naming.MODE] = mode
        case operations.FollowLeader(upstream=upstream):
            found |= _upstream(upstream)
        case (
            operations.CloneMember(source=upstream)
            | operations.ReinitializeMember(source=upstream)
        ):
            found |= _upstream(upstream)
        case _:
            pass
    request = getattr(intent, "request", None)
    if isinstance(request, str):
        found[naming.REQUEST] = request
    reason = getattr(intent, "reason", None)
    if isinstance(reason, Reason):
        found |= reason_attributes(reason)
    return found


def reason_attributes(reason: Reason) -> Attributes:
    return {naming.REASON: reason.code, naming.REASON_TEXT: _sentence(reason)}


def answer_of(outcome: Message) -> Answer:
    """What an outcome says became of its command."""
    failed = _failure(outcome)
    if failed is not None:
        code, text = failed
        return Answer({naming.ERROR: code}, code, text)
    found: Attributes = {}
    match outcome:
        case postgres.PostgresPromoted(timeline=timeline, lsn=lsn):
            found = {naming.TIMELINE: timeline, naming.POSITION: lsn_text(lsn)}
        case postgres.PostgresStarted(postmaster_pid=pid):
            found = {naming.PID: pid}
        case postgres.CheckpointDone(timeline=timeline):
            found = {naming.TIMELINE: timeline}
        case postgres.UpstreamFollowed(restarted=restarted):
            found = {naming.OUTCOME: "restarted" if restarted else "reloaded"}
        case postgres.PrePromoteEnded(exit_status=status):
            found = {naming.EXIT_CODE: status}
        case postgres.DivergenceChecked():
            found = _divergence(outcome)
        case postgres.PostgresCloned(method=method):
            found = {naming.METHOD: method}
        case postgres.SynchronousStandbysSet(lsn=lsn):
            found = {naming.POSITION: lsn_text(lsn)}
        case postgres.SlotChanged(change=change):
            found = {naming.OUTCOME: change}
        case lease.LeaseRefused(holder=holder):
            # To lose a race is no failure.
            found = {naming.OUTCOME: "lease_refused"}
            if holder is not None:
                found[naming.LEADER] = holder
        case probes.PeersProbed(peers=peers):
            silent = tuple(peer.name for peer in peers if not peer.answered)
            found = {naming.UNANSWERED: silent} if silent else {}
        case probes.FailsafeAnswered(votes=votes):
            silent = tuple(vote.name for vote in votes if not vote.accepted)
            found = {naming.UNANSWERED: silent} if silent else {}
        case callbacks.CallbackEnded(exit_status=status):
            found = {naming.EXIT_CODE: status}
        case _:
            pass
    return Answer(found)


def _failure(outcome: Message) -> tuple[str, str] | None:
    """Code and text; None: it was done, or politely refused."""
    match outcome:
        case postgres.OperationFailed(reason=reason):
            return reason.code, _sentence(reason)
        case postgres.OperationCancelled():
            return "cancelled", "cancelled, since something else came first"
        case lease.LeaseUnconfirmed(error=error):
            return "lease_unconfirmed", error
        case KeyUnconfirmed(error=error):
            return "key_unconfirmed", error
        case KeyRefused(key=key):
            return "key_refused", f"somebody else changed the key {key}"
        case postgres.SlotRefused(error=error):
            return "slot_refused", error
        case postgres.SynchronousStandbysRefused(error=error):
            return "synchronous_standbys_refused", error
        case fencing.GuardFailed(error=error):
            return "guard_failed", error
        case fencing.WatchdogFailed(error=error):
            return "watchdog_failed", error
        case callbacks.CallbackFailed(error=error):
            return "callback_failed", error
        case (
            callbacks.CallbackEnded(exit_status=status)
            | postgres.PrePromoteEnded(exit_status=status)
        ) if status != 0:
            return "exit_status", f"exit status {status}"
        case _:
            return None


def lsn_text(lsn: LSN) -> str:
    """As PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def _divergence(checked: postgres.DivergenceChecked) -> Attributes:
    found: Attributes = {
        naming.DIVERGENCE: checked.verdict,
        naming.TIMELINE: checked.local_timeline,
        naming.POSITION: lsn_text(checked.local_lsn),
    }
    if checked.lost_commits is not None:
        found[naming.LOST_COMMITS] = checked.lost_commits
    if checked.lost_wal is not None:
        found[naming.LOST_WAL] = checked.lost_wal
    return found


def _upstream(upstream: Upstream | None) -> Attributes:
    if upstream is None:
        return {}
    found: Attributes = {naming.ADDRESS: upstream.host}
    if upstream.member is not None:
        found[naming.UPSTREAM] = upstream.member
    if upstream.port.isdecimal():
        found[naming.PORT] = int(upstream.port)
    return found


def _sentence(reason: Reason) -> str:
    """Of an old journal, or a newer one, the code alone."""
    try:
        return str(reason)
    except (KeyError, ValueError, TypeError):
        return reason.code
