"""Times as people give them to regnalctl, and as it shows them."""

from datetime import datetime, timedelta

import click
from dateutil import parser

NOW = "now"


def parse_scheduled(text: str | None) -> datetime | None:
    """A time with zone; without one it is this host's.  None, or `now`: at once."""
    if text is None or text.strip().lower() == NOW:
        return None
    try:
        moment = parser.parse(text)
    except (ValueError, OverflowError, TypeError, AttributeError) as error:
        # dateutil raises the latter two on some texts that nobody would write.
        raise click.ClickException(
            f"Unable to parse scheduled timestamp ({text}). "
            "It should be in an unambiguous format (e.g. ISO 8601)"
        ) from error
    return moment if moment.tzinfo is not None else moment.astimezone()


def example_time() -> str:
    """In an hour."""
    soon = datetime.now().astimezone() + timedelta(hours=1)
    return soon.strftime("%Y-%m-%dT%H:%M")


def stamp() -> str:
    """As the line of a result begins: local time."""
    return datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:25]
