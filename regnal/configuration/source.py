"""Where the configuration comes from, and what it amounts to at this moment.

    source = ConfigurationSource(path, os.environ)
    effective = source.load()                    # at start
    effective = source.with_dynamic(json_text)   # the `config` key changed
    effective = source.reload()                  # SIGHUP

Each raises ConfigurationError, and what was in force then stays in force.
"""

import json
import logging
from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from pathlib import Path

from regnal.configuration.checking import check
from regnal.configuration.dynamic_copy import FILE_NAME, read_copy, write_copy
from regnal.configuration.layouts import modernise_dynamic
from regnal.configuration.local import Local, LocalSource
from regnal.configuration.merging import merge
from regnal.configuration.pinning import pinned
from regnal.configuration.problems import ConfigurationError
from regnal.configuration.reading import read_json
from regnal.configuration.schema import DYNAMIC
from regnal.configuration.settings import make_settings
from regnal.configuration.tree import Document, Tree
from regnal.messages.masking import masked
from regnal.messages.settings import Settings

logger = logging.getLogger(__name__)

DYNAMIC_SOURCE = "dynamic configuration"
"""What errors call it."""


@dataclass(frozen=True, slots=True)
class Effective:
    """The configuration in force."""

    document: Document
    """Everything, defaults and secrets included; not to be changed."""

    settings: Settings
    masked: str
    """The document as JSON, secrets masked."""

    dynamic: str | None
    """The dynamic configuration that was merged in.  None: none is known yet,
    `bootstrap.dcs` stands in for it."""

    warnings: tuple[str, ...]
    """What a person should know, though it can be used."""


class ConfigurationSource:
    """The sources of one daemon; used by one thread at a time."""

    def __init__(self, path: Path | None, environ: MutableMapping[str, str]) -> None:
        """Variables are taken out of `environ` by the first `load`."""
        self._local_source = LocalSource(path, environ)
        self._local: Local | None = None
        self._dynamic: str | None = None
        self._kept: str | None = None

    def load(self) -> Effective:
        """Read the local sources, and the copy of the dynamic configuration.

        A copy that cannot be used is passed over with a warning: the store has
        the truth.
        """
        local = self._local_source.read()
        copy, warnings = _copy(_data_dir(local))
        try:
            effective = _effective(local, copy)
        except ConfigurationError as error:
            if copy is None:
                raise
            warnings = (f"{_data_dir(local) / FILE_NAME} is passed over: {error}",)
            copy = None
            effective = _effective(local, None)
        self._local = local
        self._dynamic = self._kept = copy
        return replace(effective, warnings=(*warnings, *effective.warnings))

    @property
    def local_document(self) -> Document:
        """What is written on this host, without defaults; after `load`."""
        assert self._local is not None, "load() comes first"
        return self._local.document

    def reload(self) -> Effective:
        """Read the local files again; the environment is as it was at the start,
        and so is what needs a restart."""
        assert self._local is not None, "load() comes first"
        local = self._local_source.read()
        document, warnings = pinned(self._local.document, local.document)
        local = replace(local, document=document, warnings=(*local.warnings, *warnings))
        effective = _effective(local, self._dynamic)
        self._local = local
        self.keep_copy()  # there may be a data directory by now
        return effective

    def with_dynamic(self, document: str) -> Effective:
        """Merge this dynamic configuration, and keep a copy beside the data."""
        assert self._local is not None, "load() comes first"
        effective = _effective(self._local, document)
        self._dynamic = document
        self.keep_copy()
        return effective

    def keep_copy(self) -> None:
        """Write the copy, unless it is there already or there is no data yet.

        That it cannot be written is only worth a warning.
        """
        if self._local is None or self._dynamic is None or self._dynamic == self._kept:
            return
        data_dir = _data_dir(self._local)
        try:
            if write_copy(data_dir, self._dynamic):
                self._kept = self._dynamic
        except OSError as error:
            logger.warning("%s cannot be written: %s", data_dir / FILE_NAME, error)


def _data_dir(local: Local) -> Path:
    return Path(local.document["postgresql"]["data_dir"])


def _copy(data_dir: Path) -> tuple[str | None, tuple[str, ...]]:
    try:
        return read_copy(data_dir), ()
    except OSError as error:
        return None, (f"{data_dir / FILE_NAME} cannot be read: {error.strerror}",)


def _effective(local: Local, dynamic: str | None) -> Effective:
    """Raises ConfigurationError if the dynamic configuration cannot be used."""
    document, warnings = _dynamic_document(local, dynamic)
    merged = merge(document, local.document)
    settings, corrections = make_settings(merged, local.bootstrap_config)
    return Effective(
        document=merged,
        settings=settings,
        masked=json.dumps(masked(merged)),
        dynamic=dynamic,
        warnings=(*local.warnings, *warnings, *corrections),
    )


def _dynamic_document(local: Local, dynamic: str | None) -> tuple[Document, list[str]]:
    if dynamic is None:
        # Checked with the rest of the local file.
        return local.document.get("bootstrap", {}).get("dcs", {}), []
    tree: Tree = read_json(dynamic, DYNAMIC_SOURCE)
    modernise_dynamic(tree)
    checked = check(DYNAMIC, tree)
    if checked.problems:
        raise ConfigurationError(*checked.problems)
    return checked.document, checked.warnings
