#!/usr/bin/env python3
"""PgBouncer follows the primary: reads events, rewrites its database, has it reload.

    regnal events -f --json --since 7d http://10.0.0.1:8008 nats://10.0.0.7:4222/demo |
        repoint_pgbouncer.py --database app --include /etc/pgbouncer/databases.ini \\
            --console "host=/run/postgresql port=6432 user=pgbouncer dbname=pgbouncer"

pgbouncer.ini has the line `%include /etc/pgbouncer/databases.ini`.  Clients stay
connected; they wait while there is no primary.  Needs psycopg2 alone.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg2

# Whoever is elected takes writes a moment later; until then PgBouncer's clients wait.
MOVES = ("regnal.leader.elected.v1", "regnal.postgres.promoted.v1")


class Primary(NamedTuple):
    host: str
    port: int


def primaries(lines: Iterable[str]) -> Iterator[Primary]:
    """Where the primary is, each time that it moves.

    An event may come late, from a member that was away: what is older than the last one
    is passed over.
    """
    newest, last = "", None
    for line in lines:
        event = json.loads(line)
        url = event["data"].get("conn_url")
        if event["type"] not in MOVES or not url or event["time"] < newest:
            continue
        newest = event["time"]
        parts = urlsplit(url)
        primary = Primary(parts.hostname or "", parts.port or 5432)
        if primary != last:
            yield primary
        last = primary


def point_to(primary: Primary, database: str, include: Path, console: str) -> None:
    text = f"[databases]\n{database} = host={primary.host} port={primary.port}\n"
    draft = include.with_name(f"{include.name}.new")
    draft.write_text(text)
    draft.replace(include)
    session = psycopg2.connect(console)
    session.autocommit = True  # the console knows no transactions
    with session.cursor() as cursor:
        cursor.execute("RELOAD")
        # Connections to the former primary end with the transaction that they are in.
        cursor.execute(f"RECONNECT {database}")
    session.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--database", required=True)
    parser.add_argument("--include", required=True, type=Path)
    parser.add_argument("--console", required=True)
    given = parser.parse_args()
    for primary in primaries(sys.stdin):
        point_to(primary, given.database, given.include, given.console)
        print(f"{given.database} is at {primary.host}:{primary.port}", flush=True)


if __name__ == "__main__":
    main()
