"""`regnal validate-config`: says what is wrong with a configuration; changes nothing.

One line for each problem on stderr; status 1 if there is one, else 0.
"""

import os
import sys
from pathlib import Path

import click
import yaml

from regnal.configuration.problems import ConfigurationError
from regnal.configuration.source import ConfigurationSource
from regnal.messages.masking import masked
from regnal.runtime.preflight import problems_of_validation


@click.command("validate-config")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "-i",
    "--ignore-listen-port",
    is_flag=True,
    help="Do not check whether the ports to listen on are free.",
)
@click.option(
    "-p",
    "--print",
    "prints",
    is_flag=True,
    help="Print the local configuration if it is valid; passwords are masked.",
)
def validate_config_command(
    file: Path | None, ignore_listen_port: bool, prints: bool
) -> None:
    """Check the configuration in FILE (a file or a directory), and in variables.

    Without FILE it is taken from PATRONI_CONFIGURATION or the other variables.
    """
    source = ConfigurationSource(file, os.environ)
    try:
        effective = source.load()
    except ConfigurationError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    for warning in effective.warnings:
        click.echo(f"warning: {warning}", err=True)
    problems = problems_of_validation(effective, with_ports=not ignore_listen_port)
    for problem in problems:
        click.echo(str(problem), err=True)
    if problems:
        sys.exit(1)
    if prints:
        click.echo(yaml.safe_dump(masked(source.local_document), sort_keys=False))
