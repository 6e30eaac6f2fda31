"""The incidents of a cluster, put together from what its members keep of them.

Every member that saw it happen keeps it, under one name where it was the end of a reign.
Whom it befell knows best what it was; who led afterwards had it explained.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from regnal.cli.ctl_rest import Members
from regnal.cli.rest_client import MemberUnreachable
from regnal.messages.base import MemberName
from regnal.messages.cluster import ClusterView, MemberView

Told = Mapping[str, Any]
"""An incident as `GET /incidents` has it (docs/contracts.md 4.12)."""


class NoIncidentsKept(Exception):
    """The member answered otherwise than Regnal does."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the members told, each incident once and the newest first."""

    incidents: tuple[Told, ...]
    silent: tuple[str, ...]
    """Why there is nothing of these members, a sentence each."""

    asked: int
    """Members that answered."""


def gather(asked: Members, cluster: ClusterView) -> Gathered:
    """Ask all members."""
    told: dict[MemberName, list[Told]] = {}
    silent: list[str] = []
    for member in cluster.members:
        try:
            told[member.name] = _ask(asked, member)
        except (MemberUnreachable, NoIncidentsKept) as error:
            silent.append(f"{member.name}: {error}")
    by_name: dict[str, dict[MemberName, Told]] = {}
    for name, incidents in told.items():
        for incident in incidents:
            by_name.setdefault(str(incident["name"]), {})[name] = incident
    merged = [_merged(views) for views in by_name.values()]
    merged.sort(key=lambda incident: str(incident["began"]), reverse=True)
    return Gathered(tuple(merged), tuple(silent), len(told))


def _ask(asked: Members, member: MemberView) -> list[Told]:
    answer = asked.ask(member, "GET", "incidents")
    try:
        found = json.loads(answer.text)
    except (ValueError, RecursionError):
        found = None
    if answer.status != 200 or not isinstance(found, list):
        raise NoIncidentsKept("it keeps no incidents (it does not run Regnal)")
    return [one for one in found if isinstance(one, dict) and "name" in one]


def _merged(views: Mapping[MemberName, Told]) -> dict[str, Any]:
    """One incident as several members tell it."""
    names = sorted(views)
    whom = {str(view.get("member")) for view in views.values()}
    base = next((name for name in names if name in whom), names[0])
    merged = dict(views[base])
    for name in names:
        view = views[name]
        if merged.get("cause") is None and view.get("cause") is not None:
            merged |= {key: view.get(key) for key in VERDICT}
        for key in ("leader", "change", "acknowledged_by", "comment"):
            if merged.get(key) is None:
                merged[key] = view.get(key)
    # Whom it befell may have been away, and have seen it last.
    merged["began"] = min(str(view.get("began")) for view in views.values())
    is_wanted = merged.get("weight") == "notice"
    merged["open_on"] = (
        [] if is_wanted else [name for name in names if views[name].get("open")]
    )
    merged["known_to"] = names
    merged["open"] = bool(merged["open_on"])
    merged["bars"] = [name for name in names if views[name].get("bars_leadership")]
    return merged


VERDICT = ("cause", "root", "sentence", "outage", "author")
"""What an explanation adds; it stands or falls together."""


def open_ones(incidents: Iterable[Told]) -> list[Told]:
    return [incident for incident in incidents if incident["open"]]
