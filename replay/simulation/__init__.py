"""The simulator: the production deciders in virtual time, in a world of faults."""
