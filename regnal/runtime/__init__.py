"""The running daemon: the bus, the timers, and the wiring of a member."""
