"""What can be seen to go wrong before anything is started or written.

Each check looks and changes nothing; each problem names the option, the thing
and the remedy, in one line.
"""

import os
import pwd
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from regnal.bridges.postgres.binary_version import binary_version, major_of
from regnal.bridges.postgres.data_directory import WAL_NAMES, is_empty
from regnal.bridges.postgres.errors import OperationError
from regnal.bridges.postgres.guc.rules import MalformedRule, parse_version
from regnal.bridges.postgres.options import PostgresOptions
from regnal.bridges.postgres.pgpass import needs_passfile
from regnal.bridges.postgres.pid_file import find_postmaster
from regnal.bridges.postgres.programs import find_binary
from regnal.bridges.watchdog.device import Unfit, check_device
from regnal.configuration.problems import Problem
from regnal.configuration.schema import MIN_LOOP_WAIT, MIN_RETRY_TIMEOUT, MIN_TTL
from regnal.configuration.tree import Document
from regnal.runtime.options import Configured, dcs_options, journal_options
from regnal.runtime.options import postgres_options as options_of
from regnal.runtime.reachability import (
    connect_problems,
    listen_problems,
    store_problems,
)

PROGRAMS = (
    "pg_ctl",
    "initdb",
    "pg_controldata",
    "pg_basebackup",
    "postgres",
    "pg_isready",
)

_FILES = (
    ("restapi", ("certfile", "keyfile", "cafile")),
    ("ctl", ("cacert", "certfile", "keyfile")),
    ("etcd", ("cacert", "cert", "key")),
    ("etcd3", ("cacert", "cert", "key")),
    ("consul", ("cacert", "cert", "key")),
    ("zookeeper", ("cacert", "cert", "key")),
    ("kubernetes", ("cacert",)),
)
"""Options that name a file which must be there."""

_FILES_OF_PUBLISHING = (
    ("nats", ("credentials", "cafile", "certfile", "keyfile")),
    ("otel", ("cafile", "certfile", "keyfile")),
)
"""Without these nothing is published, which is no reason not to run."""


def problems_at_start(effective: Configured) -> list[Problem]:
    """What keeps the daemon from running here; status 1 follows."""
    options = options_of(effective)
    return [
        *_user(),
        *_programs(options),
        *_data_directory(options),
        *_places(effective, options),
        *_files(effective.document, _FILES),
        *listen_problems(
            effective.document,
            # A server that we shall take over listens already.
            with_postgresql=find_postmaster(options.data_dir) is None,
        ),
    ]


def remarks_at_start(effective: Configured) -> list[str]:
    """What the daemon can run with, though a person should see to it."""
    # Losing the history is bad, not running for the history's sake is worse.
    problems = [*_journal(effective), *_files(effective.document, _FILES_OF_PUBLISHING)]
    return [str(problem) for problem in problems]


def problems_of_validation(
    effective: Configured, *, with_ports: bool = True
) -> list[Problem]:
    """What `validate-config` finds beyond types: on this host, and in its network."""
    options = options_of(effective)
    problems = [
        *connect_problems(effective.document),
        *_tags(effective.document["tags"]),
        *_minima(effective.document.get("bootstrap", {}).get("dcs", {})),
        *_programs(options),
        *_data_directory(options),
        *_foreign_data(options),
        *_places(effective, options),
        *_journal(effective),
        *_files(effective.document, (*_FILES, *_FILES_OF_PUBLISHING)),
        *_watchdog(effective.document["watchdog"]),
        *store_problems(dcs_options(effective)),
    ]
    if with_ports:
        problems += listen_problems(effective.document, with_postgresql=True)
    return problems


def _tags(tags: Mapping[str, Any]) -> Iterator[Problem]:
    """Two ways of saying the same; a daemon makes do with them, and warns."""
    for flag, number in (
        ("nofailover", "failover_priority"),
        ("nosync", "sync_priority"),
    ):
        if flag in tags and number in tags:
            yield Problem(
                f"tags.{flag}",
                f"is there beside tags.{number}",
                "remove one of them",
            )


