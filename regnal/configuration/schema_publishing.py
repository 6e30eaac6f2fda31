"""The options of what goes out: NATS and webhooks (docs/events.md), and telemetry
(docs/telemetry.md)."""

from regnal.configuration.kinds import (
    Choice,
    Integer,
    Items,
    Option,
    Real,
    Scalar,
    Section,
    Size,
    Text,
    Time,
)

SWITCH = {
    "true": "on",
    "false": "off",
    "yes": "on",
    "no": "off",
    "1": "on",
    "0": "off",
}
"""How people write a switch."""

_ON = Option(Choice(("on", "off"), SWITCH), default="on")
_OFF = Option(Choice(("on", "off"), SWITCH), default="off")
_SECRET = Option(Text(), secret=True)

NATS = Section(
    {
        "servers": Items(Option(Text()), from_text=True),
        "username": Option(Text()),
        "password": _SECRET,
        "token": _SECRET,
        "credentials": Option(Text()),
        "cafile": Option(Text()),
        "certfile": Option(Text()),
        "keyfile": Option(Text()),
        "events": _ON,
        "journal": _OFF,
        "jetstream": _ON,
        "create_streams": _ON,
        "stream": Option(Text(), default="REGNAL_EVENTS"),
        "journal_stream": Option(Text(), default="REGNAL_JOURNAL"),
        "subject_prefix": Option(Text(), default="regnal.events"),
        "max_age": Option(Time(minimum=1), default=30 * 86400),
        "max_bytes": Option(Size(minimum=1024**2)),
        "replicas": Option(Integer(minimum=1), default=1),
    },
)

WEBHOOK = Section(
    {
        "name": Option(Text(forbidden="/\n")),
        "url": Option(Text()),
        "secret": _SECRET,
        "token": _SECRET,
        "events": Items(Option(Text()), from_text=True),
        "timeout": Option(Time(whole=False, minimum=0.1, maximum=300), default=10.0),
        "give_up_after": Option(Time(minimum=0), default=3600),
        "cafile": Option(Text()),
    }
)

WEBHOOKS = Items(WEBHOOK)

OTEL = Section(
    {
        "endpoint": Option(Text()),
        "protocol": Option(
            Choice(("http/protobuf", "grpc"), {"http": "http/protobuf"}),
            default="http/protobuf",
        ),
        "headers": Section(others=_SECRET),
        "cafile": Option(Text()),
        "certfile": Option(Text()),
        "keyfile": Option(Text()),
        "compression": Option(Choice(("none", "gzip")), default="none"),
        "timeout": Option(Time(whole=False, minimum=0.1, maximum=300), default=10.0),
        "traces": _ON,
        "metrics": _OFF,
        "logs": _OFF,
        "sampling": Option(Real(minimum=0, maximum=1), default=0.0),
        "metrics_interval": Option(Time(minimum=1, maximum=86400), default=60),
        "resource_attributes": Section(others=Option(Scalar())),
    }
)
