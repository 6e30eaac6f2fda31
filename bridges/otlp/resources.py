"""Resources: which member tells, as OpenTelemetry wants to know it.

Names: https://opentelemetry.io/docs/specs/semconv/resource/ and events/spans/naming.py.
"""

import importlib.metadata
from collections.abc import Mapping

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from regnal.bridges.otlp.batch import Value, plain_values
from regnal.events.spans.naming import SCOPE_NAME, resource
from regnal.messages.base import MemberName


class Resources:
    """One for each member, made once."""

    def __init__(self, attributes: Mapping[str, Value]) -> None:
        """`attributes`: beside ours, or in their place."""
        self._attributes = attributes
        self.version = importlib.metadata.version("regnal")
        self._known: dict[tuple[str, MemberName], Resource] = {}
        self.library = InstrumentationScope(SCOPE_NAME, self.version)

    def of(self, scope: str, member: MemberName) -> Resource:
        known = self._known.get((scope, member))
        if known is None:
            ours = {**resource(scope, member), "service.version": self.version}
            known = Resource(plain_values({**ours, **self._attributes}))
            self._known[scope, member] = known
        return known
