"""`regnal rules` and `regnal states`: the two tables that decide, printed.

They are printed from the code that runs, so they cannot be out of date.
"""

import inspect
import json

import click

from regnal.actors.election import BEFORE_ALL_IS_KNOWN, RULES
from regnal.actors.election_rule import Rule
from regnal.actors.supervisor_transitions import TRANSITIONS, Transition

TEXT, MERMAID, JSON = "text", "mermaid", "json"
_format = click.option(
    "-f",
    "--format",
    "form",
    type=click.Choice([TEXT, MERMAID, JSON]),
    default=TEXT,
    show_default=True,
    help="mermaid gives a diagram for Markdown.",
)


@click.command("rules", epilog="Example:  regnal rules -f mermaid > rules.mmd")
@_format
def rules_command(form: str) -> None:
    """Print the decision table of election, first rule first.

    The first rule that applies decides.  Its name is what the journal, the log
    and `regnal explain` call the decision.
    """
    if form == JSON:
        rows = [{"rule": rule.__name__, "why": _why(rule)} for rule in RULES]
        click.echo(json.dumps(rows, indent=2))
    elif form == MERMAID:
        click.echo("\n".join(_rules_as_mermaid()))
    else:
        click.echo("\n".join(_rules_as_text()))


@click.command("states", epilog="Example:  regnal states -f mermaid > states.mmd")
@_format
def states_command(form: str) -> None:
    """Print the transition table of the PostgreSQL supervisor.

    In each phase the first row that fits the message (or the intent being
    carried out) and the condition is taken.
    """
    if form == JSON:
        click.echo(json.dumps([_cells(row) for row in TRANSITIONS], indent=2))
    elif form == MERMAID:
        click.echo("\n".join(_states_as_mermaid()))
    else:
        click.echo("\n".join(_states_as_text()))


def _rules_as_text() -> list[str]:
    width = max(len(rule.__name__) for rule in RULES)
    early = {rule.__name__ for rule in BEFORE_ALL_IS_KNOWN}
    lines = [
        f"{number:3}  {rule.__name__:{width}}  {_why(rule)}"
        for number, rule in enumerate(RULES, 1)
    ]
    names = ", ".join(sorted(early))
    return [*lines, "", f"While not everything is known yet, only: {names}."]


def _rules_as_mermaid() -> list[str]:
    lines = ["flowchart TD"]
    for number, rule in enumerate(RULES, 1):
        lines.append(f'  r{number}{{"{rule.__name__}?"}}')
        lines.append(f'  r{number} -- yes --> d{number}["speaks"]')
        if number < len(RULES):
            lines.append(f"  r{number} -- no --> r{number + 1}")
    return lines


def _why(rule: Rule) -> str:
    """The first sentence of the rule's docstring, on one line."""
    text = inspect.getdoc(rule) or ""
    return " ".join(text.split("\n\n")[0].split())


def _states_as_text() -> list[str]:
    header = ("phase", "on", "if", "to", "says")
    rows = [header, *(tuple(_cells(row).values()) for row in TRANSITIONS)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    return [
        "  ".join(
            f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def _states_as_mermaid() -> list[str]:
    lines = ["stateDiagram-v2"]
    for row in TRANSITIONS:
        label = row.on.__name__
        if row.when is not None:
            label += f" [{row.when.__name__}]"
        if row.say is not None:
            label += f" / {row.say.__name__}"
        lines += [f"  {phase} --> {row.to}: {label}" for phase in row.phases]
    return lines


def _cells(row: Transition) -> dict[str, str]:
    says = row.say.__name__ if row.say is not None else ""
    if row.done:
        says = "(fulfilled)"
    elif row.failed:
        says = "(failed)"
    return {
        "phase": ", ".join(row.phases),
        "on": row.on.__name__,
        "if": row.when.__name__ if row.when is not None else "",
        "to": row.to,
        "says": says,
    }
