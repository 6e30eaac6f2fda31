"""Telemetry to a collector, over OTLP."""
