"""The `raft` section: who the nodes are, where data lies, and the timings."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regnal.bridges.dcs.contract import StoreMisconfigured
from regnal.bridges.dcs.options import Section
from regnal.messages.base import Seconds


@dataclass(frozen=True, slots=True)
class RaftTimings:
    """How soon the nodes notice each other's silence.

    A failed Raft leader is replaced after a random time between `min_timeout` and
    `max_timeout`, plus some milliseconds for the vote.  The price of shorter times
    is more idle messages (one per follower in `append_entries_period`) and false
    alarms on busy hosts, which cost a new vote but no lease.
    """

    min_timeout: Seconds = 0.6
    max_timeout: Seconds = 1.2
    append_entries_period: Seconds = 0.15
    """At most a third of `min_timeout`."""

    connection_timeout: Seconds = 4.0
    """A connection that was silent for so long is made anew."""

    connection_retry_time: Seconds = 0.3
    leader_fallback_timeout: Seconds = 2.0
    """A Raft leader that no majority answered for so long leads no more."""


@dataclass(frozen=True, slots=True)
class RaftSettings:
    self_addr: str | None
    """None: an observer, which has no vote and keeps no files."""

    bind_addr: str | None
    partner_addrs: tuple[str, ...]
    data_dir: Path
    password: str | None = field(default=None, repr=False)
    timings: RaftTimings = RaftTimings()

    @property
    def journal_file(self) -> Path:
        return self.data_dir / f"{self.self_addr}.journal"

    @property
    def dump_file(self) -> Path:
        return self.data_dir / f"{self.self_addr}.dump"


def raft_settings(options: Mapping[str, Any], observer: bool) -> RaftSettings:
    """`observer`: for ctl, to whom the daemon's own address is one more partner."""
    section = Section("raft", options)
    self_addr = section.text("self_addr")
    partners = [_address(section, "partner_addrs", text) for text in _partners(section)]
    if self_addr is not None:
        self_addr = _address(section, "self_addr", self_addr)
        if observer:
            partners.insert(0, self_addr)
    if observer or self_addr is None:
        self_addr = None
        if not partners:
            raise StoreMisconfigured(
                "raft: neither self_addr nor partner_addrs is set: name the Raft nodes"
            )
    bind_addr = section.text("bind_addr")
    settings = RaftSettings(
        self_addr=self_addr,
        bind_addr=bind_addr and _address(section, "bind_addr", bind_addr),
        partner_addrs=tuple(dict.fromkeys(p for p in partners if p != self_addr)),
        data_dir=Path(section.text("data_dir") or "."),
        password=section.secret("password"),
        timings=_timings(section),
    )
    if settings.self_addr is not None:
        _prepare(settings.data_dir)
    return settings


def _partners(section: Section) -> tuple[str, ...]:
    return section.texts("partner_addrs")


def _address(section: Section, option: str, text: str) -> str:
    """`host:port`, an IPv6 host without its brackets, as pysyncobj takes it apart."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise section.wrong(option, text, "expected host:port")
    return f"{host.removeprefix('[').removesuffix(']')}:{port}"


def _timings(section: Section) -> RaftTimings:
    usual = RaftTimings()
    timings = RaftTimings(
        min_timeout=section.seconds("min_timeout", usual.min_timeout),
        max_timeout=section.seconds("max_timeout", usual.max_timeout),
        append_entries_period=section.seconds(
            "append_entries_period", usual.append_entries_period
        ),
        connection_timeout=section.seconds(
            "connection_timeout", usual.connection_timeout
        ),
        connection_retry_time=section.seconds(
            "connection_retry_time", usual.connection_retry_time
        ),
        leader_fallback_timeout=section.seconds(
            "leader_fallback_timeout", usual.leader_fallback_timeout
        ),
    )
    if timings.append_entries_period * 3 >= timings.min_timeout:
        raise StoreMisconfigured(
            "raft.append_entries_period: must be less than a third of raft.min_timeout"
        )
    if timings.min_timeout >= timings.max_timeout:
        raise StoreMisconfigured(
            "raft.max_timeout: must be greater than raft.min_timeout"
        )
    if timings.max_timeout > timings.connection_timeout:
        raise StoreMisconfigured(
            "raft.connection_timeout: must not be less than raft.max_timeout"
        )
    if timings.append_entries_period >= timings.leader_fallback_timeout:
        raise StoreMisconfigured(
            "raft.leader_fallback_timeout: "
            "must be greater than raft.append_entries_period"
        )
    return timings


def _prepare(data_dir: Path) -> None:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreMisconfigured(
            f"raft.data_dir: {str(data_dir)!r}: cannot be created: {error.strerror}"
        ) from error
    if not os.access(data_dir, os.W_OK | os.X_OK):
        raise StoreMisconfigured(
            f"raft.data_dir: {str(data_dir)!r}: is not writable for this user"
        )
