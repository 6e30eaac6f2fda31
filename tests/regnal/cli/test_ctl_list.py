"""`list`, `topology`, `history` and `show-config`, beside the output of the real patronictl.

tests/data/patronictl has, for several clusters, the keys in the store and what
patronictl 4.1.5 printed of them.
"""

import json
from pathlib import Path

import pytest

from tests.regnal.cli.ctl_runs import Ctl
from tests.servers.memory_store import MemoryStore

DATA = Path(__file__).parents[2] / "data" / "patronictl"

CLUSTERS = (
    "plain",
    "busy",
    "initializing",
    "leaderless",
    "nobody",
    "old-members",
    "quorum",
    "standby-cluster",
)
COMMANDS = {
    "list.txt": ("list",),
    "list-e.txt": ("list", "-e"),
    "list.tsv": ("list", "--format", "tsv"),
    "list.json": ("list", "-f", "json"),
    "list.yaml": ("list", "-f", "yaml"),
    "topology.txt": ("topology",),
    "history.txt": ("history",),
    "history.tsv": ("history", "-f", "tsv"),
    "history.json": ("history", "-f", "json"),
    "history.yaml": ("history", "-f", "yml"),
    "show-config.txt": ("show-config",),
}
ON_PURPOSE_OTHERWISE = {
    ("busy", "list.tsv"),  # a cell with several lines: the peer breaks the row
}


def keys_of(cluster: str) -> dict[str, str]:
    keys = json.loads((DATA / cluster / "keys.json").read_text())
    assert isinstance(keys, dict)
    return keys


@pytest.mark.parametrize("file", COMMANDS)
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_the_output_is_that_of_patronictl(
    cluster: str, file: str, tmp_path: Path
) -> None:
    """CTL-06, CTL-07, CTL-08, CTL-09, CTL-10, CTL-24, P-CTL-08, P-CTL-18."""
    if (cluster, file) in ON_PURPOSE_OTHERWISE:
        pytest.skip("on purpose otherwise, another test says how")
    ctl = Ctl(tmp_path, MemoryStore(keys_of(cluster)))

    result = ctl(*COMMANDS[file])

    assert result.stdout == (DATA / cluster / file).read_text()
    assert result.stderr == ""
    assert result.exit_code == 0
