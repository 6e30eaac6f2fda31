"""Callbacks: scripts of the operator that hear of changes."""

from typing import Literal

from regnal.messages.base import Command, Outcome

CallbackAction = Literal[
    "on_start", "on_stop", "on_restart", "on_reload", "on_role_change"
]


class RunCallback(Command):
    """Run the script; a running one is killed with its children first (on_reload
    neither kills nor waits for others)."""

    kind: Literal["run_callback"] = "run_callback"
    action: CallbackAction
    role: str
    scope: str


class CallbackEnded(Outcome):
    kind: Literal["callback_ended"] = "callback_ended"
    action: CallbackAction
    exit_status: int
    """Negative: ended by that signal."""


class CallbackFailed(Outcome):
    """The script could not be started."""

    kind: Literal["callback_failed"] = "callback_failed"
    action: CallbackAction
    error: str
