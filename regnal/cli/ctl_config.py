"""`show-config` and `edit-config`: the dynamic configuration of the cluster."""

import json

import click

from regnal.cli.ctl_choice import cluster_argument, force_option, group_option
from regnal.cli.ctl_diff import show_diff
from regnal.cli.ctl_editing import (
    apply_patch,
    edited_by_person,
    read_document,
    set_values,
    without_nulls,
)
from regnal.cli.ctl_session import Session, pass_session
from regnal.cli.ctl_settings import dynamic_configuration
from regnal.cli.ctl_table import yaml_text

STDIN = "-"


@click.command("show-config")
@cluster_argument
@group_option
@pass_session
def show_config_command(
    session: Session, cluster_name: str | None, group: int | None
) -> None:
    """Show cluster configuration"""
    cluster = session.cluster(session.scope(cluster_name), group).read()
    config = dynamic_configuration(cluster)
    if config is not None:
        click.echo(yaml_text(config))


@click.command("edit-config")
@cluster_argument
@group_option
@click.option("--quiet", "-q", is_flag=True, help="Do not show changes")
@click.option(
    "--set",
    "-s",
    "settings",
    multiple=True,
    help="Set specific configuration value. Can be specified multiple times",
)
@click.option(
    "--pg",
    "-p",
    "parameters",
    multiple=True,
    help="Set specific PostgreSQL parameter value. Shorthand for -s "
    "postgresql.parameters. Can be specified multiple times",
)
@click.option(
    "--apply", "apply_file", help="Apply configuration from file. Use - for stdin."
)
@click.option(
    "--replace",
    "replace_file",
    help="Apply configuration from file, replacing existing configuration. "
    "Use - for stdin.",
)
@force_option
@pass_session
def edit_config_command(
    session: Session,
    cluster_name: str | None,
    group: int | None,
    quiet: bool,
    settings: tuple[str, ...],
    parameters: tuple[str, ...],
    apply_file: str | None,
    replace_file: str | None,
    force: bool,
) -> None:
    """Edit cluster configuration"""
    cluster = session.cluster(session.scope(cluster_name), group)
    view = cluster.read()
    before = dynamic_configuration(view)
    if before is None:
        raise click.ClickException(
            f"The config key does not exist in the cluster {cluster.scope}"
        )
    after = before
    if replace_file is not None:
        after = without_nulls(read_document(replace_file))
    if apply_file is not None:
        after = apply_patch(after, read_document(apply_file))
    if settings or parameters:
        after = set_values(after, settings, parameters)
    if not (settings or parameters or apply_file or replace_file):
        after = edited_by_person(cluster.scope, before)
    if after == before:
        click.echo("Not changed")
        return
    if not quiet:
        show_diff(yaml_text(before), yaml_text(after))
    if not force:
        if STDIN in (apply_file, replace_file):
            click.echo("Use --force option to apply changes")
            return
        if not click.confirm("Apply these changes?"):
            return
    document = json.dumps(after, separators=(",", ":"))
    if not cluster.store.write_config(document, view.config_revision):
        raise click.ClickException(
            "Config modification aborted due to concurrent changes"
        )
    click.echo("Configuration changed")
