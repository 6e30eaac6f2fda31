"""A process that watches over itself, for tests that stop and starve it.

    python -m tests.regnal.runtime.watched

It prints `ready`, then every message as a line of JSON, until its input ends.  For
each line that it reads it holds the interpreter for as many seconds.
"""

import sys
import time

from regnal.messages.base import Message
from regnal.messages.envelope import Envelope
from regnal.runtime.stalls import StallWatch

SAMPLE = 1_000_000


class Printer:
    """A voice."""

    def say(self, message: Message, cause: Envelope[Message] | None = None) -> None:
        print(message.model_dump_json(), flush=True)  # noqa: T201 - its purpose


def main() -> None:
    watch = StallWatch(Printer(), lambda: ())
    watch.start()
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        hold_the_interpreter(float(line))
    watch.stop()


def hold_the_interpreter(seconds: float) -> None:
    """In C code that lets no other thread run."""
    began = time.thread_time()
    sum(range(SAMPLE))
    sum(range(int(SAMPLE * seconds / (time.thread_time() - began))))


if __name__ == "__main__":
    main()
