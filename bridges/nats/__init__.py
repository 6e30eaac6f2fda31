"""NATS: where journals may be published, and read back."""
