"""`regnal replay`: the journals through today's deciders."""

import click

from regnal.cli.lazy_group import LazyCommand, LazyGroup

COMMANDS = {
    "verify": LazyCommand(
        "regnal.cli.replay_verify",
        "verify_command",
        "Does every step come out the same today?",
    ),
    "what-if": LazyCommand(
        "regnal.cli.replay_what_if",
        "what_if_command",
        "What would have been decided otherwise?",
    ),
    "steps": LazyCommand(
        "regnal.cli.replay_steps",
        "steps_command",
        "Every step as this program takes it, for what-if --code",
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
