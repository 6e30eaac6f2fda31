"""The callbacks: which of the operator's scripts runs, and with which role.

    what happened                           same role     another role
    PostgreSQL was started, or adopted      on_start      on_role_change
    PostgreSQL was restarted                on_restart    on_role_change
    a standby follows by reload             on_reload     (nothing: see below)
    the configuration was reloaded          on_reload
    PostgreSQL was stopped                  on_stop
    promoted; lead of a standby cluster
      taken or lost                                       on_role_change
    crashed as primary and not to be
      started again                                       on_role_change demoted

"Another role" compares with what the scripts heard last; the first word they hear
is on_start.  Where a standby became the leader of a standby cluster, or ceased to
be, the restart or reload that follows from it is not reported again (CB-03, CB-04).
A primary is not reported before it holds the lease: a new cluster is not one before
it has a leader.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from regnal.actors.step import Decider, Step
from regnal.messages.base import MemberName, Message
from regnal.messages.callbacks import CallbackAction, RunCallback
from regnal.messages.envelope import Envelope
from regnal.messages.frozen import replace
from regnal.messages.lease import (
    LeaderAcquired,
    LeaderHandedOver,
    LeaderReleased,
    LeaderRenewed,
    LeaseRefused,
)
from regnal.messages.operations import (
    DemotePostgres,
    IntentFailed,
    Phase,
    PhaseChanged,
)
from regnal.messages.postgres import (
    PostgresPromoted,
    PostgresReloaded,
    PostgresStarted,
    PostgresStopped,
    UpstreamFollowed,
)
from regnal.messages.settings import ConfigurationApplied, Settings

Role: TypeAlias = Literal["primary", "replica", "standby_leader", "demoted"]


@dataclass(frozen=True, slots=True)
class Callbacks:
    """The running server and our lease, and what the scripts heard last."""

    member: MemberName
    settings: Settings | None = None
    phase: Phase = "unknown"
    server: Literal["primary", "standby"] | None = None
    """None: it does not run."""

    has_lease: bool = False
    reported: Role | None = None
    """None: the scripts heard nothing yet."""

    covered: bool = False
    """Whether a change of role was reported that a restart or reload will follow."""

    @property
    def role(self) -> Role:
        """Of the running server."""
        if self.server == "primary":
            return "primary"
        standby_cluster = self.settings is not None and self.settings.is_standby_cluster
        return "standby_leader" if self.has_lease and standby_cluster else "replica"


def handle(callbacks: Callbacks, envelope: Envelope[Message]) -> Step[Callbacks]:
    """One message; see the table above."""
    match envelope.message:
        case ConfigurationApplied(settings=settings):
            return _look_again(replace(callbacks, settings=settings))
        case LeaderAcquired(member=member) | LeaderRenewed(member=member):
            if member != callbacks.member or callbacks.has_lease:
                return Step(callbacks)
            return _look_again(replace(callbacks, has_lease=True))
        case LeaderReleased() | LeaderHandedOver() | LeaseRefused():
            without = replace(callbacks, has_lease=False)
            return _look_again(without) if without.server else _give_up(without)
        case DemotePostgres() | IntentFailed(intent="start_as_primary"):
            return Step(callbacks) if callbacks.server else _give_up(callbacks)
        case PhaseChanged():
            return _take_phase(callbacks, envelope.message)
        case PostgresStarted(role=role):
            restarted = callbacks.phase == "restarting"
            return _report(
                replace(callbacks, server=role),
                "on_restart" if restarted else "on_start",
            )
        case PostgresPromoted():
            return _look_again(replace(callbacks, server="primary"))
        case UpstreamFollowed(restarted=restarted):
            follows = replace(callbacks, server="standby", covered=False)
            if callbacks.covered:
                return Step(follows)
            return _report(follows, "on_restart" if restarted else "on_reload")
        case PostgresReloaded():
            return _report(callbacks, "on_reload")
        case PostgresStopped() if callbacks.server and callbacks.phase == "stopping":
            stopped = replace(callbacks, server=None)
            return _run(stopped, "on_stop", callbacks.reported or callbacks.role)
        case _:
            return Step(callbacks)


def _take_phase(callbacks: Callbacks, changed: PhaseChanged) -> Step[Callbacks]:
    """The supervisor finds a server running, or gone, that the operator told
    nothing of: adopted, started or promoted by hand, crashed."""
    known = replace(callbacks, phase=changed.phase)
    if changed.phase in ("stopped", "absent"):
        return Step(replace(known, server=None))
    if changed.phase not in ("primary", "standby"):
        return Step(known)
    found: Literal["primary", "standby"] = (
        "primary" if changed.phase == "primary" else "standby"
    )
    if found == callbacks.server:
        return Step(known)
    if callbacks.server is None:
        return _report(replace(known, server=found), "on_start")
    return _look_again(replace(known, server=found))


def _look_again(callbacks: Callbacks) -> Step[Callbacks]:
    """Whether the running server has another role than the scripts know."""
    if callbacks.server is None or callbacks.reported == callbacks.role:
        return Step(callbacks)
    return _report(callbacks, "on_start")


def _report(callbacks: Callbacks, action: CallbackAction) -> Step[Callbacks]:
    """Report `action`, or rather the change of role if there was one (CB-03)."""
    role, before = callbacks.role, callbacks.reported
    if before is None:
        if role == "primary" and not callbacks.has_lease:
            return Step(callbacks)
        return _run(replace(callbacks, reported=role), "on_start", role)
    if role == before:
        return _run(callbacks, action, role)
    # A primary that loses the lease stops: then that is reported, not this.
    covered = "standby_leader" in (role, before) and callbacks.server == "standby"
    changed = replace(callbacks, reported=role, covered=covered)
    return _run(changed, "on_role_change", role)


def _give_up(callbacks: Callbacks) -> Step[Callbacks]:
    """CB-05, P-ELEC-12: a primary that does not run will not be one again, so that
    a virtual address must leave it."""
    if callbacks.reported not in ("primary", "standby_leader"):
        return Step(callbacks)
    demoted = replace(callbacks, reported="demoted")
    return _run(demoted, "on_role_change", "demoted")


def _run(callbacks: Callbacks, action: CallbackAction, role: Role) -> Step[Callbacks]:
    settings = callbacks.settings
    if settings is None or not getattr(settings.callbacks, action):
        return Step(callbacks)
    return Step(
        callbacks,
        said=(RunCallback(action=action, role=role, scope=settings.scope),),
        rule="run_the_callback",
        facts={"role": role, "phase": callbacks.phase},
    )


def initial(member: MemberName) -> Callbacks:
    return Callbacks(member=member)


CALLBACKS = Decider(
    name="callbacks",
    hears=(
        ConfigurationApplied,
        LeaderAcquired,
        LeaderRenewed,
        LeaderReleased,
        LeaderHandedOver,
        LeaseRefused,
        DemotePostgres,
        IntentFailed,
        PhaseChanged,
        PostgresStarted,
        PostgresStopped,
        PostgresPromoted,
        PostgresReloaded,
        UpstreamFollowed,
    ),
    state=Callbacks,
    initial=initial,
    handle=handle,
)
