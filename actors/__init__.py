"""The deciders: pure functions from state and message to a step.  No clock, no chance, no I/O."""
