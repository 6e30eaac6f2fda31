"""Telling the record again: rebuild, verify, explain."""
