"""Every public event by its type."""

from collections.abc import Mapping

from regnal.events.base import Event, type_of
from regnal.events.incidents import (
    IncidentAcknowledged,
    IncidentExplained,
    IncidentOpened,
    IncidentSettled,
    JournalGap,
)
from regnal.events.leadership import (
    FailoverAverted,
    FailoverCompleted,
    FailoverStarted,
    LeaderElected,
    LeaderLost,
    SwitchoverCompleted,
)
from regnal.events.membership import (
    DaemonStarted,
    DaemonStopped,
    MemberJoined,
    MemberLeft,
    MemberStateChanged,
    StoreBack,
    StoreLost,
)
from regnal.events.postgres import (
    PostgresCrashed,
    PostgresDiverged,
    PostgresOperationFailed,
    PostgresPromoted,
    PostgresRebuilt,
    PostgresRewound,
    SlotChanged,
    SlotRefused,
    SynchronousStandbysChanged,
)
from regnal.events.requests import (
    SwitchoverCancelled,
    SwitchoverFailed,
    SwitchoverRefused,
    SwitchoverRequested,
    SwitchoverScheduled,
)
from regnal.events.safety import (
    ConfigurationChanged,
    ConfigurationRejected,
    GuardFailed,
    MemberFenced,
    PauseChanged,
    WatchdogActivated,
    WatchdogFailed,
)

WORDS: tuple[type[Event], ...] = (
    LeaderElected,
    LeaderLost,
    FailoverStarted,
    FailoverCompleted,
    FailoverAverted,
    SwitchoverRequested,
    SwitchoverScheduled,
    SwitchoverRefused,
    SwitchoverFailed,
    SwitchoverCancelled,
    SwitchoverCompleted,
    MemberJoined,
    MemberLeft,
    MemberStateChanged,
    MemberFenced,
    PostgresCrashed,
    PostgresPromoted,
    PostgresDiverged,
    PostgresRewound,
    PostgresRebuilt,
    PostgresOperationFailed,
    SynchronousStandbysChanged,
    SlotChanged,
    SlotRefused,
    StoreLost,
    StoreBack,
    GuardFailed,
    WatchdogActivated,
    WatchdogFailed,
    PauseChanged,
    ConfigurationChanged,
    ConfigurationRejected,
    IncidentOpened,
    IncidentSettled,
    IncidentAcknowledged,
    IncidentExplained,
    DaemonStarted,
    DaemonStopped,
    JournalGap,
)
"""In the order of the documentation."""

EVENTS: Mapping[str, type[Event]] = {type_of(word): word for word in WORDS}
