"""Resources: which member tells, as OpenTelemetry wants to know it.

Names: https://opentelemetry.io/docs/specs/semconv/resource/ and docs/telemetry.md.
"""

import importlib.metadata
from collections.abc import Mapping

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from regnal.bridges.otlp.batch import Value, plain_values
from regnal.messages.base import MemberName


class Resources:
    """One for each member, made once."""

    def __init__(self, attributes: Mapping[str, Value]) -> None:
        """`attributes`: beside ours, or in their place."""
        self._attributes = attributes
        self._version = importlib.metadata.version("regnal")
        self._known: dict[tuple[str, MemberName], Resource] = {}
        self.library = InstrumentationScope("regnal", self._version)

    def of(self, scope: str, member: MemberName) -> Resource:
        known = self._known.get((scope, member))
        if known is None:
            ours = {
                "service.name": "regnal",
                "service.namespace": scope,
                "service.instance.id": member,
                "service.version": self._version,
                "regnal.scope": scope,
                "regnal.member": member,
            }
            known = Resource(plain_values(ours | self._attributes))
            self._known[scope, member] = known
        return known
