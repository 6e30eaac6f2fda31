"""`regnal replay`: the journals through today's deciders."""

import click

from regnal.cli.lazy_group import LazyCommand, LazyGroup

COMMANDS = {
    "verify": LazyCommand(
        "regnal.cli.replay_verify",
        "verify_command",
        "Does every step come out the same today?",
    ),
    "state": LazyCommand(
        "regnal.cli.replay_state",
        "state_command",
        "What each actor and member knew at a moment",
    ),
}


@click.group("replay", cls=LazyGroup, commands_elsewhere=COMMANDS)
def replay_command() -> None:
    """Repeat what the journals recorded."""
