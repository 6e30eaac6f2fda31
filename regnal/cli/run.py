"""`regnal run`: the daemon."""

import logging
import os
import sys
from pathlib import Path

import click

from regnal.bridges.dcs.contract import StoreMisconfigured
from regnal.bridges.http.errors import UnusableOptions
from regnal.configuration.logs import STUCK_STATUS, LogSystem, log_options
from regnal.configuration.problems import ConfigurationError
from regnal.configuration.source import ConfigurationSource
from regnal.journal.places import JournalUnusable
from regnal.runtime import service_manager
from regnal.runtime.daemon import Daemon, Refused
from regnal.runtime.preflight import problems_at_start, remarks_at_start

logger = logging.getLogger(__name__)


@click.command(
    "run",
    epilog="Examples:  regnal run /etc/regnal/regnal.yml  |  regnal run /etc/regnal.d",
)
@click.argument("config", type=click.Path(path_type=Path), required=False)
def run_command(config: Path | None) -> None:
    """Run the daemon in the foreground.

    CONFIG is a YAML file, or a directory of them; without it the configuration
    comes from PATRONI_CONFIGURATION or the PATRONI_* variables.

    Signals: HUP reloads the configuration, TERM and INT stop PostgreSQL and end
    the daemon.  Exit status 1: the line on stderr says what must be mended.
    """
    notice = service_manager.from_environment()
    logs = LogSystem()
    logs.install()
    status = 1
    try:
        status = _run(config, logs, notice)
    except (
        ConfigurationError,
        JournalUnusable,
        UnusableOptions,
        StoreMisconfigured,
        Refused,
    ) as error:
        click.echo(f"regnal: {error}", err=True)
    finally:
        written = logs.close()
    sys.exit(status if written else STUCK_STATUS)


def _run(
    config: Path | None, logs: LogSystem, notice: service_manager.ServiceManager
) -> int:
    source = ConfigurationSource(config, os.environ)
    effective = source.load()
    problems = problems_at_start(effective)
    if problems:
        raise ConfigurationError(*problems)
    logs.configure(log_options(effective.document))
    for remark in remarks_at_start(effective):
        logger.warning("%s", remark)
    return Daemon(source, effective, logs, notice).run()
