"""Outages, request rates and footprint, measured beside the peer on the same machine."""
