"""Traces: what of a journal becomes a span, and whose child it is."""
