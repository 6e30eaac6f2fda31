"""Telling somebody by HTTP what happened."""
