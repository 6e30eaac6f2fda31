"""What changed in the store: decisions for readers and subscribers.

Said by `dcs_watcher`, each once per change; of the others never for what it finds at
its start.
"""

from typing import Literal

from regnal.messages.base import Decision, JsonText, MemberName, Seconds


class LeaderElected(Decision):
    """Another member holds the leader key than before."""

    kind: Literal["leader_elected"] = "leader_elected"
    member: MemberName
    previous: MemberName | None
    """The last one that was seen; None: none was."""


class LeaderLost(Decision):
    """Nobody holds the leader key any more."""

    kind: Literal["leader_lost"] = "leader_lost"
    previous: MemberName


class MemberJoined(Decision):
    kind: Literal["member_joined"] = "member_joined"
    member: MemberName


class MemberLeft(Decision):
    """The key of the member was removed, or expired."""

    kind: Literal["member_left"] = "member_left"
    member: MemberName


class ConfigurationKeyChanged(Decision):
    """Somebody wrote or removed the dynamic configuration."""

    kind: Literal["configuration_key_changed"] = "configuration_key_changed"
    removed: bool


class StoreLost(Decision):
    """The store does not answer."""

    kind: Literal["store_lost"] = "store_lost"
    error: str


class StoreBack(Decision):
    """The store answers again."""

    kind: Literal["store_back"] = "store_back"
    away_for: Seconds


class OwnMemberChanged(Decision):
    """Our member key shows something else from now on than before."""

    kind: Literal["own_member_changed"] = "own_member_changed"
    document: JsonText
    """All that it shows but WAL positions and our clock."""