def _minima(dynamic: Mapping[str, Any]) -> Iterator[Problem]:
    """Values that a daemon would raise; better they are right from the beginning."""
    for name, minimum in (
        ("ttl", MIN_TTL),
        ("loop_wait", MIN_LOOP_WAIT),
        ("retry_timeout", MIN_RETRY_TIMEOUT),
        ("synchronous_node_count", 1),
    ):
        value = dynamic.get(name, minimum)
        if value < minimum:
            yield Problem(
                f"bootstrap.dcs.{name}",
                f"{value} is less than {minimum}",
                f"write {minimum} or more",
            )


def _watchdog(section: Mapping[str, Any]) -> Iterator[Problem]:
    """WDOG-04: a member that needs a device and has none will never lead."""
    if section["mode"] != "required":
        return
    path = Path(section["device"])
    try:
        check_device(path, section["driver"])
    except (Unfit, OSError) as error:
        text = error.strerror if isinstance(error, OSError) else None
        yield Problem(
            "watchdog.device",
            f"{path} cannot be used: {text or error}; this member would never lead",
            f"load a driver, such as softdog, and let the user {_user_name()} write to "
            "it, or set watchdog.mode to automatic",
        )


def _user() -> Iterator[Problem]:
    if os.geteuid() == 0:
        yield Problem(
            "user",
            "PostgreSQL refuses to run as root",
            "start the daemon as the user that owns the data directory",
        )


def _programs(options: PostgresOptions) -> Iterator[Problem]:
    missing = []
    for name in PROGRAMS:
        try:
            find_binary(options, name)
        except OperationError:
            missing.append(options.bin_names.get(name, name))
    if missing:
        place = options.bin_dir or "the directories of PATH"
        yield Problem(
            "postgresql.bin_dir",
            f"{', '.join(missing)} not found in {place}",
            "name the directory of PostgreSQL's programs, "
            "such as /usr/lib/postgresql/15/bin",
        )


def _data_directory(options: PostgresOptions) -> Iterator[Problem]:
    """Whether PostgreSQL may use the directory, and is of its version."""
    data_dir, path = options.data_dir, "postgresql.data_dir"
    try:
        if not data_dir.exists():
            yield from _to_be_created(path, data_dir)
            return
        status = data_dir.stat()
        names = {entry.name for entry in data_dir.iterdir()}
    except NotADirectoryError:
        yield Problem(path, f"{data_dir} is not a directory", "name a directory")
        return
    except OSError as error:
        yield Problem(
            path,
            f"{data_dir} cannot be read: {error.strerror}",
            f"let the user {_user_name()} own it",
        )
        return
    if not os.access(data_dir, os.W_OK | os.X_OK):
        yield Problem(
            path,
            f"{data_dir} cannot be written by the user {_user_name()}",
            "let this user own it",
        )
    elif "PG_VERSION" in names and os.geteuid() not in (0, status.st_uid):
        yield Problem(
            path,
            f"{data_dir} does not belong to the user {_user_name()}",
            "let the daemon run as its owner",
        )
    elif status.st_mode & (stat.S_IWGRP | stat.S_IRWXO) and "PG_VERSION" in names:
        yield Problem(
            path,
            f"{data_dir} has mode {stat.S_IMODE(status.st_mode):04o}, "
            "with which PostgreSQL does not start",
            "set it to 0700 or 0750",
        )
    if "PG_VERSION" in names:
        yield from _version(options)


