"""How election learns of its lease: three answers, yes, no and unknown."""

from regnal.actors.election_state import Election
from regnal.messages.base import Instant, MemberName, Message
from regnal.messages.frozen import replace
from regnal.messages.lease import (
    LeaderAcquired,
    LeaderHandedOver,
    LeaderReleased,
    LeaderRenewed,
    LeaseAction,
    LeaseRefused,
    LeaseUnconfirmed,
)
from regnal.messages.probes import FailsafeAnswered

ASK_AGAIN_AFTER = 0.5
"""Seconds until a key that the store refused is asked for again."""


def learn_of_lease(view: Election, message: Message, now: Instant) -> Election:
    match message:
        case LeaderAcquired(valid_until=until):
            return replace(
                view,
                lease_until=until,
                given_up=False,
                disowned=False,
                is_unseen=True,
                asking=None,
                lease_refused=False,
                renewal_due=False,
                renewal_failed=False,
                failsafe_active=False,
                failsafe_asked=False,
                suspicious_since=None,
                awaited=None,
            )
        case LeaderRenewed(valid_until=until):
            return replace(
                view,
                lease_until=max(until, view.lease_until or until),
                given_up=False,
                asking=None,
                renewal_failed=False,
                failsafe_active=False,
                failsafe_asked=False,
            )
        case LeaderReleased():
            return replace(
                view,
                lease_until=None,
                given_up=False,
                disowned=True,
                asking=None,
                switchover=None,
                handed_to=None,
                handed_at=None,
            )
        case LeaderHandedOver():
            session = view.cluster.leader.session if _leads(view) else None  # type: ignore[union-attr]
            return replace(
                view,
                lease_until=None,
                given_up=False,
                asking=None,
                own_session=session,
            )
        case LeaseRefused(action=action, holder=holder):
            return _learn_refusal(view, action, holder, now)
        case LeaseUnconfirmed(action=action):
            given_up = view.has_lease and action in ("release", "hand_over")
            return replace(
                view,
                asking=None,
                given_up=view.given_up or given_up,
                renewal_due=view.renewal_due or action == "renew" or given_up,
                renewal_failed=view.renewal_failed or action == "renew",
                retry_at=now + 0.5 if action != "renew" else view.retry_at,
            )
        case FailsafeAnswered(votes=votes, asked_at=asked_at):
            agreed = all(vote.accepted for vote in votes)
            if not agreed or view.settings is None or view.lease_until is None:
                return view
            return replace(
                view,
                failsafe_active=True,
                failsafe_asked=False,
                lease_until=max(view.lease_until, asked_at + view.settings.ttl),
            )
        case _:
            return view


def _learn_refusal(
    view: Election, action: LeaseAction, holder: MemberName | None, now: Instant
) -> Election:
    """A definite no.  A key that is gone when we renew it was deleted, and nobody has
    it: then there is time to take it again, though not more than the lease had."""
    # Who may not withdraw a hand-over, though nobody else has the key, has it.
    given_up = view.given_up and action == "withdraw" and holder != view.member
    known = replace(view, asking=None, given_up=given_up)
    match action:
        case "renew" if holder is None and view.lease_until is not None:
            assert view.settings is not None
            last_moment = view.lease_until - view.margin
            return replace(
                known,
                lease_until=None,
                disowned=True,
                must_lead_by=min(last_moment, now + view.settings.retry_timeout),
            )
        case "renew":
            return replace(known, lease_until=None, disowned=True, lease_refused=True)
        case "acquire":
            # Who writes, and is told that another leads, must stop.
            lost = view.is_writable or view.lease_refused
            until = None if view.is_writable else view.lease_until
            # A view that shows nobody is older: asked again before the watch shows who
            # holds the key, the store would answer the same, over and over.
            return replace(
                known,
                lease_until=until,
                lease_refused=lost,
                stand_back_until=max(view.stand_back_until, now + ASK_AGAIN_AFTER),
            )
        case "release":
            return replace(known, lease_until=None, disowned=True)
        case "hand_over":
            return replace(
                known, lease_until=None, disowned=True, handed_to=None, handed_at=None
            )
        case "withdraw":
            return replace(known, handed_to=None, handed_at=None)


def _leads(view: Election) -> bool:
    return view.cluster is not None and view.cluster.leader is not None
