"""REST APIs of members that really listen, with journals behind them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from regnal.bridges.http.journal_stream import JournalSource
from regnal.bridges.http.options import RestOptions
from regnal.journal.serving import ServedJournal
from regnal.journal.stamps import wall_clock
from tests.bridges.http.running import PLAIN, Api, serving, snapshot


def served(directory: Path) -> ServedJournal:
    return ServedJournal(
        directory, lambda number, timeout: False, wall_clock, "regnal 0.1.0"
    )


@contextmanager
def cluster(
    journals: Mapping[str, JournalSource | None],
    *,
    elsewhere: Mapping[str, str | None] | None = None,
    options: RestOptions = PLAIN,
    scheme: str = "http",
) -> Iterator[dict[str, Api]]:
    """A REST API for each of the journals, by the members' names; all of them name all
    members, and those `elsewhere` (name and api_url) as well."""
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(serving(options, journal=journal))
            for name, journal in journals.items()
        }
        urls: dict[str, str | None] = {
            name: f"{scheme}://127.0.0.1:{api.port}/patroni"
            for name, api in running.items()
        }
        urls |= elsewhere or {}
        listed = [{"name": name, "api_url": url} for name, url in urls.items()]
        for name, api in running.items():
            api.publish(
                snapshot(
                    document=json.dumps({"patroni": {"name": name, "scope": "demo"}}),
                    cluster=json.dumps({"members": listed, "scope": "demo"}),
                )
            )
        yield running


def url_of(api: Api) -> str:
    return f"http://127.0.0.1:{api.port}"
