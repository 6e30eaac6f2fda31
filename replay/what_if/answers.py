"""Answers: what the world would have said to what is said now.

The recording holds the world's answers to what was said then.  Of what is said otherwise
now, and of what would come of it, four cases are told apart:

* it changes nothing outside, or only what a member shows of itself: the recording goes on;
* it only looks: what was seen then was there to be seen;
* it has one sensible answer as long as the store and PostgreSQL answer at all: that is
  *assumed*, and told;
* it changes what happens next: there the recording ends to be evidence.
"""

from typing import Literal, TypeAlias

from regnal.messages.base import Command, Message, Seconds
from regnal.messages.callbacks import RunCallback
from regnal.messages.fencing import ArmGuard, DisableWatchdog, DisarmGuard, PetWatchdog
from regnal.messages.incidents import (
    DropExplanation,
    ExplainIncident,
    PinJournal,
    UnpinJournal,
)
from regnal.messages.lease import RenewLeader
from regnal.messages.postgres import ObservePostgres, SetSynchronousStandbys
from regnal.messages.probes import ProbePeers
from regnal.messages.settings import KeepDynamicCopy
from regnal.messages.status import PublishIncidents, PublishStatus, WithdrawPrimary
from regnal.messages.store import (
    DeleteSync,
    ReadCluster,
    TouchMember,
    WriteFailsafe,
    WriteHistory,
    WriteStatus,
    WriteSync,
)
from regnal.messages.timers import CancelTimer, SetTimer

Bearing: TypeAlias = Literal["nothing", "showing", "looking", "assumed", "acting"]
"""How a command bears on what happens next."""

_BEARINGS: dict[type[Command], Bearing] = {
    SetTimer: "nothing",
    CancelTimer: "nothing",
    ArmGuard: "nothing",
    DisarmGuard: "nothing",
    PetWatchdog: "nothing",
    DisableWatchdog: "nothing",
    KeepDynamicCopy: "nothing",
    PinJournal: "nothing",
    UnpinJournal: "nothing",
    ExplainIncident: "nothing",
    DropExplanation: "nothing",
    RunCallback: "nothing",
    PublishStatus: "showing",
    PublishIncidents: "showing",
    WithdrawPrimary: "showing",
    TouchMember: "showing",
    WriteStatus: "showing",
    WriteHistory: "showing",
    ObservePostgres: "looking",
    ReadCluster: "looking",
    RenewLeader: "assumed",
    ProbePeers: "assumed",
    WriteSync: "assumed",
    DeleteSync: "assumed",
    WriteFailsafe: "assumed",
    SetSynchronousStandbys: "assumed",
}
"""All others act."""

LATENCY: Seconds = 0.005
"""Until an assumed answer comes."""


def bearing(message: Message) -> Bearing:
    """Of what an actor says; a decision bears on other actors alone, which say what
    follows from it."""
    if not isinstance(message, Command):
        return "nothing"
    return _BEARINGS.get(type(message), "acting")
