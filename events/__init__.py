"""The public events: what other systems may subscribe to, apart from the internals."""
