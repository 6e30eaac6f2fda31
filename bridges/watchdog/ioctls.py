"""The requests of linux/watchdog.h, by number (P-OPS-06: they differ by machine).

See ioctl(2) and the kernel's include/uapi/asm-generic/ioctl.h; alpha, mips, powerpc and
sparc have an older layout with fewer bits for the size.
"""

import platform
import struct
from dataclasses import dataclass

OLDER_LAYOUT = ("alpha", "mips", "ppc", "powerpc", "sparc")
GROUP = ord("W")

INFO = struct.Struct("II32s")
"""struct watchdog_info: options, firmware version, identity."""

INTEGER = struct.Struct("i")
SET_TIMEOUT_OPTION = 0x0080
MAGIC_CLOSE_OPTION = 0x0100


@dataclass(frozen=True, slots=True)
class Requests:
    """Numbers for ioctl(2)."""

    get_support: int
    set_timeout: int
    get_timeout: int


def requests_of(machine: str) -> Requests:
    """`machine` as uname(2) tells it."""
    older = machine.startswith(OLDER_LAYOUT)
    write, read, shift = (4, 2, 29) if older else (1, 2, 30)

    def number(direction: int, command: int, size: int) -> int:
        return direction << shift | size << 16 | GROUP << 8 | command

    return Requests(
        get_support=number(read, 0, INFO.size),
        set_timeout=number(read | write, 6, INTEGER.size),
        get_timeout=number(read, 7, INTEGER.size),
    )


REQUESTS = requests_of(platform.machine())
