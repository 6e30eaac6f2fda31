"""Where journals come from: what a place is, and who reads it."""

from collections.abc import Sequence
from pathlib import Path

from regnal.messages.masking import masked_text
from regnal.replay.sources.files import find_in_directory, find_in_file
from regnal.replay.sources.gathering import Gathered, Question, Workshop
from regnal.replay.sources.rest import find_in_clusters
from regnal.replay.sources.stream import find_in_stream

KINDS = (
    "a journal directory or one above several, a bundle (.tar.gz), "
    "http://HOST:PORT of any member, or nats://HOST:PORT/CLUSTER"
)
"""What can be named."""


def find(
    places: Sequence[str], question: Question, shop: Workshop, gathered: Gathered
) -> None:
    """Ask every place; raises for none of them."""
    find_in_clusters(
        [p for p in places if _scheme(p) in _REST], question, shop, gathered
    )
    for place in places:
        match _scheme(place):
            case "http" | "https":
                pass  # asked already, all together: they may be members of one cluster
            case "nats" | "tls":
                find_in_stream(place, question, shop, gathered)
            case "":
                _find_in_path(place, question, shop, gathered)
            case scheme:
                shown = masked_text(place)
                gathered.trouble(
                    "place_unusable",
                    shown,
                    f"{shown}: journals are not read from {scheme}://; name {KINDS}",
                )


_REST = ("http", "https")


def _find_in_path(
    place: str, question: Question, shop: Workshop, gathered: Gathered
) -> None:
    path = Path(place)
    shown = place if place.isprintable() and len(place) < 200 else repr(place[:200])
    try:
        if path.is_dir():
            find_in_directory(path, gathered)
        elif path.exists():
            find_in_file(path, question, shop, gathered)
        else:
            gathered.trouble(
                "place_unusable", shown, f"{shown} does not exist; name {KINDS}"
            )
    except OSError as error:
        gathered.trouble(
            "place_unusable",
            shown,
            f"{shown} cannot be read: {error.strerror}; name {KINDS}",
        )


def _scheme(place: str) -> str:
    scheme, colon, _ = place.partition("://")
    return scheme.lower() if colon else ""
