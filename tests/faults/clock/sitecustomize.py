"""A wall clock that jumps, for the daemon of one member.

Python imports this module at its start where PYTHONPATH leads here.  REGNAL_TEST_CLOCK
names a file with the seconds by which the clock is wrong.  Only the wall clock: no host
has a boot clock that jumps.
"""

import os
import time

_file = os.environ.get("REGNAL_TEST_CLOCK", "")
_true_time, _true_time_ns = time.time, time.time_ns
_LOOK_PAUSE = 0.1
_known = [0.0, -1.0]


def _error() -> float:
    now = time.monotonic()
    if now > _known[1] + _LOOK_PAUSE:
        try:
            with open(_file) as file:  # noqa: PTH123 - nothing is imported for it
                _known[0] = float(file.read())
        except (OSError, ValueError):
            _known[0] = 0.0
        _known[1] = now
    return _known[0]


if _file:
    time.time = lambda: _true_time() + _error()
    time.time_ns = lambda: _true_time_ns() + int(_error() * 1e9)