def _version(options: PostgresOptions) -> Iterator[Problem]:
    file = options.data_dir / "PG_VERSION"
    try:
        text = file.read_text().strip()
        of_data = major_of(parse_version(text))
    except (OSError, UnicodeDecodeError, MalformedRule) as error:
        yield Problem(
            "postgresql.data_dir", f"{file} cannot be used: {error}", "restore it"
        )
        return
    of_binaries = major_of(binary_version(options))
    if of_binaries and of_data != of_binaries:
        yield Problem(
            "postgresql.data_dir",
            f"{options.data_dir} is of PostgreSQL {text}, the programs in "
            f"{options.bin_dir or 'PATH'} are of {_spelled(of_binaries)}",
            "set postgresql.bin_dir to the programs of that version, or upgrade the "
            "data with pg_upgrade",
        )


def _foreign_data(options: PostgresOptions) -> Iterator[Problem]:
    """A directory with something else in it; a running daemon could rebuild it."""
    data_dir, path = options.data_dir, "postgresql.data_dir"
    try:
        if not data_dir.is_dir() or is_empty(data_dir):
            return
        lacks_version = not (data_dir / "PG_VERSION").exists()
        lacks_wal = not any((data_dir / name).is_dir() for name in WAL_NAMES)
    except OSError:
        return  # said already
    if lacks_version or lacks_wal:
        what = "PG_VERSION" if lacks_version else "pg_wal"
        yield Problem(
            path,
            f"{data_dir} is not empty and has no {what}",
            "name an empty directory or one made by initdb",
        )


def _places(effective: Configured, options: PostgresOptions) -> Iterator[Problem]:
    """Where the daemon itself writes."""
    if needs_passfile(options):
        yield from _writable_file("postgresql.pgpass", options.pgpass)
    if options.config_dir != options.data_dir:
        yield from _writable_directory("postgresql.config_dir", options.config_dir)
    log_dir = effective.document["log"].get("dir")
    if log_dir is not None:
        yield from _writable_directory("log.dir", Path(log_dir).absolute())


def _journal(effective: Configured) -> Iterator[Problem]:
    directory = journal_options(effective).directory
    if directory.exists():
        yield from _writable_directory("journal.dir", directory)
    else:
        yield from _to_be_created("journal.dir", directory)


def _writable_file(path: str, file: Path) -> Iterator[Problem]:
    if file.is_dir():
        yield Problem(path, f"{file} is a directory", "name a file")
    elif not file.parent.is_dir():
        yield Problem(
            path, f"{file.parent} is not a directory", "create it, or name another file"
        )
    elif not os.access(file if file.exists() else file.parent, os.W_OK):
        yield Problem(
            path,
            f"{file} cannot be written by the user {_user_name()}",
            "name a file that this user may write",
        )


def _writable_directory(path: str, directory: Path) -> Iterator[Problem]:
    if not directory.is_dir():
        yield Problem(path, f"{directory} is not a directory", "create it")
    elif not os.access(directory, os.W_OK | os.X_OK):
        yield Problem(
            path,
            f"{directory} cannot be written by the user {_user_name()}",
            "let this user write into it",
        )


def _to_be_created(path: str, directory: Path) -> Iterator[Problem]:
    """Whether the nearest directory above that exists lets us create it."""
    above = next(parent for parent in directory.parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        yield Problem(
            path,
            f"{directory} cannot be created in {above} by the user {_user_name()}",
            "create it and let this user own it",
        )


def _files(
    document: Document, table: Iterable[tuple[str, tuple[str, ...]]]
) -> Iterator[Problem]:
    for section, names in table:
        for name in names:
            file = document.get(section, {}).get(name)
            if isinstance(file, str) and not os.access(file, os.R_OK):
                reason = "does not exist"
                if Path(file).exists():
                    reason = f"cannot be read by the user {_user_name()}"
                yield Problem(
                    f"{section}.{name}", f"{file} {reason}", "correct the path or mode"
                )


def _spelled(major: int) -> str:
    if major >= 100000:
        return str(major // 10000)
    return f"{major // 10000}.{major // 100 % 100}"


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container may give us a number without a name
        return str(os.geteuid())
