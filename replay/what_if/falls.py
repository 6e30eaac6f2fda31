"""Falls: what a member notices when another one goes down that did not then."""

from regnal.messages.base import Instant, MemberName
from regnal.messages.cluster import ClusterObserved
from regnal.messages.postgres import PostgresObserved, ReplicationEnded
from regnal.replay.what_if.clockwork import Clockwork, Due
from regnal.replay.what_if.outside import Outside
from regnal.replay.what_if.world import Down, World


class Falls:
    """As one member notices them: its stream ends at once, the keys expire later."""

    def __init__(
        self, member: MemberName, world: World, outside: Outside, clockwork: Clockwork
    ) -> None:
        self._member = member
        self._world = world
        self._outside = outside
        self._clockwork = clockwork
        self._noticed: set[MemberName] = set()
        self._expired: set[MemberName] = set()

    def expect(self, until: Instant) -> None:
        """Whatever is noticed up to then, in its time."""
        for down in self._world.downs.values():
            if down.member == self._member:
                continue
            goes_at = down.since - self._outside.offset
            if until >= goes_at and down.member not in self._noticed:
                self._noticed.add(down.member)
                self._end_stream(down, goes_at)
            self._expire_keys(down, until)

    def _end_stream(self, down: Down, at: Instant) -> None:
        status = self._outside.status
        if status is None or self._world.upstream_of(status) != down.member:
            return
        ended = ReplicationEnded(received_lsn=status.received_lsn)
        seen = self._world.seen(
            PostgresObserved(status=status), self._member, down.since
        )
        self._clockwork.expect(Due(at, "postgres", ended, None))
        self._clockwork.expect(Due(at, "postgres", seen, None))

    def _expire_keys(self, down: Down, until: Instant) -> None:
        settings, view = self._outside.now, self._outside.view
        if settings is None or view is None or down.member in self._expired:
            return
        if self._outside.moment(until) < down.since:
            return
        moment = self._world.keys_end_at(down, settings.ttl)
        at = moment - self._outside.offset
        if until >= at:
            self._expired.add(down.member)
            shown = ClusterObserved(view=self._world.shown(view, moment))
            self._clockwork.expect(Due(at, "dcs", shown, None))
