"""Opens the store that the configuration names, as somebody who only visits."""

from regnal.bridges.dcs.open import open_store
from regnal.cli.ctl_store import ClusterStore
from regnal.runtime.options import StoreOptions


def open_cluster_store(options: StoreOptions) -> ClusterStore:
    """Raises StoreMisconfigured."""
    return open_store(
        options.section, options.options, options.namespace, options.scope
    )
