"""`regnal demo`: a failover to look at, on this machine, in two minutes."""

import shutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

import click

from regnal.demo.binaries import (
    NothingToRun,
    postgres_directory,
    unprivileged_user,
)
from regnal.demo.cluster import Cluster, Plan
from regnal.demo.story import Demonstration, Report, summary


@click.command(
    "demo",
    epilog="Examples:  regnal demo  |  regnal demo --sync  |  regnal demo --keep",
)
@click.option("--sync", is_flag=True, help="Synchronous mode: no row may be lost.")
@click.option("--keep", is_flag=True, help="Leave the cluster running at the end.")
@click.option("--ttl", default=20, show_default=True, type=click.IntRange(20))
def demo_command(sync: bool, keep: bool, ttl: int) -> None:
    """Show a failover and a switchover of a real cluster under load.

    Three members with embedded Raft, on free loopback ports and in a temporary
    directory; a client commits rows all the time.  The primary's daemon and
    PostgreSQL are killed together, the former primary rejoins, then a switchover
    is asked for; rows and outages are counted, and the journals explained.

    Ctrl-C cleans up.  Exit status 0 only if all of it worked.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    directory = Path(tempfile.mkdtemp(prefix="regnal-demo-"))
    cluster = None
    kept, failed = False, True
    try:
        cluster = _cluster(directory, sync=sync, ttl=ttl)
        demonstration = Demonstration(cluster, synchronous=sync, tell=click.echo)
        report = demonstration.run()
        click.echo(summary(report, synchronous=sync))
        kept, failed = keep, False
        if _is_bad(report, sync=sync):
            raise NothingToRun("acknowledged rows are missing in synchronous mode")
    except NothingToRun as error:
        click.echo(f"regnal demo: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        failed = False
        click.echo("\nInterrupted; everything that was started is ended.", err=True)
        sys.exit(130)
    finally:
        if kept and cluster is not None:
            click.echo(_what_to_try(cluster, directory))
        else:
            _clean_up(cluster, directory, failed=failed)


def _cluster(directory: Path, *, sync: bool, ttl: int) -> Cluster:
    programs = postgres_directory()
    user = unprivileged_user()
    click.echo(f"PostgreSQL from {programs}, as the user {user.name}, in {directory}")
    directory.chmod(0o755)
    return Cluster(
        Plan(
            directory=directory,
            programs=programs,
            user=user,
            synchronous=sync,
            ttl=ttl,
            loop_wait=max(1, ttl // 4),
            retry_timeout=max(3, ttl // 4),
        )
    )


def _clean_up(cluster: Cluster | None, directory: Path, *, failed: bool) -> None:
    """End what was started; after a failure the evidence stays."""
    if cluster is not None:
        cluster.stop()
    if failed and cluster is not None:
        click.echo(f"Logs and journals are kept in {directory}", err=True)
    else:
        shutil.rmtree(directory, ignore_errors=True)


def _is_bad(report: Report, *, sync: bool) -> bool:
    return sync and bool(report.missing)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _what_to_try(cluster: Cluster, directory: Path) -> str:
    config = cluster.members[0].configuration
    journals = " ".join(str(member.journal) for member in cluster.members)
    stop = "; ".join(f"kill {pid}" for pid in cluster.daemon_pids())
    return f"""
The cluster goes on running.  Try:
  regnalctl -c {config} list -W
  regnalctl -c {config} switchover --force
  psql "{cluster.connection_string()}"
  regnal explain {journals}
  regnal journal tail -f {cluster.members[0].journal}
Stop it with:
  {stop}; rm -r {directory}"""
