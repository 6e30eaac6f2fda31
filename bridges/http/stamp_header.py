"""The header in which members show each other their hybrid clocks.

A member that asks another sends its stamp and gets one back; nobody else is shown
any, so that a health check costs nothing more.  Patroni ignores it.
"""

from dataclasses import replace

from regnal.bridges.http.http1 import Answer
from regnal.bridges.http.responses import Rendered, Response

STAMP_HEADER = "Regnal-HLC"


def with_stamp(answer: Answer, stamp: str) -> Answer:
    """The answer with the header; one that has no headers stays without."""
    match answer:
        case Rendered(head=head):
            line = f"{STAMP_HEADER}: {stamp}\r\n".encode("latin-1", "replace")
            return replace(answer, head=head + line)
        case Response(headers=headers):
            return replace(answer, headers=(*headers, (STAMP_HEADER, stamp)))
        case _:
            return answer
