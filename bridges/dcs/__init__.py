"""The distributed configuration store: one contract, one module per store."""
