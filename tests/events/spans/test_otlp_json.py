"""The JSON encoding of OTLP, as its specification has it."""

import json

from regnal.events.spans.otlp_json import export_request
from regnal.events.spans.span import Link, Moment, Span

SPAN = Span(
    trace="5b8efff798038103d269b633813fc60c",
    span="eee19b7ec3c1b174",
    parent="eee19b7ec3c1b173",
    name="promote_postgres",
    start=1544712660000000000,
    end=1544712661000000000,
    scope="demo",
    member="pg2",
    attributes={
        "text": "a",
        "flag": True,
        "count": 2**53 + 1,
        "share": 0.5,
        "names": ("a", "b"),
    },
    moments=(Moment("streaming", 1544712660500000000, {"lsn": "0/1"}),),
    links=(Link("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b175"),),
    status="error",
    status_text="timed out",
)


def test_ids_are_hexadecimal_and_large_numbers_are_texts() -> None:
    request = json.loads(json.dumps(export_request([SPAN])))
    (resource,) = request["resourceSpans"]
    (scope,) = resource["scopeSpans"]
    assert scope["scope"] == {"name": "regnal"}
    assert scope["spans"] == [
        {
            "traceId": "5b8efff798038103d269b633813fc60c",
            "spanId": "eee19b7ec3c1b174",
            "parentSpanId": "eee19b7ec3c1b173",
            "name": "promote_postgres",
            "kind": 1,
            "startTimeUnixNano": "1544712660000000000",
            "endTimeUnixNano": "1544712661000000000",
            "attributes": [
                {"key": "text", "value": {"stringValue": "a"}},
                {"key": "flag", "value": {"boolValue": True}},
                {"key": "count", "value": {"intValue": "9007199254740993"}},
                {"key": "share", "value": {"doubleValue": 0.5}},
                {
                    "key": "names",
                    "value": {
                        "arrayValue": {
                            "values": [{"stringValue": "a"}, {"stringValue": "b"}]
                        }
                    },
                },
            ],
            "events": [
                {
                    "name": "streaming",
                    "timeUnixNano": "1544712660500000000",
                    "attributes": [{"key": "lsn", "value": {"stringValue": "0/1"}}],
                }
            ],
            "links": [
                {
                    "traceId": "5b8efff798038103d269b633813fc60c",
                    "spanId": "eee19b7ec3c1b175",
                }
            ],
            "status": {"code": 2, "message": "timed out"},
        }
    ]


def test_each_member_is_a_resource() -> None:
    other = Span(
        trace=SPAN.trace,
        span="eee19b7ec3c1b173",
        parent=None,
        name="failover",
        start=1,
        end=2,
        scope="demo",
        member="pg3",
    )
    resources = export_request([SPAN, other, SPAN])["resourceSpans"]
    told = [
        {
            one["key"]: one["value"]["stringValue"]
            for one in each["resource"]["attributes"]
        }
        for each in resources
    ]
    assert [one["service.instance.id"] for one in told] == ["pg2", "pg3"]
    assert {one["service.name"] for one in told} == {"regnal"}
    assert {one["service.namespace"] for one in told} == {"demo"}
    assert [len(each["scopeSpans"][0]["spans"]) for each in resources] == [2, 1]
    assert "parentSpanId" not in resources[1]["scopeSpans"][0]["spans"][0]
    assert "status" not in resources[1]["scopeSpans"][0]["spans"][0]
