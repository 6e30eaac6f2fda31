"""Journals on this disk: directories, and bundles."""

import os
import re
from pathlib import Path

from regnal.journal.bundle_manifest import BundledJournal, Manifest
from regnal.journal.ledger import Head
from regnal.journal.places import journals, segment_at
from regnal.journal.survey import Configuration
from regnal.journal.unbundling import BundleRefused, Unpacked, unpack_bundle
from regnal.replay.sources.gathering import FoundJournal, Gathered, Question, Workshop

_HEAD = re.compile(r"(\d{1,18}):([0-9a-f]{32})")


def find_in_directory(directory: Path, gathered: Gathered) -> None:
    """The directory, or those below it."""
    found = [FoundJournal(path, str(path)) for path in journals(directory)]
    if found:
        gathered.journals += found
        return
    why = "there is no journal in it"
    if not os.access(directory, os.R_OK | os.X_OK):
        why = "it may not be read by this user"
    gathered.trouble(
        "no_journal",
        str(directory),
        f"{directory}: {why}; a journal is the directory with the files "
        "journal-*.jsonl, by default <data directory>.journal beside the data",
    )


def find_in_file(
    path: Path, question: Question, shop: Workshop, gathered: Gathered
) -> None:
    """A bundle, unpacked."""
    if segment_at(path) is not None:
        gathered.trouble(
            "place_unusable",
            str(path),
            f"{path} is one segment of a journal; name its directory {path.parent}",
        )
        return
    try:
        unpacked = unpack_bundle(path, shop.new(), question.progress)
    except BundleRefused as error:
        gathered.trouble("bundle_refused", str(path), str(error))
    except OSError as error:
        gathered.trouble(
            "bundle_refused",
            str(path),
            f"{path} cannot be unpacked: {error}; set TMPDIR to a directory with room",
        )
    else:
        for flaw in unpacked.flaws:
            gathered.trouble("bundle_flawed", str(path), flaw.text)
        take_unpacked(unpacked, str(path), gathered)


def take_unpacked(unpacked: Unpacked, origin: str, gathered: Gathered) -> None:
    """The journals that came out of a bundle, and what it says of them."""
    described = _described(unpacked.manifest)
    for folder in sorted(unpacked.folders):
        journal = described.get(folder)
        gathered.journals.append(
            FoundJournal(
                unpacked.target / folder,
                origin,
                configuration=_configuration(journal),
                witness=_witness(journal),
            )
        )
    for text in unpacked.manifest.troubles if unpacked.manifest else ():
        gathered.trouble("bundle_says", origin, f"{origin} says: {text}")


def _described(manifest: Manifest | None) -> dict[str, BundledJournal]:
    if manifest is None:
        return {}
    return {journal.folder: journal for journal in manifest.journals}


def _configuration(journal: BundledJournal | None) -> Configuration | None:
    if journal is None or journal.configuration is None:
        return None
    return Configuration(journal.configuration.at, journal.configuration.document)


def _witness(journal: BundledJournal | None) -> Head | None:
    match = _HEAD.fullmatch(journal.head or "") if journal is not None else None
    return Head(int(match[1]), match[2]) if match else None
