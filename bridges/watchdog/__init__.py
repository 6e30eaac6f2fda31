"""The hardware watchdog, which resets a machine that nobody looks after."""
