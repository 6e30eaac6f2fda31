"""Answers: whether the world would have said something else to what is said now.

The recording holds the world's answers to what was said then.  Of what is said otherwise
now five cases are told apart:

* it changes nothing outside, or only what a member shows of itself: the recording goes on;
* it only looks: what was seen then was there to be seen;
* it is an aside: it changes something on which nothing recorded depends;
* it has one sensible answer as long as the store and PostgreSQL answer at all: that is
  *assumed*, and told (`assuming`);
* it acts: there the recording ends to be evidence (`ending`).
"""

from typing import Literal, TypeAlias

from regnal.messages.base import Command, Message, Seconds
from regnal.messages.callbacks import RunCallback
from regnal.messages.fencing import (
    ActivateWatchdog,
    ArmGuard,
    CheckWatchdog,
    DisableWatchdog,
    DisarmGuard,
    PetWatchdog,
)
from regnal.messages.incidents import (
    DropExplanation,
    ExplainIncident,
    PinJournal,
    UnpinJournal,
)
from regnal.messages.lease import RenewLeader
from regnal.messages.postgres import (
    AdvanceSlot,
    CheckDivergence,
    CopyLogicalSlots,
    CreateSlot,
    DropSlot,
    ObservePostgres,
    SetSynchronousStandbys,
)
from regnal.messages.probes import ProbePeers
from regnal.messages.requests import RequestAnswered
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

Bearing: TypeAlias = Literal[
    "nothing", "showing", "looking", "aside", "assumed", "acting"
]
"""How a command bears on what happens next."""

WEIGHTY: tuple[Bearing, ...] = ("aside", "assumed", "acting")
"""Of orders that are decisions."""

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
    CreateSlot: "aside",
    DropSlot: "aside",
    AdvanceSlot: "aside",
    RequestAnswered: "aside",
    CopyLogicalSlots: "aside",
    RenewLeader: "assumed",
    ProbePeers: "assumed",
    CheckDivergence: "assumed",
    CheckWatchdog: "assumed",
    ActivateWatchdog: "assumed",
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
