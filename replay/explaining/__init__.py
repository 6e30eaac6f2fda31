"""Explaining an incident: its cause, its phases, what was lost, and what would help."""
