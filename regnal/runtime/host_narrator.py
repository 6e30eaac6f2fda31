"""What the log says of the host: stalls, late actors and clocks.

Numbers and where to look; what they mean together `regnal explain` says.
"""

import logging
from collections.abc import Iterator
from typing import TypeAlias

from regnal.messages.base import MemberName, Seconds
from regnal.messages.host import (
    ActorsLate,
    ClockSkewSeen,
    ClockStepped,
    KernelAccount,
    StallNoticed,
)
from regnal.runtime.other_clocks import SKEW

logger = logging.getLogger("regnal")

HostMessage: TypeAlias = StallNoticed | ActorsLate | ClockStepped | ClockSkewSeen


def tell_of_host(message: HostMessage) -> None:
    match message:
        case StallNoticed():
            _tell_of_stall(message)
        case ActorsLate(mailboxes=mailboxes, account=account):
            logger.warning(
                "Messages wait too long: %s; %s. See whether the machine, or the disk "
                "of the journal, is overloaded.",
                ", ".join(
                    f"{box.actor} has {box.waiting}, the oldest for {box.oldest:.1f} s"
                    for box in mailboxes
                ),
                account_text(account),
            )
        case ClockStepped(step=step):
            logger.warning(
                "The wall clock was set %s by %.1f s; see who did, and that NTP runs.",
                "forward" if step > 0 else "back",
                abs(step),
            )
        case ClockSkewSeen(member=member, ahead=ahead):
            _tell_of_skew(member, ahead)


def _tell_of_stall(stall: StallNoticed) -> None:
    beside = []
    if stall.suspended:
        beside.append(f"suspended {stall.suspended:.1f} s")
    if stall.continued:
        beside.append("stopped by a signal")
    if abs(stall.wall_step) > SKEW:
        beside.append(f"the wall clock moved by {stall.wall_step:+.1f} s")
    logger.warning(
        "The daemon did not run for %.1f s (%s). See who stops it, its limits of CPU "
        "and memory, and the load of the host; `regnal explain` tells what came of it.",
        stall.missing,
        "; ".join((*beside, account_text(stall.account))),
    )


def account_text(account: KernelAccount) -> str:
    """`ran 0.0 s, waited 30.9 s for a CPU, ...`, as far as it is known."""
    return ", ".join(_known(account))


def _known(account: KernelAccount) -> Iterator[str]:
    told: tuple[tuple[Seconds | None, str], ...] = (
        (account.ran, "ran {:.1f} s"),
        (account.waited, "waited {:.1f} s for a CPU"),
        (account.blocked_on_io, "waited {:.1f} s for a disk"),
        (account.major_faults, "read {:.0f} pages of its own from disk"),
        (account.throttled, "held back {:.1f} s by its CPU quota"),
        (account.frozen, "frozen {:.1f} s"),
        (account.stolen, "hypervisor took {:.1f} s"),
        (account.memory_pressure, "the host waited {:.1f} s for memory"),
        (account.io_pressure, "{:.1f} s for disks"),
    )
    for value, text in told:
        if value is not None:
            yield text.format(value)


def _tell_of_skew(member: MemberName, ahead: Seconds) -> None:
    if abs(ahead) <= SKEW:
        logger.info("The wall clock of %s agrees with ours again.", member)
        return
    logger.warning(
        "The wall clock of %s is at least %.1f s %s ours; see that NTP runs on both "
        "hosts.",
        member,
        abs(ahead),
        "ahead of" if ahead > 0 else "behind",
    )
