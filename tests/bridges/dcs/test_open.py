"""Choosing the store by its section."""

import json
import subprocess
import sys
from typing import Any

import pytest

from regnal.bridges.dcs import open as opening
from regnal.bridges.dcs.contract import Store, StoreMisconfigured
from regnal.bridges.dcs.open import STORES, open_store


def opened(section: str | None, options: dict[str, Any]) -> Store:
    return open_store(
        section, options, namespace="service", scope="demo", member="a", ttl=30.0
    )


@pytest.mark.parametrize("section", ["mongodb", None, ""])
def test_an_unknown_section_lists_the_known_ones(section: str | None) -> None:
    """DCS-01"""
    with pytest.raises(StoreMisconfigured) as problem:
        opened(section, {})
    assert all(name in str(problem.value) for name in STORES)


@pytest.mark.parametrize("section", sorted(STORES))
def test_only_the_chosen_store_is_loaded(section: str) -> None:
    """DCS-01"""
    options = {
        "etcd3": {"host": "127.0.0.1:1"},
        "raft": {"partner_addrs": ["127.0.0.1:1"]},
    }
    program = f"""
import json, sys
from regnal.bridges.dcs.open import open_store
open_store({section!r}, {options.get(section, {})!r}, namespace="service",
    scope="demo", member="a", ttl=30.0).close()
print(json.dumps(sorted(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = json.loads(result.stdout)
    others = {store.module for name, store in STORES.items() if name != section}
    assert STORES[section].module in loaded
    assert others.isdisjoint(loaded)
    if section != "raft":
        assert "pysyncobj" not in loaded


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """OPS-01"""
    there = dict(opening.STORES)
    there["raft"] = opening.StoreModule("nowhere", "raft", ("no_such_library",))
    monkeypatch.setattr(opening, "STORES", there)
    with pytest.raises(StoreMisconfigured, match=r"pip install 'regnal\[raft\]'"):
        opened("raft", {"partner_addrs": ["127.0.0.1:1"]})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param({}, "etcd3: none of", id="nowhere"),
        pytest.param({"protocol": "ftp", "host": "h"}, "etcd3.protocol", id="protocol"),
        pytest.param({"hosts": {"a": 1}}, "etcd3.hosts", id="no list"),
        pytest.param({"host": "h:port"}, "etcd3.hosts", id="no port"),
        pytest.param({"url": "h:2379"}, "etcd3.url", id="no url"),
        pytest.param({"host": "h", "cacert": "/no/file"}, "etcd3.cacert", id="no ca"),
        pytest.param({"host": "h", "cert": "/no/file"}, "etcd3.cert", id="no cert"),
        pytest.param({"host": "h", "use_proxies": "maybe"}, "use_proxies", id="flag"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], says: str) -> None:
    """DCS-ETCD-01"""
    with pytest.raises(StoreMisconfigured) as problem:
        opened("etcd3", options)
    assert says in str(problem.value)


def test_a_secret_in_a_url_is_not_repeated() -> None:
    """SEC-03"""
    with pytest.raises(StoreMisconfigured) as problem:
        opened("etcd3", {"url": "ftp://me:secret@host:2379"})
    assert "secret" not in str(problem.value)
