"""Opens the store that the configuration names, for somebody who only visits."""

from regnal.bridges.dcs.contract import Store
from regnal.bridges.dcs.open import open_store
from regnal.messages.base import Seconds
from regnal.runtime.options import StoreOptions

TTL: Seconds = 30.0
"""Of keys that live as long as somebody prolongs them; ctl writes none of them."""


def open_cluster_store(options: StoreOptions) -> Store:
    """Raises StoreMisconfigured."""
    return open_store(
        options.section,
        options.options,
        namespace=options.namespace,
        scope=options.scope,
        member=None,
        ttl=TTL,
    )
