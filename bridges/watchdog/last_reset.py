"""Why the host started the last time, as far as its watchdog devices know.

See the kernel's Documentation/watchdog/watchdog-api.rst, "Environmental monitoring",
and Documentation/ABI/testing/sysfs-class-watchdog.
"""

from pathlib import Path

DEVICES = Path("/sys/class/watchdog")

CARD_RESET = 0x20
"""WDIOF_CARDRESET of linux/watchdog.h: the card previously reset the CPU."""


def last_reset(devices: Path = DEVICES) -> str | None:
    """`watchdog` if one of them says that it was its doing; None: not known."""
    for file in sorted(devices.glob("watchdog*/bootstatus")):
        try:
            status = int(file.read_text())
        except (OSError, ValueError):
            continue
        if status & CARD_RESET:
            return "watchdog"
    return None
