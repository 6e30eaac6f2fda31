"""The configuration actor: what of a changed configuration takes effect, and when.

Merging and checking is done by a bridge, which knows the files; this decider
says when, and keeps the last known dynamic configuration when its key vanishes
(CFG-17, PAUSE-15).
"""

from dataclasses import dataclass

from regnal.actors.step import Decider, Step
from regnal.messages.base import JsonText, MemberName, Message
from regnal.messages.cluster import ClusterObserved
from regnal.messages.envelope import Envelope
from regnal.messages.frozen import replace
from regnal.messages.operations import PhaseChanged
from regnal.messages.settings import (
    ApplyDynamicConfiguration,
    ConfigurationApplied,
    KeepDynamicCopy,
    LocalConfigurationChanged,
    ReloadConfiguration,
)


@dataclass(frozen=True, slots=True)
class Configuration:
    member: MemberName
    dynamic: JsonText | None = None
    """The last dynamic configuration that we asked to apply; None: none yet."""


def handle(
    configuration: Configuration, envelope: Envelope[Message]
) -> Step[Configuration]:
    match envelope.message:
        case ClusterObserved(view=view):
            if view.config is None or view.config == configuration.dynamic:
                return Step(configuration)
            return Step(
                replace(configuration, dynamic=view.config),
                said=(ApplyDynamicConfiguration(document=view.config),),
                rule="apply_the_changed_dynamic_configuration",
                facts={"revision": view.config_revision},
            )
        case ConfigurationApplied(dynamic=dynamic):
            return Step(
                replace(configuration, dynamic=dynamic or configuration.dynamic)
            )
        case PhaseChanged(phase="primary" | "standby", previous=previous):
            if previous in ("primary", "standby", "following", "checking"):
                return Step(configuration)
            return Step(
                configuration,
                said=(KeepDynamicCopy(),),
                rule="keep_a_copy_beside_the_data",
            )
        case LocalConfigurationChanged():
            return Step(
                configuration,
                said=(ReloadConfiguration(),),
                rule="read_the_local_files_again",
            )
        case _:
            return Step(configuration)


def initial(member: MemberName) -> Configuration:
    return Configuration(member=member)


CONFIGURATION = Decider(
    name="configuration",
    hears=(
        ClusterObserved,
        ConfigurationApplied,
        LocalConfigurationChanged,
        PhaseChanged,
    ),
    state=Configuration,
    initial=initial,
    handle=handle,
)
