"""`regnalctl`: see and steer a cluster from the command line, as with patronictl.

Its options, questions, tables and texts are those that people and scripts know;
docs/contracts.md section 5 has them all.
"""

import gc
import logging
import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from regnal.cli.ctl_invocation import DEFAULT_CONFIG_FILE, Invocation
from regnal.cli.lazy_group import LazyCommand, LazyGroup

_LEVEL_VARIABLES = ("LOGLEVEL", "PATRONI_LOGLEVEL", "PATRONI_LOG_LEVEL")
"""The last one that is set counts."""


def _command(module: str, name: str, summary: str) -> LazyCommand:
    return LazyCommand(f"regnal.cli.{module}", f"{name}_command", summary)


COMMANDS = {
    "ack": _command(
        "ctl_incidents", "ack", "Acknowledge incidents: somebody has looked at them"
    ),
    "demote-cluster": _command(
        "ctl_standby", "demote_cluster", "Demote cluster to a standby cluster"
    ),
    "dsn": _command(
        "ctl_query", "dsn", "Give a dsn for a member, defaults to the leader"
    ),
    "edit-config": _command("ctl_config", "edit_config", "Edit cluster configuration"),
    "explain": _command(
        "ctl_explain",
        "explain",
        "Tell what happened, and why, from the members' journals",
    ),
    "failover": _command("ctl_switchover", "failover", "Failover to a replica"),
    "flush": _command("ctl_flush", "flush", "Discard scheduled events"),
    "history": _command(
        "ctl_history", "history", "Show the history of failovers/switchovers"
    ),
    "incidents": _command(
        "ctl_incidents", "incidents", "List the incidents that nobody has acknowledged"
    ),
    "list": _command("ctl_list", "list", "List the members of the cluster"),
    "pause": _command("ctl_pause", "pause", "Disable auto failover"),
    "promote-cluster": _command(
        "ctl_standby", "promote_cluster", "Promote cluster, make it run standalone"
    ),
    "query": _command("ctl_query", "query", "Query a PostgreSQL member"),
    "reinit": _command("ctl_reinit", "reinit", "Reinitialize cluster member"),
    "reload": _command("ctl_restart", "reload", "Reload cluster member configuration"),
    "remove": _command("ctl_remove", "remove", "Remove cluster from DCS"),
    "restart": _command("ctl_restart", "restart", "Restart cluster member"),
    "resume": _command("ctl_pause", "resume", "Resume auto failover"),
    "scaffold": _command(
        "ctl_scaffold",
        "scaffold",
        "Create the keys of a cluster with an external primary",
    ),
    "show-config": _command("ctl_config", "show_config", "Show cluster configuration"),
    "switchover": _command("ctl_switchover", "switchover", "Switchover to a replica"),
    "topology": _command("ctl_list", "topology", "Print who replicates from whom"),
    "version": _command(
        "ctl_version", "version", "Output version of this command or a running cluster"
    ),
}


@click.group(cls=LazyGroup, commands_elsewhere=COMMANDS)
@click.option(
    "--config-file",
    "-c",
    envvar="PATRONICTL_CONFIG_FILE",
    help=f"Configuration file  [default: {DEFAULT_CONFIG_FILE}]",
)
@click.option(
    "--dcs-url",
    "--dcs",
    "-d",
    envvar=["DCS_URL", "DCS"],
    help="The DCS connect url, such as etcd3://host:2379/namespace",
)
@click.option(
    "--insecure",
    "-k",
    is_flag=True,
    help="Allow connections to TLS sites without verifying their certificates",
)
@click.pass_context
def ctl(
    context: click.Context, config_file: str | None, dcs_url: str | None, insecure: bool
) -> None:
    """Command-line interface for interacting with a cluster."""
    _log_to_stderr()
    context.obj = Invocation(config_file, dcs_url, insecure, context.obj)


def _log_to_stderr() -> None:
    level = "WARNING"
    for variable in _LEVEL_VARIABLES:
        level = os.environ.get(variable, level)
    known = logging.getLevelNamesMapping()
    logging.basicConfig(
        format="%(asctime)s - %(levelname)s - %(message)s",
        level=known.get(level.upper(), logging.WARNING),
    )


def main() -> None:
    """Ends with 0 (done), 1 (`Error: ...` on stderr) or 2 (wrong usage)."""
    # A run is too short for the collector to find anything worth its time.
    gc.disable()
    status = 0
    try:
        ctl(prog_name=Path(sys.argv[0]).name)
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else 1
    _end(status)


def _end(status: int) -> NoReturn:
    """End at once: taking all modules apart again takes longer than most commands,
    and a client that is stuck need not be waited for."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # whoever reads has gone away
        status = status or 1
    os._exit(status)
