"""What was lost: the WAL that the former leader had and the new one has not.

When the former leader comes back it compares histories, and says how far its own
reached and where the new timeline left it; until then only what it last wrote down,
or showed, is known.
"""

from regnal.bridges.postgres.wal import format_lsn
from regnal.messages.base import LSN, Bytes
from regnal.replay.evidence.evidence import Happening
from regnal.replay.explaining.look import Look
from regnal.replay.explaining.story import Loss

ORDERLY = (
    "switchover",
    "scheduled_switchover",
    "leader_shut_down",
    "restart_requested",
)


def loss_of(look: Look, cause: str) -> Loss | None:
    """None: nobody else took over, so that nothing was left behind."""
    if look.gap.successor in (None, look.member):
        return None
    promoted = look.evidence.last(
        look.ended_writing,
        look.end + 0.5,
        "postgres_promoted",
        member=look.gap.successor,
    )
    switch = _switch_of(promoted)
    compared = _compared(look)
    if compared is not None:
        return _by_comparison(look, compared, switch)
    if cause in ORDERLY and _handed_over(look):
        return Loss(
            wal_bytes=0,
            certainty="measured",
            transactions=0,
            acknowledged=0,
            former_end=switch,
            switch=switch,
            sentence="nothing was lost: the new leader had the last record of the former one",
        )
    return _by_last_position(look, switch)


def _compared(look: Look) -> Happening | None:
    """What the former leader found about its own data when it came back."""
    for found in look.evidence.between(
        look.ended_writing, look.evidence.end, "divergence_checked", member=look.member
    ):
        if found.data.get("verdict") in ("can_follow", "diverged"):
            return found
    return None


def _by_comparison(look: Look, compared: Happening, switch: LSN | None) -> Loss:
    end, left = compared.data.get("local_lsn"), compared.data.get("switch_lsn")
    left = left if isinstance(left, int) else switch
    if compared.data.get("verdict") == "can_follow":
        return Loss(
            wal_bytes=0,
            certainty="measured",
            transactions=0,
            acknowledged=0,
            former_end=end if isinstance(end, int) else None,
            switch=left,
            sentence="nothing was lost: the former leader had no record that the new one lacked",
        )
    commits = compared.data.get("lost_commits")
    commits = commits if isinstance(commits, int) else None
    wal_bytes = _length(compared, end, left)
    synchronous = _was_synchronous(look)
    acknowledged = 0 if synchronous else commits
    return Loss(
        wal_bytes=wal_bytes,
        certainty="unknown" if wal_bytes is None else "measured",
        transactions=commits,
        acknowledged=acknowledged,
        former_end=end if isinstance(end, int) else None,
        switch=left,
        sentence=_sentence(wal_bytes, commits, synchronous=synchronous),
    )


def _length(compared: Happening, end: object, left: LSN | None) -> Bytes | None:
    """Up to the last transaction where that is known: crash recovery writes WAL too, and
    the rest of a file."""
    counted = compared.data.get("lost_wal")
    if isinstance(counted, int):
        return counted
    return max(0, end - left) if isinstance(end, int) and left else None


def _sentence(wal_bytes: int | None, commits: int | None, *, synchronous: bool) -> str:
    if commits == 0:
        return "no transaction was lost"
    size = "WAL of unknown length" if wal_bytes is None else size_text(wal_bytes)
    if commits is None:
        known = "how many transactions were in it is not known"
    elif synchronous:
        known = (
            f"{commits} transactions were in it, and no client had been told that they "
            "were committed (synchronous mode)"
        )
    else:
        known = f"{commits} transactions in it had been acknowledged to clients"
    return f"{size} of WAL lost, {known}"


def size_text(count: Bytes) -> str:
    """`15.8 MiB`."""
    size, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if size < UNIT:
            break
        size, unit = size / UNIT, larger
    return f"{count} bytes" if unit == "bytes" else f"{size:.1f} {unit}"


UNIT = 1024


def _by_last_position(look: Look, switch: LSN | None) -> Loss:
    last = look.evidence.position(look.member, look.ended_writing + 1)
    if last is None or switch is None:
        wal_bytes, certainty = None, "unknown"
        sentence = "what was lost is not known: the former leader has not come back"
    elif last <= switch:
        wal_bytes, certainty = None, "unknown"
        sentence = (
            f"nothing up to {format_lsn(last)} was lost, the last position that the former "
            "leader told; what it wrote after that is known when it comes back"
        )
    else:
        wal_bytes, certainty = last - switch, "at_least"
        sentence = f"at least {size_text(last - switch)} of WAL lost"
    if _was_synchronous(look):
        sentence += ", but no acknowledged transaction (synchronous mode)"
    return Loss(
        wal_bytes=wal_bytes,
        certainty=certainty,  # type: ignore[arg-type]
        transactions=None,
        acknowledged=0 if _was_synchronous(look) else None,
        former_end=last,
        switch=switch,
        sentence=sentence,
    )


def _switch_of(promoted: Happening | None) -> LSN | None:
    """Where the new timeline left the old one."""
    if promoted is None:
        return None
    history = promoted.data.get("history")
    if isinstance(history, list) and history and isinstance(history[-1], dict):
        lsn = history[-1].get("lsn")
        return lsn if isinstance(lsn, int) else None
    lsn = promoted.data.get("lsn")
    return lsn if isinstance(lsn, int) else None


def _handed_over(look: Look) -> bool:
    handed = look.evidence.last(
        look.gap.began, look.end + 1, "leader_handed_over", member=look.member
    )
    return handed is not None


def _was_synchronous(look: Look) -> bool:
    mode = look.evidence.settings(look.member, look.ended_writing).get(
        "synchronous_mode"
    )
    return mode not in (None, "off")
