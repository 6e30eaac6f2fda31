"""One run of regnalctl: options, configuration and the store, each got when needed."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, update_wrapper
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import click

from regnal.bridges.http.options import ClientOptions
from regnal.cli.ctl_invocation import DEFAULT_CONFIG_FILE, Invocation
from regnal.cli.ctl_open import open_cluster_store
from regnal.cli.ctl_store import StoreOfCluster, StoreOpener
from regnal.cli.dcs_url import parse_dcs_url
from regnal.configuration.local import LocalSource
from regnal.configuration.problems import ConfigurationError
from regnal.configuration.schema_stores import STORES
from regnal.configuration.tree import Document
from regnal.messages.cluster import ClusterView
from regnal.runtime.options import StoreOptions, ctl_options, dcs_options

F = TypeVar("F", bound=Callable[..., Any])


class _Written(NamedTuple):
    """The configuration with what the command line says laid over it."""

    document: Document


@dataclass
class Session:
    invocation: Invocation
    open_store: StoreOpener
    _stores: dict[str, StoreOfCluster] = field(default_factory=dict)

    @cached_property
    def document(self) -> Document:
        """The local configuration, with the store that `--dcs-url` names."""
        document = self._read()
        if self.invocation.dcs_url is not None:
            try:
                named = parse_dcs_url(self.invocation.dcs_url)
            except ValueError as error:
                raise click.ClickException(str(error)) from error
            document = {k: v for k, v in document.items() if k not in STORES}
            document[named.section] = named.options
            if named.namespace is not None:
                document["namespace"] = named.namespace
        return document

    def _read(self) -> Document:
        path = (
            DEFAULT_CONFIG_FILE
            if self.invocation.config_file is None
            else Path(self.invocation.config_file)
        )
        if self.invocation.config_file is not None and not os.access(path, os.R_OK):
            raise click.ClickException(
                f"Provided config file {path} not existing or no read rights. "
                "Check the -c/--config-file parameter"
            )
        try:
            local = LocalSource(path, os.environ).read(is_complete=False)
        except ConfigurationError as error:
            raise click.ClickException(str(error)) from error
        return local.document

    def scope(self, cluster_name: str | None) -> str:
        """The cluster that is meant: named, or that of the configuration."""
        scope = cluster_name or self.document.get("scope")
        if not scope:
            raise click.ClickException(
                "No cluster is named: give its name, or set `scope` in the configuration"
            )
        return str(scope)

    def cluster(self, scope: str, group: int | None = None) -> "Cluster":
        """Of that name; nothing is asked yet."""
        place = scope if group is None else f"{scope}/{group}"
        if place not in self._stores:
            options = self._store_options(place)
            self._stores[place] = StoreOfCluster(options, self.open_store)
        return Cluster(scope, self._stores[place])

    def _store_options(self, place: str) -> StoreOptions:
        if not any(section in self.document for section in STORES):
            raise click.ClickException(
                "Can not find suitable configuration of distributed configuration store\n"
                f"Available implementations: {', '.join(sorted(STORES))}; "
                "write one such section, or use --dcs-url"
            )
        return dcs_options(_Written({**self.document, "scope": place}))

    @property
    def client(self) -> ClientOptions:
        """How to speak to the members' REST API."""
        ctl: Mapping[str, Any] = self.document.get("ctl", {})
        insecure = self.invocation.insecure or ctl.get("insecure", False)
        return ctl_options(
            _Written({**self.document, "ctl": {**ctl, "insecure": insecure}})
        )


class Cluster(NamedTuple):
    """A cluster by name, and the store that has its keys."""

    scope: str
    store: StoreOfCluster

    def read(self) -> ClusterView:
        """All its keys, by a consistent (linearizable) read."""
        return self.store.read()


def session_of(context: click.Context) -> Session:
    """Of this run; nothing is read before it is needed."""
    invocation = context.find_object(Invocation)
    assert invocation is not None
    return Session(invocation, invocation.open_store or open_cluster_store)


def pass_session(command: F) -> F:
    """Give the command its session as the first argument."""

    @click.pass_context
    def with_session(context: click.Context, *arguments: Any, **options: Any) -> Any:
        return context.invoke(command, session_of(context), *arguments, **options)

    return cast(F, update_wrapper(with_session, command))
