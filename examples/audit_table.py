#!/usr/bin/env python3
"""Keeps an audit table in PostgreSQL: every event of a NATS stream is one row, once.

    audit_table.py nats://10.0.0.7:4222 "host=db.example dbname=audit user=audit"

The stream keeps the place of the consumer `audit`: it goes on there after a restart.
An event is acknowledged when its row is committed, and one that comes again finds its
row there already: so each is in the table exactly once.  Needs nats-py and psycopg2.
"""

import asyncio
import json
import sys

import nats
import psycopg2
from nats.errors import TimeoutError as NothingThere
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

STREAM = "REGNAL_EVENTS"
CONSUMER = "audit"
AT_ONCE = 100

TABLE = """
CREATE TABLE IF NOT EXISTS regnal_audit (
    source text NOT NULL,
    id text NOT NULL,
    type text NOT NULL,
    subject text NOT NULL,
    told_at timestamptz NOT NULL,
    told_by text NOT NULL,
    trace text NOT NULL,
    data jsonb NOT NULL,
    PRIMARY KEY (source, id)
)
"""

ROW = """
INSERT INTO regnal_audit (source, id, type, subject, told_at, told_by, trace, data)
VALUES (%(source)s, %(id)s, %(type)s, %(subject)s, %(time)s, %(reporter)s,
        split_part(%(traceparent)s, '-', 2), %(data)s)
ON CONFLICT DO NOTHING
"""


async def keep(url: str, database: str, once: bool) -> None:
    session = psycopg2.connect(database)
    with session, session.cursor() as cursor:
        cursor.execute(TABLE)
    client = await nats.connect(url, max_reconnect_attempts=-1)
    subscription = await client.jetstream().pull_subscribe(
        "regnal.events.>",
        durable=CONSUMER,
        stream=STREAM,
        config=ConsumerConfig(
            ack_policy=AckPolicy.EXPLICIT, deliver_policy=DeliverPolicy.ALL
        ),
    )
    while True:
        try:
            messages = await subscription.fetch(AT_ONCE, timeout=2)
        except NothingThere:
            if once:
                break
            continue
        with session, session.cursor() as cursor:  # one transaction
            for message in messages:
                event = json.loads(message.data)
                cursor.execute(ROW, {**event, "data": json.dumps(event["data"])})
        for message in messages:
            await message.ack()
    await client.close()
    session.close()


def main() -> None:
    url, database, *rest = sys.argv[1:]
    asyncio.run(keep(url, database, once="--once" in rest))


if __name__ == "__main__":
    main()
