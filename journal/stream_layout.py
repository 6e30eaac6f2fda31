"""How a journal lies in a NATS JetStream stream: names, and what a message is.

One stream for all clusters; a subject for each member; a message for each record of the
chain, in the order of the chain, with the line as it lies in the file (without the line
end) as its payload.  `Nats-Msg-Id` tells the stream which records it has already.
Documented in docs/journal.md; publisher and reader both go by it.
"""

import re

from regnal.journal.encoding import Hash
from regnal.journal.places import RecordNumber
from regnal.messages.base import MemberName

STREAM = "REGNAL_JOURNAL"

PREFIX = "regnal.journal"

_UNSAFE = re.compile(rb"[^A-Za-z0-9_-]")
"""What has a meaning in a subject, or may not be in one."""


def subject_of(scope: str, member: MemberName) -> str:
    """Where the records of this member are published."""
    return f"{PREFIX}.{token(scope)}.{token(member)}"


def subjects_of(scope: str) -> str:
    """What the records of all members of the cluster match."""
    return f"{PREFIX}.{token(scope)}.*"


def message_id(scope: str, member: MemberName, number: RecordNumber, own: Hash) -> str:
    """Of a record: no other record of any journal has it, that with the same number in
    the journal before it was lost included."""
    return f"{token(scope)}/{token(member)}/{number}/{own}"


def token(name: str) -> str:
    """The name as one part of a subject: other bytes than letters, digits, - and _
    are percent-encoded."""
    return _UNSAFE.sub(lambda m: b"%%%02X" % m[0][0], name.encode()).decode()


def name_in(part: str) -> str:
    """The name that `token` encoded."""
    encoded = re.sub(
        rb"%([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), part.encode()
    )
    return encoded.decode(errors="replace")
