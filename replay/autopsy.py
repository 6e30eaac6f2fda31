"""The autopsy of a stall: what kept the daemon from running, by the kernel's account."""

from typing import NamedTuple

from regnal.messages.host import StallNoticed


class Diagnosis(NamedTuple):
    code: str
    """`suspended`, `frozen` or `unknown`."""

    sentence: str


def diagnose(stall: StallNoticed) -> Diagnosis:
    """What the account allows to conclude."""
    if stall.suspended > stall.missing / 2:
        return Diagnosis("suspended", "the machine was suspended")
    if stall.account.ran is None or stall.account.waited is None:
        return Diagnosis("unknown", "the kernel kept no account")
    if stall.account.ran + stall.account.waited < stall.missing / 10:
        return Diagnosis("frozen", "the daemon neither ran nor waited to run")
    return Diagnosis("unknown", "the daemon ran, or waited to run")
