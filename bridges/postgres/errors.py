"""How an operation on PostgreSQL ends without its result: two ways to react.

`OperationError` becomes `OperationFailed`, `Cancelled` becomes
`OperationCancelled`; anything else is our own mistake.
"""

from regnal.messages.base import Seconds
from regnal.messages.reasons import Reason, because


class OperationError(Exception):
    """The command could not be performed; `reason` says why."""

    def __init__(self, reason: Reason, output: str = "") -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.output = output
        """The end of what the program printed; never holds a secret."""


class MissingBinary(OperationError):
    """A program of PostgreSQL was not found where it should be."""

    def __init__(self, program: str, directory: str) -> None:
        super().__init__(
            because("PROGRAM_MISSING", program=program, directory=directory)
        )


class ProgramNotStarted(OperationError):
    """A program or script is missing, or the system cannot execute it."""

    def __init__(self, program: str, error: str) -> None:
        super().__init__(because("PROGRAM_NOT_STARTED", program=program, error=error))


class ProgramTimeout(OperationError):
    """A program was killed because it took too long."""

    def __init__(self, program: str, seconds: Seconds, output: str = "") -> None:
        super().__init__(
            because("PROGRAM_TIMEOUT", program=program, seconds=seconds), output
        )


class Cancelled(Exception):
    """Somebody asked, through a CancelToken, that the operation end."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
